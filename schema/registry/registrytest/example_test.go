package registrytest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
)

// A client registers a schema and fetches it by its id.
func Example() {
	registry, err := registrytest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registry.Close()
	client := &http.Client{Timeout: time.Minute}

	body := `{"schema": "{\"type\": \"record\", \"name\": \"Customer\", \"fields\": [{\"name\": \"mail\", \"type\": \"string\"}]}"}`
	resp, err := client.Post(registry.URL()+"/subjects/customers-value/versions", registrytest.ContentType, strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var registered struct{ ID int }
	if err := json.NewDecoder(resp.Body).Decode(&registered); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("id", registered.ID)

	resp, err = client.Get(fmt.Sprintf("%s/schemas/ids/%d/schema", registry.URL(), registered.ID))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))
	// Output:
	// id 1
	// {"type":"record","name":"Customer","fields":[{"name":"mail","type":"string"}]}
}

// Schemas that a test needs are registered without HTTP.
func ExampleServer_Register() {
	registry := registrytest.New()
	id, err := registry.Register("customers-value", registrytest.Schema{Text: `"string"`})
	fmt.Println(id, err)
	_, err = registry.Register("customers-value", registrytest.Schema{Text: `"int"`})
	fmt.Println(err)
	fmt.Println(registry.Subjects())
	// Output:
	// 1 <nil>
	// registrytest: 409: Schema being registered is incompatible with an earlier schema for subject "customers-value", details: [new reader, old data, version 1: avro: incompatible at (root): reader int vs writer string: incompatible types, {compatibility: 'BACKWARD'}]
	// [customers-value]
}

// A registry that fails the first time shows whether a client tries again.
func ExampleServer_Fail() {
	registry, err := registrytest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registry.Close()
	registry.Fail(func(r *http.Request) int {
		if r.URL.Path == "/subjects" {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Get(registry.URL() + "/subjects")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for _, call := range registry.Calls() {
		fmt.Println(call.Method, call.Path, call.Status)
	}
	// Output: GET /subjects 503
}
