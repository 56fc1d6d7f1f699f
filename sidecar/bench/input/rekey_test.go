package input

import (
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

const tenantSchema = `{"type":"object","required":["tenant","number","email"],"properties":{
  "tenant":{"type":"string"},"number":{"type":"integer"},"email":{"type":"string","confluent:tags":["PII"]}}}`

func TestRekeyPutsAPolicyUnderOneKEK(t *testing.T) {
	const rest = `
dataset: d
keys:
  pii: {kek: "aws-kms:alias/pii-{tenant}", also: ["aws-kms:alias/old"], refresh: 1m}
domain_keys: {ids: {kek: "aws-kms:alias/ids", versions: []}}
rules: [{tag: PII, action: encrypt, key: ids, mode: deterministic, join: mail}]
topics: [{match: t, headers: [{name: h, action: encrypt, key: pii}]}]
`
	const noHeaders = `
dataset: d
keys: {pii: {kek: "aws-kms:alias/pii-{tenant}"}}
domain_keys: {ids: {kek: "aws-kms:alias/ids", versions: []}}
rules: [{tag: PII, action: encrypt, key: ids, mode: deterministic, join: mail}]
topics: [{match: t}]
`
	tests := []struct {
		name, policy string
		want         int // versions of the domain key
	}{
		{"without tenants", strings.ReplaceAll(rest, "{tenant}", ""), 1},
		{"a tenant that is fixed", "tenant: {from: \"fixed:acme\"}" + rest, 1},
		{"a tenant from a header", "tenant: {from: \"header:tenant\"}" + rest, 2},
		{"a tenant from the key", "tenant: {from: key}" + rest, 2},
		{"a tenant from a text of the value", "tenant: {from: \"value:/tenant\"}" + noHeaders, 2},
		{"a tenant from a number of the value", "tenant: {from: \"value:/number\"}" + noHeaders, 2},
		{"a tenant that need not be there", "tenant: {from: \"header:other\", required: false}" + rest, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Set{
				Topic: "t", Policy: []byte("version: 1\n" + tt.policy), Framed: true, SchemaID: 3,
				Text: schema.Text{Format: schema.JSONSchema, Schema: tenantSchema},
			}
			head, err := frame(3, schema.JSONSchema)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range []string{"a", "b", "a"} {
				s.Records = append(s.Records, Record{
					Key:     []byte(name),
					Value:   append(slices.Clip(head), `{"tenant":"`+name+`","number":`+string('1'+byte(i%2))+`,"email":"x@example.com"}`...),
					Headers: []fieldcrypt.Header{{Key: "tenant", Value: []byte(name)}, {Key: "h", Value: []byte("x")}},
				})
			}
			if err := s.Rekey(t.Context(), kms.Mux{localkms.Scheme: localkms.NewInMemory()}, "local:mine"); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(s.Policy), "aws-kms") {
				t.Errorf("a KEK of before is left:\n%s", s.Policy)
			}
			p, err := fieldcrypt.ParsePolicy(s.Policy)
			if err != nil {
				t.Fatalf("%v\n%s", err, s.Policy)
			}
			for _, k := range p.Keys() {
				if k.KEK != "local:mine" || len(k.Also) > 0 || k.Domain && len(k.Versions) != tt.want {
					t.Errorf("key %s: KEK %s, %d others, %d versions", k.Name, k.KEK, len(k.Also), len(k.Versions))
				}
			}
			if err := s.inspect(t.Context(), func(int) string { return "record" }); err != nil {
				t.Fatal(err)
			}
			protectAll(t, s)
		})
	}
}

func TestRekeyRefusesWhatNamesNoTenant(t *testing.T) {
	s := &Set{Topic: "t", Policy: []byte("version: 1\ntenant: {from: \"header:x\"}\nkeys: {k: {kek: \"local:a\"}}\nrules: [{tag: PII, action: encrypt, key: k}]\n"), Records: []Record{{Value: []byte("{}")}}}
	err := s.Rekey(t.Context(), kms.Mux{localkms.Scheme: localkms.NewInMemory()}, "local:mine")
	if err == nil || !strings.Contains(err.Error(), "no record names a tenant") {
		t.Errorf("error %v", err)
	}
}
