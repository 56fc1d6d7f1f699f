package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// jsonPolicyText is the policy for records without a schema, where paths take
// the place of tags.
//
//go:embed policy-json.yaml
var jsonPolicyText string

// A form is the format of the records, with the registry that has its schema.
type form struct {
	customers.Format
	server *registrytest.Server // nil without a schema
	client *registry.Client
	id     int
}

func formatNames() []string {
	var names []string
	for _, f := range customers.Formats() {
		names = append(names, f.Name)
	}
	return names
}

// openForm starts a registry in this process and registers the schema of a
// format under the subject of the topic.
func openForm(name, topic string) (*form, error) {
	all := customers.Formats()
	i := slices.IndexFunc(all, func(f customers.Format) bool { return f.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("format %q is none of %s", name, strings.Join(formatNames(), ", "))
	}
	f := &form{Format: all[i]}
	if f.Type == "" {
		return f, nil
	}
	var err error
	// A registry that checks what it cannot compare would refuse the schema.
	if f.server, err = registrytest.Start(registrytest.WithCompatibility("NONE")); err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	f.id, err = f.server.Register(wire.TopicName(topic, false, ""), registrytest.Schema{Format: f.Type, Text: f.Schema})
	if err == nil {
		f.client, err = registry.New([]string{f.server.URL()})
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	return f, nil
}

func (f *form) close() {
	if f.client != nil {
		_ = f.client.Close()
	}
	if f.server != nil {
		f.server.Close()
	}
}

func (f *form) policy() string {
	if f.Type == "" {
		return jsonPolicyText
	}
	return policyText
}

// options are what an engine needs for the format.
func (f *form) options() []fieldcrypt.Option {
	if f.client == nil {
		return nil
	}
	return []fieldcrypt.Option{
		fieldcrypt.WithSchemas(f.client),
		fieldcrypt.WithRegistrar(f.client),
		fieldcrypt.WithFormat(schema.JSONSchema, func(t schema.Text) (schema.Schema, error) { return jsonschema.Parse(t) }),
		fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser),
	}
}

// parse reads the schema, to show what the policy does to it.
func (f *form) parse() (schema.Schema, error) {
	text := schema.Text{Format: schema.Format(f.Type), Schema: f.Schema}
	switch text.Format {
	case schema.Avro:
		return avro.Parse(text)
	case schema.JSONSchema:
		return jsonschema.Parse(text)
	case schema.Protobuf:
		return protobuf.Parse(text)
	default:
		var paths []string
		for _, s := range customers.SensitivePaths() {
			paths = append(paths, s.Path)
		}
		return jsondoc.ForPaths("json", paths)
	}
}

// frame is what schema registry clients write before a value.
func (f *form) frame() ([]byte, error) {
	if f.Type == "" {
		return nil, nil
	}
	b, err := wire.AppendFrame(nil, f.id)
	return append(b, f.Message...), err
}

// decode reads a record as any consumer of the format does.
func (f *form) decode(value []byte) (c customers.Customer, err error) {
	frame, err := f.frame()
	if err != nil {
		return c, err
	}
	body, ok := bytes.CutPrefix(value, frame)
	if !ok {
		return c, errors.New("the schema id is missing or another")
	}
	return f.Decode(body)
}

// opening names what the records have in place of a schema, or their schema.
func (f *form) opening() string {
	switch f.Name {
	case "avro":
		return "A tagged Avro schema"
	case "jsonschema":
		return "A tagged JSON Schema"
	case "protobuf":
		return "A tagged Protobuf schema"
	default:
		return "JSON without a schema"
	}
}

// title names the format for people.
func (f *form) title() string {
	switch f.Name {
	case "avro":
		return "Avro of the same schema"
	case "jsonschema":
		return "JSON, of the same shape"
	case "protobuf":
		return "Protobuf of the same schema"
	default:
		return "JSON"
	}
}
