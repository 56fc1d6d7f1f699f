package jsonschema_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
)

func ExampleParse() {
	s, err := jsonschema.Parse(schema.Text{
		Format: schema.JSONSchema,
		Schema: `{
			"$id": "https://example.com/customer.json",
			"type": "object",
			"properties": {
				"id":    {"type": "string"},
				"email": {"type": "string", "format": "email", "confluent:tags": ["PII"]},
				"cards": {"type": "array", "items": {"$ref": "#/definitions/card"}}
			},
			"required": ["id"],
			"definitions": {"card": {"type": "object", "properties": {"pan": {"type": "string"}}, "confluent:tags": ["PCI"]}}
		}`,
		Tags: []schema.TagRule{{Pattern: "$.cards.pan", Tags: []string{"PAN"}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Name())
	for _, f := range s.Fields() {
		fmt.Println(f.Path, f.Type, f.Logical, f.Tags)
	}
	// Output:
	// https://example.com/customer.json
	// /id string  []
	// /email string format:email [PII]
	// /cards array  []
	// /cards/[] record  [PCI]
	// /cards/[]/pan string  [PAN PCI]
}

// upper stands for encryption.
type upper struct{}

func (upper) Visit(_ int, dst, value []byte) ([]byte, error) {
	return append(dst, strings.ToUpper(string(value))...), nil
}

func ExampleSchema_Compile() {
	s, err := jsonschema.Parse(schema.Text{
		Format: schema.JSONSchema,
		Schema: `{"properties": {"name": {"type": "string"}, "tags": {"items": {"type": "string"}}}}`,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Replace}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := program.Rewrite(nil, []byte(`{"tags": ["a"],  "name": "ada"}`), upper{})
	fmt.Println(string(out), err)
	_, err = program.Rewrite(nil, []byte(`{"nickname": "ada"}`), upper{})
	fmt.Println(err)
	// Output:
	// {"tags": ["a"],  "name": "ADA"} <nil>
	// malformed record: member that the schema does not describe
}

// round stands for a rule that generalises numbers.
type round struct{}

func (round) Visit(_ int, dst, value []byte) ([]byte, error) {
	n, err := strconv.Atoi(string(value))
	return strconv.AppendInt(dst, int64(n/10*10), 10), err
}

func ExampleSchema_Compile_numbers() {
	s, err := jsonschema.Parse(schema.Text{
		Format: schema.JSONSchema,
		Schema: `{"properties": {"age": {"type": "integer"}, "born": {"type": "string", "format": "date"}}}`,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range s.Fields() {
		fmt.Printf("%s %s %t %q\n", f.Path, f.Type, f.Numeric, f.Logical)
	}
	program, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Number}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := program.Rewrite(nil, []byte(`{"age": 36, "born": "1815-12-10"}`), round{})
	fmt.Println(string(out), err)
	// Output:
	// /age integer true ""
	// /born string false "date"
	// {"age": 30, "born": "1815-12-10"} <nil>
}

func ExampleSchema_Derive() {
	s, err := jsonschema.Parse(schema.Text{
		Format: schema.JSONSchema,
		Schema: `{"properties": {"age": {"type": "integer", "minimum": 0}}}`,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, changed, err := s.Derive([]schema.Edit{{Field: 0, Op: schema.Wrap}}, schema.Origin{ID: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(changed, text.Schema[:86])
	derived, err := jsonschema.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	origin, ok := derived.Origin()
	fmt.Println(origin.ID, ok, derived.Fields()[0].Type, derived.Fields()[0].Sealed)
	// Output:
	// true {"properties":{"age":{"type":"string","fieldveil.type":{"type":"integer","minimum":0}}
	// 7 true integer true
}

func ExampleSchema_Validate() {
	s, err := jsonschema.Parse(schema.Text{
		Format: schema.JSONSchema,
		Schema: `{"properties": {"age": {"type": "integer", "minimum": 0}}}`,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Validate([]byte(`{"age": 36}`)))
	fmt.Println(s.Validate([]byte(`{"age": -1}`)))
	// Output:
	// <nil>
	// record does not satisfy its schema: /age: minimum
}
