package rest

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns the description of all routes, OpenAPI 3.1 in YAML.
func OpenAPI() []byte { return append([]byte(nil), openAPI...) }

//nolint:gochecknoglobals // made once from what is built in
var openAPIAsJSON = sync.OnceValues(func() ([]byte, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
})

func (c *call) openAPIYAML() {
	c.answer(http.StatusOK, "application/yaml", openAPI)
}

func (c *call) openAPIJSON() {
	body, err := openAPIAsJSON()
	if err != nil {
		c.fail(internalFailure())
		return
	}
	c.answer(http.StatusOK, mediaJSON, body)
}
