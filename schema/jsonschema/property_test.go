package jsonschema

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// protectedScalars lists the scalars of a record that are not in clear in its
// protected form.
func protectedScalars(original, protected any, path string, out map[string]bool, inside bool) {
	if s, ok := protected.(string); ok && strings.HasPrefix(s, envelope) {
		inside = true
	}
	switch v := original.(type) {
	case dict:
		p, _ := protected.(dict)
		for name, x := range v {
			protectedScalars(x, p[name], path+"/"+name, out, inside)
		}
	case []any:
		p, _ := protected.([]any)
		for i, x := range v {
			var y any
			if i < len(p) {
				y = p[i]
			}
			protectedScalars(x, y, path+"/"+strconv.Itoa(i), out, inside)
		}
	case nil:
	default:
		out[path] = inside
	}
}

// described are the reasons for which a record is refused that the validator takes.
func described(err error) bool {
	fault, ok := errors.AsType[*schema.MalformedError](err)
	return ok && slices.Contains([]string{
		"member that the schema does not describe", "item that the schema does not describe",
		"value of a type that the schema does not describe",
	}, fault.Reason)
}

// TestRandomSchemas compares which values of random records are protected with
// what an independent walk over schema and record finds, and checks that what is
// protected satisfies the derived schema and comes back.
func TestRandomSchemas(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 300
	}
	var parsed, valid, accepted, derivable, tried int
	for seed := range rounds {
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 1))}
		doc := g.document()
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(textOf(string(text)))
		if err != nil {
			if !refusable(err) {
				t.Fatalf("seed %d: %s: %v", seed, text, err)
			}
			continue
		}
		parsed++
		edits := wrapTagged(s)
		there, back := compile(t, s, edits)
		tried++
		derivedText, _, err := s.Derive(edits, schema.Origin{ID: 1})
		var derived *Schema
		var viaDerived schema.Program
		if err == nil {
			derivable++
			derived = parse(t, derivedText.Schema)
			if viaDerived, err = derived.Restore(edits, schema.RejectUnknown); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, text, err)
			}
		} else if _, ok := errors.AsType[*FitError](err); !ok {
			t.Fatalf("seed %d: %s: %v", seed, text, err)
		}
		for range 8 {
			record := g.value(doc, []any{doc}, 0)
			ok := s.Validate([]byte(record)) == nil
			if ok {
				valid++
			}
			out, err := there.Rewrite(nil, []byte(record), sealing)
			if err != nil {
				if !described(err) {
					t.Fatalf("seed %d: %s: %s: %v", seed, text, record, err)
				}
				continue
			}
			if ok {
				accepted++
			}
			o := &oracle{root: doc, tagged: map[string]bool{}}
			o.apply([]any{doc}, decode(record), "", false)
			got := map[string]bool{}
			protectedScalars(decode(record), decode(string(out)), "", got, false)
			for path, want := range o.tagged {
				if want && !got[path] {
					t.Fatalf("seed %d: %s:\n%s\n%s\n%s is in clear\n%s", seed, text, record, out, path, describe(s))
				}
				if ok && !want && got[path] {
					t.Fatalf("seed %d: %s:\n%s\n%s\n%s is protected\n%s", seed, text, record, out, path, describe(s))
				}
			}
			if again := rewrite(t, back, string(out), opening); again != record {
				t.Fatalf("seed %d: %s:\n%s came back as\n%s", seed, text, record, again)
			}
			if derived == nil {
				continue
			}
			if err := derived.Validate(out); ok && err != nil {
				t.Fatalf("seed %d: %s:\n%s\n%s\n%s\n%v", seed, text, derivedText.Schema, record, out, err)
			}
			if again := rewrite(t, viaDerived, string(out), opening); again != record {
				t.Fatalf("seed %d: %s:\n%s came back by the derived schema as\n%s", seed, text, record, again)
			}
		}
	}
	t.Logf("%d schemas, %d derivable of %d; %d valid records, %d accepted", parsed, derivable, tried, valid, accepted)
	if parsed < rounds/2 || derivable < tried/2 || accepted*10 < valid*9 {
		t.Errorf("the generator does not reach enough: %d schemas, %d derivable of %d; %d valid records, %d accepted",
			parsed, derivable, tried, valid, accepted)
	}
}

// refusable tells whether a random schema may be refused.
func refusable(err error) bool {
	for _, s := range []string{"applies to no value", "refers to itself", "takes no value", "expands to more", "items behind it are", "nests deeper", "nothing but containers"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}
