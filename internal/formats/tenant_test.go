package formats_test

import (
	"bytes"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
)

const tenantInValue = `
version: 1
dataset: people
tenant: {from: "value:/tenant"}
keys: {k: {kek: "local:tenant-{tenant}"}}
topics: [{match: "*", rules: [{tag: T, action: encrypt, key: k}]}]
`

// The tenant is read before anything else, also from records of a derived schema,
// whose other fields have other types.
func TestTheTenantStandsInTheValueOfEveryFormat(t *testing.T) {
	for name, c := range map[string]struct {
		text  schema.Text
		value []byte
	}{
		"Avro": {
			schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"P","fields":[` +
				`{"name":"age","type":"int","confluent:tags":["T"]},{"name":"tenant","type":"string"}]}`},
			[]byte{84, 8, 'a', 'c', 'm', 'e'},
		},
		"JSON Schema": {
			schema.Text{Format: schema.JSONSchema, Schema: `{"type":"object","properties":{"age":{"type":"integer","confluent:tags":["T"]},` +
				`"tenant":{"type":"string"}},"required":["age","tenant"],"additionalProperties":false}`},
			[]byte(`{"age":42,"tenant":"acme"}`),
		},
		"Protobuf": {
			schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; import "confluent/meta.proto";
message P { int32 age = 1 [(confluent.field_meta).tags = "T"]; string tenant = 2; }`},
			[]byte{0, 8, 42, 18, 4, 'a', 'c', 'm', 'e'}, // with the index of the message
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.registry.put(7, c.text)
			rec := fieldcrypt.Record{Topic: "t", Value: append(frame(7), c.value...)}
			out, err := w.engine(tenantInValue).Protect(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(out.Value[:5], rec.Value[:5]) {
				t.Error("the record has no derived schema")
			}
			back, err := w.engine(tenantInValue).Reveal(t.Context(), out)
			if err != nil || !bytes.Equal(back.Value, rec.Value) {
				t.Errorf("revealed %q, %v", back.Value, err)
			}
		})
	}
}
