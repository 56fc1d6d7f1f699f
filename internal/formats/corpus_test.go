package formats_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// A corpusCase is a record with its schema. Whatever is tagged in it has a value
// that can be told from all others, see secret, and nothing else has.
type corpusCase struct {
	name   string
	text   schema.Text
	policy string // that of the corpus where it is empty
	body   []byte // without framing
	bare   bool   // the topic has no framing
	// decode reads a record that follows a schema, with a reader that knows
	// nothing of protection, into maps, slices and leaves.
	decode func(t testing.TB, text schema.Text, body []byte) any
	// none says that the record holds no tagged value, because of a null or an
	// empty list.
	none bool
}

const corpusPolicy = `
version: 1
dataset: corpus
untagged_schema: allow
keys: {k: {kek: "local:k"}}
rules:
  - {tag: WHOLE, action: encrypt, key: k, apply: whole}
  - {tag: PII, action: encrypt, key: k}
topics: [{match: t}]
`

const (
	corpusSeed      = 20260713
	corpusGenerated = 120
	corpusHand      = 40
	corpusLeast     = 150
)

// The corpus: at least 150 cases of each format, 40 of them by hand. Every
// tagged value is changed, nothing else is, and the way back gives the record
// byte for byte.
func TestCorpus(t *testing.T) {
	t.Logf("seed %d", corpusSeed)
	for _, format := range []struct {
		name      string
		hand      func(testing.TB) []corpusCase
		generated func(testing.TB, *generator) corpusCase
	}{
		{"Avro", avroCorpus, generateAvro},
		{"JSON Schema", jsonSchemaCorpus, generateJSONSchema},
		{"JSON without a schema", bareJSONCorpus, generateBareJSON},
		{"Protobuf", protoCorpus, generateProto},
	} {
		t.Run(format.name, func(t *testing.T) {
			cases := format.hand(t)
			if len(cases) < corpusHand {
				t.Errorf("%d cases by hand, want %d", len(cases), corpusHand)
			}
			hand := len(cases)
			g := &generator{r: rand.New(rand.NewPCG(corpusSeed, 0))}
			for i := range corpusGenerated {
				c := format.generated(t, g)
				c.name = fmt.Sprintf("generated %d", i)
				cases = append(cases, c)
			}
			if len(cases) < corpusLeast {
				t.Errorf("%d cases, want %d", len(cases), corpusLeast)
			}
			secrets := 0
			for _, c := range cases {
				t.Run(c.name, c.test(&secrets))
			}
			t.Logf("%d cases by hand, %d in all, %d tagged values", hand, len(cases), secrets)
		})
	}
}

// test checks one case, and counts its tagged values.
func (c *corpusCase) test(secrets *int) func(*testing.T) {
	return func(t *testing.T) { //nolint:thelper // a test, whose lines are to show
		w := newWorld(t)
		w.registry.put(1, c.text)
		policy := c.policy
		if policy == "" {
			policy = corpusPolicy
		}
		value := c.body
		if !c.bare {
			value = append(frame(1), c.body...)
		}
		given := bytes.Clone(value)
		out, err := w.engine(policy).Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: value})
		if err != nil {
			t.Fatalf("%v\n%s\n%q", err, c.text.Schema, c.body)
		}
		if !bytes.Equal(value, given) {
			t.Error("the record of the caller is changed")
		}
		for _, part := range []string{"canary", "CANARY"} {
			if bytes.Contains(out.Value, []byte(part)) {
				t.Errorf("in clear: %q", out.Value)
			}
		}
		text, body := c.text, out.Value
		if !c.bare {
			id, n, err := wire.ParseFrame(out.Value)
			if err != nil {
				t.Fatal(err)
			}
			if text, err = w.registry.Schema(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			body = out.Value[n:]
		}
		cmp := comparison{t: t}
		cmp.values("", c.decode(t, c.text, c.body), c.decode(t, text, body))
		if (cmp.secrets == 0) != c.none {
			t.Errorf("%d tagged values in %q", cmp.secrets, c.body)
		}
		if t.Failed() {
			t.Logf("schema %s\nof records that leave %s", c.text.Schema, text.Schema)
		}
		checkKeys(t, w.engine(policy), out)
		back, err := w.engine(policy).Reveal(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Value, value) {
			t.Errorf("revealed %q\nof       %q\nschema   %s", back.Value, value, c.text.Schema)
		}
		if len(back.Headers) != 0 {
			t.Errorf("headers stay: %v", back.Headers)
		}
		*secrets += cmp.secrets
	}
}

// The first of the numbers that only tagged fields have.
const secretNumber = 7_000_000

// secret tells whether a leaf is one of those that only tagged fields have.
func secret(leaf any) bool {
	switch v := leaf.(type) {
	case string:
		return strings.Contains(strings.ToLower(v), canary)
	case []byte:
		return bytes.Contains(v, []byte(canary))
	case bool:
		return v
	case json.Number:
		f, err := v.Float64()
		return err == nil && f >= secretNumber
	case nil:
		return false
	}
	switch v := reflect.ValueOf(leaf); {
	case v.CanInt():
		return v.Int() >= secretNumber
	case v.CanUint():
		return v.Uint() >= secretNumber
	case v.CanFloat():
		return v.Float() >= secretNumber
	default:
		return false
	}
}

// A comparison walks through two decoded records.
type comparison struct {
	t       testing.TB
	secrets int
}

// values compares a value with what has become of it.
func (c *comparison) values(path string, before, after any) {
	c.t.Helper()
	if sealed(after) && c.all(before) {
		// A container that is taken as one value, or a leaf.
		c.secrets++
		return
	}
	if runs, ok := after.([]any); ok && len(runs) > 0 && c.all(before) && !slices.ContainsFunc(runs, func(v any) bool { return !sealed(v) }) {
		// In Protobuf a run of packed numbers is one value, and so is each part
		// of a list or map that is taken as a whole.
		c.secrets++
		return
	}
	switch v := before.(type) {
	case map[string]any:
		o, ok := after.(map[string]any)
		if !ok || len(o) != len(v) {
			c.t.Errorf("%s has become %v from %v", path, after, before)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			inner, ok := o[k]
			if !ok {
				c.t.Errorf("%s/%s is gone", path, k)
			}
			c.values(path+"/"+k, v[k], inner)
		}
	case []any:
		o, ok := after.([]any)
		if !ok || len(o) != len(v) {
			c.t.Errorf("%s has become %v from %v", path, after, before)
			return
		}
		for i := range v {
			c.values(fmt.Sprintf("%s/%d", path, i), v[i], o[i])
		}
	default:
		if secret(before) {
			c.t.Errorf("%s is not sealed: %v from %v", path, after, before)
		} else if !reflect.DeepEqual(before, after) {
			c.t.Errorf("%s has become %v from %v", path, after, before)
		}
	}
}

// sealed tells whether a value looks like an envelope.
func sealed(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.HasPrefix(v, "fv1:") && len(v) > 70
	case []byte:
		return len(v) >= 50 && v[0] == 1
	default:
		return false
	}
}

// all tells whether everything in a value belongs to tagged fields. What holds
// nothing may be either.
func (c *comparison) all(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if !c.all(inner) {
				return false
			}
		}
		return true
	case []any:
		return !slices.ContainsFunc(v, func(inner any) bool { return !c.all(inner) })
	case nil:
		return true
	case string:
		return v == "" || secret(v)
	case []byte:
		return len(v) == 0 || secret(v)
	default:
		return secret(v)
	}
}

// The checks themselves must be able to fail.
func TestTheComparisonOfTheCorpusNoticesDifferences(t *testing.T) {
	envelope := "fv1:" + strings.Repeat("A", 80)
	for _, tt := range []struct {
		name          string
		before, after any
		fine          bool
	}{
		{"a tagged value that is sealed", "canary-1", envelope, true},
		{"a tagged value that is not", "canary-1", "canary-1", false},
		{"a tagged number that is not", int32(secretNumber), int32(secretNumber), false},
		{"a tagged truth that is not", true, true, false},
		{"a value without a tag that is sealed", "clear-1", envelope, false},
		{"a value without a tag that changed", "clear-1", "clear-2", false},
		{"a number without a tag that is sealed", json.Number("7"), envelope, false},
		{"a member that is gone", map[string]any{"a": "x", "b": "y"}, map[string]any{"a": "x"}, false},
		{"a member that is new", map[string]any{"a": "x"}, map[string]any{"a": "x", "b": "y"}, false},
		{"an item that is gone", []any{"x", "y"}, []any{"x"}, false},
		{"a container that is sealed with a value without a tag", map[string]any{"a": "canary", "b": "clear"}, envelope, false},
		{"a container that is sealed", map[string]any{"a": "canary", "b": []any{json.Number("7000001")}}, envelope, true},
		{"packed numbers that are sealed together", []any{int32(secretNumber), int32(secretNumber)}, []any{envelope}, true},
		{"items of which one is not sealed", []any{"canary-1", "canary-2"}, []any{envelope, "canary-2"}, false},
		{"a null that is kept", nil, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen deaf
			c := comparison{t: &seen}
			c.values("", tt.before, tt.after)
			if seen.failed == tt.fine {
				t.Errorf("%v and %v: failed is %v", tt.before, tt.after, seen.failed)
			}
		})
	}
}

// deaf takes what a check says without failing.
type deaf struct {
	testing.TB
	failed bool
}

func (d *deaf) Helper()               {}
func (d *deaf) Errorf(string, ...any) { d.failed = true }

// decodeJSON reads a document and keeps numbers as they are spelled.
func decodeJSON(t testing.TB, _ schema.Text, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return v
}

// decodeAvro reads a record of the schema without its logical types, so that
// leaves are what is encoded.
func decodeAvro(t testing.TB, text schema.Text, body []byte) any {
	t.Helper()
	var v any
	rest, err := avroSchema(t, text).Decode(body, &v)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes left\n%s", err, len(rest), text.Schema)
	}
	return v
}

// decodeProto reads the first message of a file, behind its message indexes.
func decodeProto(t testing.TB, text schema.Text, body []byte) any {
	t.Helper()
	if body[0] != 0 {
		t.Fatalf("message indexes %x", body[:1])
	}
	m := dynamicpb.NewMessage(protoFileOf(t, text).Messages().Get(0))
	if err := proto.Unmarshal(body[1:], m); err != nil {
		t.Fatalf("%v\n%s", err, text.Schema)
	}
	return protoTree(m)
}

func protoTree(m protoreflect.Message) map[string]any {
	out := make(map[string]any)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList():
			items := make([]any, v.List().Len())
			for i := range items {
				items[i] = protoLeaf(f, v.List().Get(i))
			}
			out[string(f.Name())] = items
		case f.IsMap():
			entries := make(map[string]any)
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				entries[k.String()] = protoLeaf(f.MapValue(), v)
				return true
			})
			out[string(f.Name())] = entries
		default:
			out[string(f.Name())] = protoLeaf(f, v)
		}
		return true
	})
	return out
}

func protoLeaf(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return protoTree(v.Message())
	case protoreflect.EnumKind:
		if d := f.Enum().Values().ByNumber(v.Enum()); d != nil {
			return string(d.Name())
		}
		return int32(v.Enum())
	default:
		return v.Interface()
	}
}
