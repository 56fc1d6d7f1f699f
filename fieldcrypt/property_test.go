package fieldcrypt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// A generator makes random schemas and values of them.
type generator struct {
	*rand.Rand
	names int
}

func (g *generator) name() string {
	g.names++
	return "n" + strconv.Itoa(g.names)
}

// Type names what the generated types are made of.
type genType struct {
	text   string // JSON
	value  func() any
	tagged bool
}

// typ returns a random type; everything in it can carry a tag when canTag.
func (g *generator) typ(depth int, canTag bool) genType {
	kinds := []string{"string", "string", "bytes", "nullable", "nullable"}
	if depth < 4 {
		kinds = append(kinds, "record", "array", "map")
	}
	if !canTag {
		kinds = append(kinds, "long", "int", "double", "boolean", "enum", "fixed", "union")
	}
	switch k := kinds[g.IntN(len(kinds))]; k {
	case "string":
		return genType{text: `"string"`, value: func() any { return g.text() }}
	case "bytes":
		return genType{text: `"bytes"`, value: func() any { return []byte(g.text()) }}
	case "nullable":
		inner := []string{"string", "bytes"}[g.IntN(2)]
		branches := []string{`["null","` + inner + `"]`, `["` + inner + `","null"]`}
		return genType{text: branches[g.IntN(2)], value: func() any {
			switch {
			case g.IntN(3) == 0:
				return nil
			case inner == "string":
				return g.text()
			default:
				return []byte(g.text())
			}
		}}
	case "record":
		return g.record(depth+1, canTag)
	case "array":
		item := g.typ(depth+1, canTag)
		return genType{text: `{"type":"array","items":` + item.text + `}`, value: func() any {
			out := make([]any, g.IntN(4))
			for i := range out {
				out[i] = item.value()
			}
			return out
		}}
	case "map":
		item := g.typ(depth+1, canTag)
		return genType{text: `{"type":"map","values":` + item.text + `}`, value: func() any {
			out := make(map[string]any)
			for range g.IntN(3) {
				out[g.text()] = item.value()
			}
			return out
		}}
	case "long":
		return genType{text: `"long"`, value: func() any { return g.Int64() - g.Int64() }}
	case "int":
		return genType{text: `"int"`, value: func() any { return int32(g.Uint32()) }}
	case "double":
		return genType{text: `"double"`, value: func() any { return g.Float64() }}
	case "boolean":
		return genType{text: `"boolean"`, value: func() any { return g.IntN(2) == 0 }}
	case "enum":
		return genType{text: `{"type":"enum","name":"` + g.name() + `","symbols":["A","B","C"]}`, value: func() any {
			return []string{"A", "B", "C"}[g.IntN(3)]
		}}
	case "fixed":
		return genType{text: `{"type":"fixed","name":"` + g.name() + `","size":6}`, value: func() any { return []byte("sixsix") }}
	default:
		return genType{text: `["null","long","string"]`, value: func() any {
			return []any{nil, int64(5), g.text()}[g.IntN(3)]
		}}
	}
}

func (g *generator) record(depth int, canTag bool) genType {
	type field struct {
		name string
		genType
	}
	var (
		fields []field
		texts  []string
		tagged bool
	)
	for range 1 + g.IntN(5) {
		tag := canTag || g.IntN(2) == 0
		f := field{name: g.name(), genType: g.typ(depth, tag)}
		property := ""
		if tag && !canTag {
			property, tagged = `,"confluent:tags":["PII"]`, true
		}
		fields = append(fields, f)
		texts = append(texts, `{"name":"`+f.name+`","type":`+f.text+property+`}`)
		tagged = tagged || f.tagged
	}
	return genType{
		text:   `{"type":"record","name":"` + g.name() + `","fields":[` + strings.Join(texts, ",") + `]}`,
		tagged: tagged,
		value: func() any {
			out := make(map[string]any, len(fields))
			for _, f := range fields {
				out[f.name] = f.value()
			}
			return out
		},
	}
}

// text returns a random string, often empty or long enough for another width of
// its length.
func (g *generator) text() string {
	n := []int{0, 1, 7, 63, 64, 200, 9000}[g.IntN(7)]
	if n == 9000 && g.IntN(20) > 0 {
		n = 30
	}
	return "žluť"[:min(n, 2)] + strings.Repeat("x", max(0, n-2)) + strconv.Itoa(g.IntN(1000))
}

// A protected record reveals to the identical bytes, whatever the schema; and
// what has no tag is the same before and after.
func TestRandomRecordsComeBackTheSame(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("FIELDVEIL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d; FIELDVEIL_SEED=%d repeats this run", seed, seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	const schemas, records = 300, 10
	w := newWorld(t)
	writer, reader := w.engine(onePolicy("gcm", "untagged_schema: allow")), w.engine(onePolicy("gcm", "untagged_schema: allow"))
	sealed := 0
	for id := 1; id <= schemas; id++ {
		root := g.record(0, false)
		w.schemas[id] = avroText(root.text)
		for range records {
			value := w.framed(id, root.value())
			rec, err := writer.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: value})
			if err != nil {
				t.Fatalf("protect: %v\n%s", err, root.text)
			}
			if !bytes.Equal(rec.Value, value) {
				sealed++
			} else if len(rec.Headers) != 1 {
				t.Fatalf("a record without sealed values names a data key: %v", rec.Headers)
			}
			before, after := w.decoded(id, value), w.decoded(id, rec.Value)
			var doc any
			if err := json.Unmarshal([]byte(root.text), &doc); err != nil {
				t.Fatal(err)
			}
			untouchedEqual(t, doc, before, after, false)
			back, err := reader.Reveal(t.Context(), rec)
			if err != nil {
				t.Fatalf("reveal: %v\n%s", err, root.text)
			}
			if !bytes.Equal(back.Value, value) {
				t.Fatalf("revealed bytes differ\n%s", root.text)
			}
		}
	}
	if sealed < schemas {
		t.Errorf("only %d of %d records had something to seal", sealed, schemas*records)
	}
}

// untouchedEqual walks a schema as JSON beside two values, and compares what no
// tag covers.
func untouchedEqual(t *testing.T, typ, before, after any, tagged bool) {
	t.Helper()
	s, _ := typ.(map[string]any)
	switch s["type"] {
	case "record":
		fields, _ := s["fields"].([]any)
		b, _ := before.(map[string]any)
		a, _ := after.(map[string]any)
		for _, f := range fields {
			f, _ := f.(map[string]any)
			name := fmt.Sprint(f["name"])
			_, own := f["confluent:tags"]
			untouchedEqual(t, f["type"], b[name], a[name], tagged || own)
		}
		return
	case "array":
		b, _ := before.([]any)
		a, _ := after.([]any)
		if len(a) != len(b) {
			t.Fatalf("%d items before, %d after", len(b), len(a))
		}
		for i := range b {
			untouchedEqual(t, s["items"], b[i], a[i], tagged)
		}
		return
	case "map":
		b, _ := before.(map[string]any)
		a, _ := after.(map[string]any)
		if len(a) != len(b) {
			t.Fatalf("%d entries before, %d after", len(b), len(a))
		}
		for k := range b {
			untouchedEqual(t, s["values"], b[k], a[k], tagged)
		}
		return
	}
	same := reflect.DeepEqual(before, after)
	if !tagged && !same {
		t.Fatalf("an untouched value changed from %v to %v", before, after)
	}
	if tagged && same && before != nil {
		t.Fatalf("a tagged value left as it was: %v", before)
	}
}
