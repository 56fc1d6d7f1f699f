package fieldcrypt_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/schema"
)

// Two keys, one field under each, and a text that only the schema of another
// subject defines.
const ordersSchema = `{"type": "record", "name": "Order", "namespace": "com.example", "fields": [
  {"name": "to", "type": ["null", "com.example.Address"]},
  {"name": "bill", "type": "com.example.Address"},
  {"name": "pan", "type": ["string", "null"], "confluent:tags": ["PCI"]}]}`

const addressSchema = `{"type": "record", "name": "Address", "namespace": "com.example", "fields": [
  {"name": "street", "type": "string", "confluent:tags": ["PII"]}, {"name": "city", "type": "string"}]}`

// ordersEncoder has the referenced type in its first place.
func ordersEncoder() *twmb.Schema {
	return twmb.MustParse(strings.Replace(ordersSchema, `"com.example.Address"`, addressSchema, 1))
}

func ordersText() schema.Text {
	return schema.Text{Format: schema.Avro, Schema: ordersSchema, References: []string{addressSchema}}
}

func address(street string) map[string]any { return map[string]any{"street": street, "city": "Praha"} }

func decodeOrder(t *testing.T, value []byte) map[string]any {
	t.Helper()
	var v any
	rest, err := ordersEncoder().Decode(value, &v)
	m, ok := v.(map[string]any)
	if err != nil || len(rest) > 0 || !ok {
		t.Fatalf("decode: %v, %d bytes left", err, len(rest))
	}
	return m
}

// The same schema, framed by a registry's client and bare: tags come through a
// reference, and a record names the keys that it used and no others.
func TestATypeThatIsReferredToIsProtectedWhereverItStands(t *testing.T) {
	w := newWorld(t)
	framed := w.engine(onePolicy("gcm", ""))
	w.schemas[7] = ordersText()
	p, err := fieldcrypt.ParsePolicy([]byte(onePolicy("gcm", "")))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	bare, err := fieldcrypt.New(p, keys, fieldcrypt.WithTopicSchema("orders", ordersText()))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		to, pan any
		keys    int
		sealed  int
	}{
		{"all fields", address("Dlouhá 1"), "4111111111111111", 2, 3},
		{"no card", address("Dlouhá 1"), nil, 1, 2},
		{"the least", nil, nil, 1, 1},
		{"empty values, which are sealed (FV-14)", address(""), "", 2, 3},
	}
	for _, tt := range tests {
		for prefix, e := range map[string]*fieldcrypt.Engine{string(frame(7)): framed, "": bare} {
			t.Run(fmt.Sprintf("%s, %d bytes of framing", tt.name, len(prefix)), func(t *testing.T) {
				value, err := ordersEncoder().AppendEncode([]byte(prefix), map[string]any{"to": tt.to, "bill": address("Krátká 2"), "pan": tt.pan})
				if err != nil {
					t.Fatal(err)
				}
				rec, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "orders", Value: value})
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(string(rec.Value), prefix) {
					t.Error("the framing changed")
				}
				blocks := 0
				for _, h := range rec.Headers {
					if h.Key == fieldcrypt.HeaderKey {
						blocks++
					}
				}
				if blocks != tt.keys {
					t.Errorf("%d key blocks, want %d", blocks, tt.keys)
				}
				if n := bytes.Count(rec.Value, []byte("fv1:")); n != tt.sealed {
					t.Errorf("%d sealed values, want %d", n, tt.sealed)
				}
				m := decodeOrder(t, rec.Value[len(prefix):])
				if bill, _ := m["bill"].(map[string]any); bill["city"] != "Praha" {
					t.Errorf("an untagged field is %v", bill["city"])
				}
				if (m["to"] == nil) != (tt.to == nil) || (m["pan"] == nil) != (tt.pan == nil) {
					t.Errorf("null changed: %v, %v", m["to"], m["pan"])
				}
				back, err := e.Reveal(t.Context(), rec)
				if err != nil || !bytes.Equal(back.Value, value) {
					t.Errorf("revealed %x, %v\nwant %x", back.Value, err, value)
				}
			})
		}
	}
}

// FV-42: headers of others are carried unchanged and in order, both ways, and
// the record that was given is not touched.
func TestForeignHeadersAreCarriedInOrder(t *testing.T) {
	w := newWorld(t)
	w.schemas[7] = avroText(oneField(`"string"`, "PII"))
	e := w.engine(onePolicy("gcm", ""))
	foreign := []fieldcrypt.Header{
		{Key: "b", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "b", Value: []byte{}}, {Key: "FV-KEY", Value: []byte("not ours")},
		{Key: "", Value: []byte{0xFF}},
	}
	spare := append(slices.Clone(foreign), make([]fieldcrypt.Header, 8)...)
	in := fieldcrypt.Record{Topic: "t", Key: []byte("k"), Value: w.framed(7, map[string]any{"x": "v"}), Headers: spare[:len(foreign)]}
	kept := bytes.Clone(in.Value)
	rec, err := e.Protect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b fieldcrypt.Header) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
	}
	if len(rec.Headers) != len(foreign)+2 || !slices.EqualFunc(rec.Headers[:len(foreign)], foreign, same) {
		t.Errorf("protected: %v", rec.Headers)
	}
	if !bytes.Equal(in.Value, kept) || !slices.EqualFunc(spare[:len(foreign)], foreign, same) || spare[len(foreign)].Key != "" {
		t.Error("the record that was given changed, or the room behind its headers")
	}
	// Others may come between and behind on the way.
	mixed := slices.Insert(slices.Clone(rec.Headers), len(foreign)+1, fieldcrypt.Header{Key: "hop", Value: []byte("1")})
	mixed = append(mixed, fieldcrypt.Header{Key: "hop", Value: []byte("2")})
	rec.Headers = mixed
	back, err := e.Reveal(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(foreign), fieldcrypt.Header{Key: "hop", Value: []byte("1")}, fieldcrypt.Header{Key: "hop", Value: []byte("2")})
	if !slices.EqualFunc(back.Headers, want, same) || !bytes.Equal(back.Value, kept) || string(back.Key) != "k" {
		t.Errorf("revealed: %v", back.Headers)
	}
}

// FV-41, for every form of a bad fv-meta; optional items are skipped.
func TestAnFvMetaIsReadOrRefused(t *testing.T) {
	w := newWorld(t)
	w.schemas[7] = avroText(oneField(`"string"`, "PII"))
	e := w.engine(onePolicy("gcm", ""))
	rec, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(7, map[string]any{"x": "v"})})
	if err != nil {
		t.Fatal(err)
	}
	digest := string([]byte{1, 8}) + "12345678"
	tests := []struct {
		name, meta string
		code       fieldcrypt.Code
	}{
		{"no items", "\x01", ""},
		{"a digest of another policy", "\x01" + digest, ""},
		{"an optional item", "\x01\x80\x02ab" + digest, ""},
		{"nothing", "", fieldcrypt.CodeFormat},
		{"an unknown version", "\x02" + digest, fieldcrypt.CodeFormat},
		{"an unknown item that is not optional", "\x01\x7f\x00", fieldcrypt.CodeFormat},
		{"a digest twice", "\x01" + digest + digest, fieldcrypt.CodeFormat},
		{"a short digest", "\x01\x01\x071234567", fieldcrypt.CodeFormat},
		{"an item that is cut", "\x01\x80\x05ab", fieldcrypt.CodeFormat},
		{"an item without a length", "\x01\x80", fieldcrypt.CodeFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rec
			r.Headers = []fieldcrypt.Header{{Key: fieldcrypt.HeaderMeta, Value: []byte(tt.meta)}}
			out, err := e.Reveal(t.Context(), r)
			checkCode(t, tt.name, err, tt.code)
			if err != nil && (out.Value != nil || out.Headers != nil) {
				t.Error("something came back beside the error")
			}
		})
	}
}

// FV-3, FV-31: what stands in a key header is looked at and not believed.
func TestKeyHeadersAreNotBelieved(t *testing.T) {
	w := newWorld(t)
	w.store = nil
	w.schemas[7] = avroText(oneField(`"string"`, "PII"))
	policy := onePolicy("gcm", "")
	rec, err := w.engine(policy).Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(7, map[string]any{"x": "v"})})
	if err != nil {
		t.Fatal(err)
	}
	good := rec.Headers[len(rec.Headers)-1].Value
	block, err := envelope.ParseKeyBlock(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(b *envelope.KeyBlock)) []byte {
		b := block
		b.Wrapped = bytes.Clone(b.Wrapped)
		change(&b)
		out, err := b.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tests := []struct {
		name   string
		blocks [][]byte
		code   fieldcrypt.Code
	}{
		{"the right block", [][]byte{good}, ""},
		{"the right block among others", [][]byte{nil, []byte("junk"), good[:40], good}, ""},
		{"no block", nil, fieldcrypt.CodeKeyUnknown},
		{"only junk", [][]byte{[]byte("junk")}, fieldcrypt.CodeKeyUnknown},
		{"a KEK that the policy does not name", [][]byte{changed(func(b *envelope.KeyBlock) { b.KEK = "local:evil" })}, fieldcrypt.CodeForeignKey},
		{"the KEK of another key of the policy", [][]byte{changed(func(b *envelope.KeyBlock) { b.KEK = "local:pci" })}, fieldcrypt.CodeForeignKey},
		{"another tenant", [][]byte{changed(func(b *envelope.KeyBlock) { b.Tenant = "mallory" })}, fieldcrypt.CodeForeignKey},
		{"a wrapped key that was changed", [][]byte{changed(func(b *envelope.KeyBlock) { b.Wrapped[20] ^= 1 })}, fieldcrypt.CodeKeyUnusable},
		{"a commitment that was changed behind the id", [][]byte{changed(func(b *envelope.KeyBlock) { b.Commitment[31] ^= 1 })}, fieldcrypt.CodeKeyUnusable},
		{"a bad block before the right one", [][]byte{changed(func(b *envelope.KeyBlock) { b.Wrapped[20] ^= 1 }), good}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rec
			r.Headers = nil
			for _, b := range tt.blocks {
				r.Headers = append(r.Headers, fieldcrypt.Header{Key: fieldcrypt.HeaderKey, Value: b})
			}
			_, err := w.engine(policy).Reveal(t.Context(), r)
			checkCode(t, tt.name, err, tt.code)
		})
	}
}
