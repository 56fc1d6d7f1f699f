package input

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
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
			protectAll(t, madeOf(t, name, 15))
		})
	}
}

func TestBuiltinsHaveTheSizeThatTheirNamesSay(t *testing.T) {
	tests := map[string][2]float64{ // name, and bounds of the mean size
		"customer-avro": {500, 720}, "customer-json": {500, 720}, "customer-protobuf": {500, 720},
		"customer-avro-10k": {9_500, 11_000}, "customer-json-10k": {9_500, 11_000}, "customer-protobuf-10k": {9_500, 11_000},
	}
	for _, name := range Names() {
		large := strings.HasSuffix(name, "-10k")
		s := madeOf(t, name, 40)
		if !large {
			s = builtinOf(t, name)
		}
		in := s.Describe()
		if want, ok := tests[name]; ok && (in.Bytes < want[0] || in.Bytes > want[1]) {
			t.Errorf("%s: %v bytes", name, in.Bytes)
		}
		if in.Protected == 0 || len(s.Tagged) != len(s.Records) {
			t.Errorf("%s: %v values are protected, %d records of %d were looked at", name, in.Protected, len(s.Tagged), len(s.Records))
		}
		if !in.Synthetic {
			continue
		}
		known := make(map[string]bool)
		for _, r := range s.Records {
			known[string(r.Value)] = true
		}
		if len(known) < 200 && len(known) < len(s.Records) || !large && len(s.Records) < 200 {
			t.Errorf("%s: %d distinct records of %d", name, len(known), len(s.Records))
		}
	}
}

// madeOf returns a built-in workload of a few records.
func madeOf(tb testing.TB, name string, count int) *Set {
	tb.Helper()
	s, err := makeBuiltin(tb.Context(), name, DefaultSeed, count)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func builtinOf(tb testing.TB, name string) *Set {
	tb.Helper()
	s, err := Builtin(name)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestBuiltinsAreTheSameEveryTime(t *testing.T) {
	for _, name := range Names() {
		a, b := madeOf(t, name, 10), madeOf(t, name, 10)
		for i := range a.Records {
			if !bytes.Equal(a.Records[i].Value, b.Records[i].Value) || !bytes.Equal(a.Records[i].Key, b.Records[i].Key) {
				t.Fatalf("%s: record %d differs", name, i+1)
			}
		}
		other, err := makeBuiltin(t.Context(), name, DefaultSeed+1, 10)
		if err != nil {
			t.Fatal(err)
		}
		if a.Synthetic == bytes.Equal(a.Records[0].Value, other.Records[0].Value) {
			t.Errorf("%s: another seed matters: %v", name, !a.Synthetic)
		}
	}
}

func TestPoliciesOfBuiltinsLeaveNothingToAsk(t *testing.T) {
	for _, name := range Names() {
		s := madeOf(t, name, 1)
		p, err := fieldcrypt.ParsePolicy(s.Policy)
		if err != nil {
			t.Fatal(err)
		}
		found := p.Lint()
		if s.Framed {
			parsed, err := parse(s.Text)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := datakey.New(s.KMS)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(keys.Close)
			plan, err := fieldcrypt.Compile(parsed, p, keys, s.Topic)
			if err != nil {
				t.Fatal(err)
			}
			if _, derived := plan.Derived(); derived {
				t.Errorf("%s: needs a derived schema", name)
			}
			found = append(found, plan.Lint()...)
		}
		for _, f := range found {
			if f.Severity != fieldcrypt.SeverityInfo {
				t.Errorf("%s: %v", name, f)
			}
		}
	}
}

func TestTaggedIsWhatTheFixedCasesList(t *testing.T) {
	for _, b := range builtins() {
		if b.fixed == nil {
			continue
		}
		s := builtinOf(t, b.name)
		if s.Text.Format == schema.JSONSchema {
			// A value of JSON is sealed as it is written.
			for i, plain := range s.Tagged[0] {
				s.Tagged[0][i] = bytes.Trim(plain, `"`)
			}
		}
		if want := b.fixed().Tagged; !slices.EqualFunc(s.Tagged[0], want, bytes.Equal) {
			t.Errorf("%s: found %q, the case lists %q", b.name, s.Tagged[0], want)
		}
	}
}

func TestABuiltinThatThereIsNotIsAnError(t *testing.T) {
	_, err := Builtin("order-xml")
	if err == nil || !strings.Contains(err.Error(), "customer-avro") {
		t.Errorf("error %v does not list those that there are", err)
	}
}

func TestHelpNamesEveryBuiltin(t *testing.T) {
	f, _ := reflect.TypeFor[Options]().FieldByName("Workload")
	for _, name := range Names() {
		if !strings.Contains(f.Tag.Get("help"), name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestABuiltInWorkloadMovesToAnotherTopic(t *testing.T) {
	for _, name := range Names() {
		s, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		old := s.Topic
		if err := s.Move("elsewhere"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := fieldcrypt.ParsePolicy(s.Policy)
		if err != nil || s.Topic != "elsewhere" {
			t.Fatalf("%s: topic %q, %v", name, s.Topic, err)
		}
		if bytes.Contains(s.Policy, []byte("match: "+old)) || !bytes.Contains(s.Policy, []byte("match: elsewhere")) || len(p.Keys()) == 0 {
			t.Errorf("%s: %s", name, s.Policy)
		}
	}
	own := &Set{Topic: "mine", Policy: []byte("version: 1\ntopics: [{match: mine}]\n")}
	if err := own.Move("yours"); err == nil || own.Topic != "mine" {
		t.Errorf("the user's own policy was moved: %v", err)
	}
}
