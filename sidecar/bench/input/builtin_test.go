package input

import (
	"bytes"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
)

// engineOf returns an engine for a Set, with keys that the Set knows.
func engineOf(tb testing.TB, s *Set) *fieldcrypt.Engine {
	tb.Helper()
	p, err := fieldcrypt.ParsePolicy(s.Policy)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := datakey.New(s.KMS)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(s.Source()),
		fieldcrypt.WithFormat(schema.JSONSchema, jsonschema.Parser), fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// protectAll protects all records and looks that no plaintext that was to be
// encrypted is in what comes out.
func protectAll(t *testing.T, s *Set) {
	t.Helper()
	e := engineOf(t, s)
	for i, r := range s.Records {
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: s.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers})
		if err != nil {
			t.Fatalf("record %d: %v\n%q", i+1, err, r.Value)
		}
		for _, plain := range s.Tagged[i] {
			if len(plain) > 8 && bytes.Contains(out.Value, plain) {
				t.Errorf("record %d holds a plaintext of %d bytes behind the protection", i+1, len(plain))
			}
		}
	}
}

func TestEveryBuiltinIsTakenByTheEngine(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s, err := Builtin(name)
			if err != nil {
				t.Fatal(err)
			}
			in := s.Describe()
			t.Logf("%+v", in)
			protectAll(t, s)
		})
	}
}
