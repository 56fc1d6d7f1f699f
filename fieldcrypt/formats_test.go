package fieldcrypt_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema/avro"
)

const formatRules = `
version: 1
dataset: people
domain_keys:
  ids: {kek: "local:k", versions: [%s]}
rules:
  - {tag: PAN, action: encrypt, key: ids, mode: format-preserving, separators: " -", keep_last: 4, luhn: break, join: card}
  - {tag: REF, action: encrypt, key: ids, mode: format-preserving, alphabet: alnum-upper}
  - {tag: MAIL, action: hash, key: ids, join: mail}
  - {tag: ID, action: encrypt, key: ids, mode: deterministic, join: person}
topics: [{match: "*"}]
`

const formatFields = `{"name": "pan", "type": ["null", "string"], "confluent:tags": ["PAN"]},
	{"name": "ref", "type": "string", "confluent:tags": ["REF"]},
	{"name": "mail", "type": "string", "confluent:tags": ["MAIL"]},
	{"name": "id", "type": "string", "confluent:tags": ["ID"]}`

func person() map[string]any {
	return map[string]any{"pan": "4111 1111 1111 1111", "ref": "AB12CD34", "mail": "ada@example.com", "id": "42"}
}

// FV-90: the version travels in the header, and reading follows it.
func TestFormatPreservingValuesComeBackUnderTheVersionThatTheRecordNames(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(formatFields))
	first, second := w.domainKey(""), w.domainKey("")
	before, after := fmt.Sprintf(formatRules, first), fmt.Sprintf(formatRules, first+", "+second)
	in := fieldcrypt.Record{Topic: "t", Value: w.framed(1, person())}

	old, err := w.engine(before).Protect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	recent, err := w.engine(after).Protect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	was, is := w.decoded(1, old.Value), w.decoded(1, recent.Value)
	pan, _ := was["pan"].(string)
	if len(pan) != 19 || pan[4] != ' ' || pan[14:] != " 1111" || pan == person()["pan"] {
		t.Errorf("card number %q", pan)
	}
	for name := range person() {
		if was[name] == is[name] {
			t.Errorf("%s is the same under two versions", name)
		}
	}
	for name, rec := range map[string]fieldcrypt.Record{"first": old, "second": recent} {
		back, err := w.engine(after).Reveal(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		got := w.decoded(1, back.Value)
		want := person()
		want["mail"] = w.decoded(1, rec.Value)["mail"] // a hash stays one
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s version: %v", name, got)
		}
	}

	e := w.engine(after)
	for name, headers := range map[string][]fieldcrypt.Header{
		"no header":    nil,
		"two versions": {old.Headers[0], {Key: fieldcrypt.HeaderMeta, Value: recent.Headers[0].Value}},
	} {
		bad := recent
		bad.Headers = headers
		_, err := e.Reveal(t.Context(), bad)
		if f := asFault(t, err); f.Code != fieldcrypt.CodeKeyUnknown {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A version that the policy does not list is no version.
	if _, err := w.engine(before).Reveal(t.Context(), recent); asFault(t, err).Code != fieldcrypt.CodeKeyUnknown {
		t.Errorf("a version from the future: %v", err)
	}
}

func asFault(t *testing.T, err error) *fieldcrypt.Error {
	t.Helper()
	var e *fieldcrypt.Error
	if !errors.As(err, &e) {
		t.Fatalf("no *fieldcrypt.Error: %v", err)
	}
	return e
}

// FV-91, and no value in any text.
func TestValuesThatDoNotFitTheirFormatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(formatFields))
	e := w.engine(fmt.Sprintf(formatRules, w.domainKey("")))
	for name, change := range map[string]map[string]any{
		"letters in a card number": {"pan": "4111 1111 1111 111x"},
		"a wrong check digit":      {"pan": "4111 1111 1111 1112"},
		"too short":                {"ref": "AB1"},
		"lower case":               {"ref": "ab12cd34"},
		"nothing":                  {"ref": ""},
	} {
		v := person()
		for k, x := range change {
			v[k] = x
			_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, v)})
			f := asFault(t, err)
			if f.Code != fieldcrypt.CodeValue || f.Retryable() || f.Path != "/"+k {
				t.Errorf("%s: %v", name, err)
			}
			if s, _ := x.(string); s != "" && strings.Contains(err.Error(), s) {
				t.Errorf("%s: the text holds the value: %v", name, err)
			}
		}
	}
	v := person()
	v["pan"] = nil
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, v)})
	if err != nil || w.decoded(1, out.Value)["pan"] != nil {
		t.Errorf("a null: %v", err)
	}
}

func TestJoinsHoldOverTwoRotations(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(formatFields))
	w.schemas[2] = avroText(strings.Replace(record(formatFields), "com.example.R", "com.example.Order", 1))
	var versions []string
	seen := map[string][]string{}
	var last *fieldcrypt.Engine
	for range 3 {
		versions = append(versions, w.domainKey(""))
		policy := fmt.Sprintf(formatRules, strings.Join(versions, ", "))
		last = w.engine(policy)
		a, err := last.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: w.framed(1, person())})
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.engine(policy).Protect(t.Context(), fieldcrypt.Record{Topic: "orders", Value: w.framed(2, person())})
		if err != nil {
			t.Fatal(err)
		}
		one, two := w.decoded(1, a.Value), w.decoded(2, b.Value)
		for _, name := range []string{"pan", "mail", "id"} {
			if one[name] != two[name] {
				t.Errorf("%s joins no more", name)
			}
			seen[name] = append(seen[name], fmt.Sprint(one[name]))
		}
		if one["ref"] == two["ref"] {
			t.Error("a field without a join is equal in two schemas")
		}
		// All that was written so far is found by the value.
		plan := w.planOf(policy, 1)
		for _, name := range []string{"pan", "mail", "id"} {
			value, _ := person()[name].(string)
			forms, err := plan.Lookup(t.Context(), "", "/"+name, []byte(value))
			if err != nil || len(forms) != len(seen[name]) {
				t.Fatalf("%s: %d forms, %v", name, len(forms), err)
			}
			for i, form := range forms {
				if want := seen[name][len(seen[name])-1-i]; string(form) != want {
					t.Errorf("%s: form %d is %s, not %s", name, i, form, want)
				}
			}
		}
	}
}

// planOf returns the plan of a policy for the schema of id.
func (w *world) planOf(policy string, id int, opts ...fieldcrypt.Option) *fieldcrypt.Plan {
	w.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	skipRefused(w.t, err)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(keys.Close)
	s, err := avro.Parse(w.schemas[id])
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, p, keys, "t", opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return plan
}

func TestLookupIsForWhatCanBeEqual(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "a", "type": "string", "confluent:tags": ["PII"]}, {"name": "b", "type": "string"}`))
	plan := w.planOf(onePolicy("gcm", ""), 1)
	for _, path := range []string{"/a", "/b", "/c"} {
		_, err := plan.Lookup(t.Context(), "", path, []byte("x"))
		if f := asFault(t, err); f.Code != fieldcrypt.CodePolicy || f.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAPlanTellsTheVersionsThatItsValuesCannotName(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(formatFields))
	first, second := w.domainKey(""), w.domainKey("")
	plan := w.planOf(fmt.Sprintf(formatRules, first+", "+second), 1)
	ids, err := plan.Versions("")
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	src := w.framed(1, person())[5:]
	sealed, keys, err := plan.AppendProtected(t.Context(), "", nil, src, nil)
	if err != nil || len(keys) != 0 {
		t.Fatal(err)
	}
	if _, err := plan.AppendRevealed(t.Context(), "", nil, sealed, keys); asFault(t, err).Code != fieldcrypt.CodeKeyUnknown {
		t.Errorf("without a version: %v", err)
	}
	back, err := plan.AppendRevealed(t.Context(), "", nil, sealed, keys, ids...)
	if err != nil || bytes.Equal(back, src) { // the hash stays
		t.Errorf("%v", err)
	}
}
