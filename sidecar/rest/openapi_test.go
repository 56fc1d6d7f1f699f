package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A document is openapi.json with what compiles its schemas.
type document struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

func loadDocument(t *testing.T) *document {
	t.Helper()
	body, err := openAPIAsJSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	m, _ := doc.(map[string]any)
	return &document{doc: m, compiler: c, compiled: map[string]*jsonschema.Schema{}}
}

// at returns what a path of keys leads to, and where it really is: references
// are followed.
func (d *document) at(path ...string) (any, []string) {
	var here any = d.doc
	var real []string
	for _, key := range path {
		m, _ := here.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			here, real = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			m, _ = here.(map[string]any)
		}
		here = m[key]
		real = append(real, key)
		if here == nil {
			return nil, nil
		}
	}
	if m, _ := here.(map[string]any); m["$ref"] != nil {
		if ref, ok := m["$ref"].(string); ok {
			return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return here, real
}

// validate checks one JSON value against the schema at a path.
func (d *document) validate(value any, path ...string) error {
	found, real := d.at(path...)
	if found == nil {
		return fmt.Errorf("no schema at %v", path)
	}
	pointer := "openapi.json#"
	for _, key := range real {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
	}
	s := d.compiled[pointer]
	if s == nil {
		var err error
		if s, err = d.compiler.Compile(pointer); err != nil {
			return err
		}
		d.compiled[pointer] = s
	}
	return s.Validate(value)
}

func jsonValues(t *testing.T, body []byte) []any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var all []any
	for {
		var v any
		err := dec.Decode(&v)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		all = append(all, v)
	}
}

func (d *document) operations() []string {
	var out []string
	paths, _ := d.doc["paths"].(map[string]any)
	for path, item := range paths {
		m, _ := item.(map[string]any)
		for method := range m {
			if method != "parameters" {
				out = append(out, strings.ToUpper(method)+" "+path)
			}
		}
	}
	return out
}

func TestTheDocumentHasTheRoutesThatAreServedAndNoOthers(t *testing.T) {
	var served []string
	for _, rt := range routes {
		served = append(served, rt.name)
	}
	described := loadDocument(t).operations()
	slices.Sort(served)
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served    %v\ndescribed %v", served, described)
	}
}

func TestEveryExampleOfTheDocumentFitsItsSchema(t *testing.T) {
	d := loadDocument(t)
	examples := 0
	check := func(path []string) {
		content, real := d.at(path...)
		all, _ := content.(map[string]any)
		for media, c := range all {
			m, _ := c.(map[string]any)
			if m["example"] == nil {
				continue
			}
			examples++
			if err := d.validate(m["example"], append(slices.Clone(real), media, "schema")...); err != nil {
				t.Errorf("%v %s: %v", path, media, err)
			}
		}
	}
	for _, op := range d.operations() {
		method, path, _ := strings.Cut(op, " ")
		base := []string{"paths", path, strings.ToLower(method)}
		check(append(slices.Clone(base), "requestBody", "content"))
		responses, _ := d.at(append(slices.Clone(base), "responses")...)
		m, _ := responses.(map[string]any)
		for status := range m {
			check(append(slices.Clone(base), "responses", status, "content"))
		}
	}
	if examples < 60 {
		t.Errorf("%d examples", examples)
	}
}

// Every exchange is one that the document allows: its status, its media type,
// its answer, and, when it succeeded, its request.
func TestExchangesAreAsTheDocumentSays(t *testing.T) {
	d := loadDocument(t)
	used := map[string]bool{}
	for _, file := range exchangeFiles(t) {
		for _, x := range readExchanges(t, file) {
			r := x.httpRequest(t)
			probe := &call{}
			rt, f := probe.route(r.Method, r.URL.Path)
			if f != nil {
				continue // a path or a method that is not served
			}
			_, path, _ := strings.Cut(rt.name, " ")
			base := []string{"paths", path, strings.ToLower(rt.method)}
			requestBody, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(requestBody))
			s, _ := x.server(t)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			status, media := fmt.Sprint(w.Code), w.Header().Get("Content-Type")
			used[rt.name] = true
			for _, v := range jsonValues(t, w.Body.Bytes()) {
				if err := d.validate(v, append(slices.Clone(base), "responses", status, "content", media, "schema")...); err != nil {
					t.Errorf("%s: answer: %v", x.name, err)
				}
			}
			if found, _ := d.at(append(slices.Clone(base), "responses", status)...); found == nil {
				t.Errorf("%s: %s is not described", x.name, status)
			}
			asked, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
			if rt.method == http.MethodPost && (w.Code == 200 || w.Code == 207) && strings.HasPrefix(asked, "application/vnd.kafka") {
				for _, v := range jsonValues(t, requestBody) {
					if err := d.validate(v, append(slices.Clone(base), "requestBody", "content", asked, "schema")...); err != nil {
						t.Errorf("%s: request: %v", x.name, err)
					}
				}
			}
		}
	}
	for _, rt := range routes {
		if !used[rt.name] && !strings.Contains(rt.name, "openapi") {
			t.Errorf("no exchange of %s", rt.name)
		}
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	s := newServer(t, Config{}, Deps{Sender: &fakeSender{}, Guard: fakeGuard{ErrDenied}})
	for path, media := range map[string]string{"/openapi.yaml": "application/yaml", "/openapi.json": "application/json"} {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.Header.Set("Accept", media)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 || w.Header().Get("Content-Type") != media || !strings.Contains(w.Body.String(), "3.1.0") {
			t.Errorf("%s: %d %s", path, w.Code, w.Header())
		}
	}
}
