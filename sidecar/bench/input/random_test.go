package input

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

// A tree is a type that all formats have, in as many forms.
type tree struct {
	kind string // string, bytes, int, double, bool, enum, record, array, map or nullable
	name string
	tag  bool
	kids []*tree
}

// grow makes a type. Protobuf has neither arrays of arrays nor nullable items, so
// items and values are leaves or records.
func grow(r *rand.Rand, n *int, depth int, item bool) *tree {
	*n++
	kinds := []string{"string", "string", "bytes", "int", "double", "bool", "enum"}
	if depth < 4 {
		kinds = append(kinds, "record", "record")
		if !item {
			kinds = append(kinds, "array", "map", "nullable")
		}
	} else if !item {
		kinds = append(kinds, "nullable")
	}
	t := &tree{kind: kinds[r.IntN(len(kinds))], name: fmt.Sprintf("%s_%d", []string{"email", "phone", "value", "iban", "note", "ip", "at", "amount"}[r.IntN(8)], *n)}
	switch t.kind {
	case "record":
		for range 1 + r.IntN(4) {
			t.kids = append(t.kids, grow(r, n, depth+1, false))
		}
	case "array", "map":
		t.kids = []*tree{grow(r, n, depth+1, true)}
	case "nullable":
		t.kids = []*tree{{kind: kinds[r.IntN(4)], name: t.name}}
	}
	t.tag = t.kind == "string" && r.IntN(2) == 0
	return t
}

// tagIn gives the root something to protect.
func (t *tree) tagIn() bool {
	if t.tag {
		return true
	}
	for _, k := range t.kids {
		if k.tagIn() {
			return true
		}
	}
	return false
}

func (t *tree) avro() string {
	switch t.kind {
	case "bool":
		return `"boolean"`
	case "enum":
		return `{"type":"enum","name":"E_` + t.name + `","symbols":["A","B"]}`
	case "array":
		return `{"type":"array","items":` + t.kids[0].avro() + `}`
	case "map":
		return `{"type":"map","values":` + t.kids[0].avro() + `}`
	case "nullable":
		return `["null",` + t.kids[0].avro() + `]`
	case "record":
		var fields []string
		for _, k := range t.kids {
			tags := ""
			if k.tag {
				tags = `,"confluent:tags":["PII"]`
			}
			fields = append(fields, `{"name":"`+k.name+`","type":`+k.avro()+tags+`}`)
		}
		return `{"type":"record","name":"R_` + t.name + `","fields":[` + strings.Join(fields, ",") + `]}`
	default:
		return `"` + t.kind + `"`
	}
}

func (t *tree) json() string {
	tags := ""
	if t.tag {
		tags = `,"confluent:tags":["PII"]`
	}
	switch t.kind {
	case "bytes", "string":
		return `{"type":"string"` + tags + `}`
	case "int":
		return `{"type":"integer"}`
	case "double":
		return `{"type":"number"}`
	case "bool":
		return `{"type":"boolean"}`
	case "enum":
		return `{"enum":["A","B"]}`
	case "array":
		return `{"type":"array","items":` + t.kids[0].json() + `}`
	case "map":
		return `{"type":"object","additionalProperties":` + t.kids[0].json() + `}`
	case "nullable":
		return `{"anyOf":[{"type":"null"},` + t.kids[0].json() + `]}`
	default:
		var members []string
		for _, k := range t.kids {
			members = append(members, `"`+k.name+`":`+k.json())
		}
		return `{"type":"object","properties":{` + strings.Join(members, ",") + `}}`
	}
}

// proto writes the type's declarations to b and returns its name.
func (t *tree) proto(b *strings.Builder) string {
	switch t.kind {
	case "int":
		return "sint32"
	case "enum":
		fmt.Fprintf(b, "enum E_%[1]s { A_%[1]s = 0; B_%[1]s = 1; }\n", t.name)
		return "E_" + t.name
	case "array", "map", "nullable":
		return t.kids[0].proto(b)
	case "record":
		var fields strings.Builder
		for i, k := range t.kids {
			typ, label, tags := k.proto(b), map[string]string{"array": "repeated ", "nullable": "optional "}[k.kind], ""
			if k.kind == "map" {
				typ = "map<string, " + typ + ">"
			}
			if k.tag {
				tags = ` [(confluent.field_meta).tags = "PII"]`
			}
			fmt.Fprintf(&fields, "  %s%s %s = %d%s;\n", label, typ, k.name, i+1, tags)
		}
		fmt.Fprintf(b, "message R_%s {\n%s}\n", t.name, fields.String())
		return "R_" + t.name
	default:
		return t.kind
	}
}

const randomPolicy = `
version: 1
dataset: random
keys: {k: {kek: "local:random"}}
rules: [{tag: PII, action: encrypt, key: k}]
topics: [{match: random}]
`

func TestRecordsOfRandomSchemasAreProtected(t *testing.T) {
	const schemas = 20
	for seed := range uint64(schemas) {
		r := rand.New(rand.NewPCG(seed, 5))
		n := 0
		root := &tree{kind: "record", name: "root", kids: []*tree{{kind: "string", name: "email", tag: true}}}
		for range 1 + r.IntN(5) {
			root.kids = append(root.kids, grow(r, &n, 0, false))
		}
		if !root.tagIn() {
			t.Fatal("the root has no tag")
		}
		var messages strings.Builder
		root.proto(&messages)
		// The first message of the file is the one that counts, and the root was
		// written last.
		at := strings.LastIndex(messages.String(), "message R_root")
		proto := "syntax = \"proto3\";\nimport \"confluent/meta.proto\";\n" + messages.String()[at:] + messages.String()[:at]
		for _, text := range []schema.Text{
			{Format: schema.Avro, Schema: root.avro()},
			{Format: schema.JSONSchema, Schema: root.json()},
			{Format: schema.Protobuf, Schema: proto},
		} {
			s := &Set{Name: OwnSchema, Topic: "random", Text: text, Framed: true, SchemaID: 9, Policy: []byte(randomPolicy)}
			s.KMS = kms.Mux{localkms.Scheme: localkms.NewInMemory()}
			if err := s.fill(t.Context(), text, seed, 4, DefaultSpread()); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, text.Schema)
			}
			if err := s.inspect(t.Context(), func(i int) string { return fmt.Sprint(i) }); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, text.Schema)
			}
			protectAll(t, s)
			found := 0
			for i := range s.Records {
				body, _, err := s.body(s.Records[i].Value)
				if err != nil {
					t.Fatal(err)
				}
				decodes(t, text, body)
				// What is tagged stands in the record, in order.
				for _, plain := range s.Tagged[i] {
					_, after, ok := bytes.Cut(body, plain)
					if !ok {
						t.Fatalf("seed %d: a tagged value does not stand behind the one before it\n%s", seed, text.Schema)
					}
					body, found = after, found+1
				}
			}
			if found == 0 || s.Protected != float64(found)/float64(len(s.Records)) {
				t.Errorf("seed %d: %d tagged values, %v protected a record", seed, found, s.Protected)
			}
		}
	}
}
