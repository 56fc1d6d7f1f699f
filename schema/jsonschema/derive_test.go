package jsonschema

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// wrapping returns the edits that wrap the fields of some paths.
func wrapping(tb testing.TB, s *Schema, paths ...string) []schema.Edit {
	tb.Helper()
	var edits []schema.Edit
	for i, f := range s.Fields() {
		if slices.Contains(paths, f.Path) {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
		}
	}
	if len(edits) < len(paths) {
		tb.Fatalf("not all of %v are fields of\n%s", paths, describe(s))
	}
	return edits
}

func TestDerive(t *testing.T) {
	const mark = `"fieldveil.derived":{"id":7,"sha256":"ab` + "00000000000000000000000000000000000000000000000000000000000000" + `"}`
	origin := schema.Origin{ID: 7, Digest: [32]byte{0xab}}
	for _, c := range []struct {
		name, schema string
		wrap         []string
		want         string // empty for no change
	}{
		{"a string stays as it is", `{"properties":{"a":{"type":"string"},"b":{"type":["null","string"]},"c":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/s"}]}},"definitions":{"s":{"type":"string","title":"S"}}}`, []string{"/a", "/b", "/c"}, ""},
		{
			"an integer", `{"$id":"x","properties":{"a":{"title":"A","description":"an a","type":"integer","maximum":1e2,"confluent:tags":["T"]}},"x":1.50}`, []string{"/a"},
			`{"$id":"x","properties":{"a":{"title":"A","description":"an a","confluent:tags":["T"],"type":"string","fieldveil.type":{"title":"A","description":"an a","type":"integer","maximum":1e2,"confluent:tags":["T"]}}},"x":1.50,` + mark + `}`,
		},
		{
			"what may be null still may", `{"properties":{"a":{"type":["integer","null"]}}}`, []string{"/a"},
			`{"properties":{"a":{"type":["string","null"],"fieldveil.type":{"type":["integer","null"]}}},` + mark + `}`,
		},
		{
			"a string with a length", `{"properties":{"a":{"type":"string","maxLength":3},"b":{"type":"string"}}}`, []string{"/a", "/b"},
			`{"properties":{"a":{"type":"string","fieldveil.type":{"type":"string","maxLength":3}},"b":{"type":"string"}},` + mark + `}`,
		},
		{
			"a container", `{"properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}}}}}`, []string{"/a"},
			`{"properties":{"a":{"type":"string","fieldveil.type":{"type":"object","properties":{"b":{"type":"integer"}}}}},` + mark + `}`,
		},
		{
			"an array with an item", `{"properties":{"a":{"type":"array","uniqueItems":true,"items":{"type":"integer"}}}}`, []string{"/a/[]"},
			`{"properties":{"a":{"type":"array","fieldveil.uniqueItems":true,"items":{"type":"string","fieldveil.type":{"type":"integer"}}}},` + mark + `}`,
		},
		{
			"a definition is copied", `{"properties":{"a":{"$ref":"#/definitions/o"},"b":{"$ref":"#/definitions/o"}},"definitions":{"o":{"properties":{"v":{"type":"integer"}}}}}`, []string{"/a/v"},
			`{"properties":{"a":{"$ref":"#/definitions/fieldveil.o.1"},"b":{"$ref":"#/definitions/o"}},"definitions":{"o":{"properties":{"v":{"type":"integer"}}},"fieldveil.o.1":{"properties":{"v":{"type":"string","fieldveil.type":{"type":"integer"}}},"fieldveil.copy":"/definitions/o"}},` + mark + `}`,
		},
		{
			"a oneOf becomes an anyOf", `{"oneOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{}}}]}`, []string{"/a"},
			`{"fieldveil.oneOf":true,"anyOf":[{"properties":{"a":{"type":"string","fieldveil.type":{"type":"integer"}}}},{"properties":{"b":{}}}],` + mark + `}`,
		},
		{
			"additional members of any kind", `{"additionalProperties":true}`, []string{"/{}"},
			`{"additionalProperties":{"type":["string","null"],"fieldveil.type":true},` + mark + `}`,
		},
		{
			"the root", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"integer"}`, []string{"/"},
			`{"$schema":"http://json-schema.org/draft-07/schema#","type":"string","fieldveil.type":{"$schema":"http://json-schema.org/draft-07/schema#","type":"integer"},` + mark + `}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, c.schema)
			text, changed, err := s.Derive(wrapping(t, s, c.wrap...), origin)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" {
				want = c.schema
			}
			if text.Schema != want || changed != (c.want != "") {
				t.Errorf("derived, changed is %t:\n got %s\nwant %s", changed, text.Schema, want)
			}
			d := parse(t, text.Schema)
			if got := strings.ReplaceAll(describe(d), "!", ""); got != describe(s) {
				t.Errorf("fields:\n%s\nwant\n%s", got, describe(s))
			}
		})
	}
}

func TestEditsThatHaveNoDerivedSchema(t *testing.T) {
	for _, c := range []struct {
		name, schema, path, want string
	}{
		{"one of two uses by reference into a place", `{"properties":{"a":{"type":"integer"},"b":{"$ref":"#/properties/a"}}}`, "/a", "refers to a value that is wrapped"},
		{"not", `{"properties":{"a":{"type":"integer"}},"allOf":[{"not":{"properties":{"a":{"const":1}}}}]}`, "/a", "not depends"},
		{"if", `{"properties":{"a":{"type":"integer"}},"allOf":[{"if":{"properties":{"a":{"const":1}}},"then":{"required":["b"]}}]}`, "/a", "if depends"},
		{"an enum around it", `{"properties":{"a":{"properties":{"b":{"type":"integer"}}}},"enum":[{"a":{"b":1}}]}`, "/a/b", "enum or const"},
		{"some of the additional members", `{"allOf":[{"properties":{"a":{"type":"integer"}}},{"additionalProperties":{"type":"integer"}}]}`, "/a", "same subschema"},
		{"oneOf beside anyOf", `{"oneOf":[{"properties":{"a":{"type":"integer"}}}],"anyOf":[{}]}`, "/a", "side by side"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, c.schema)
			_, _, err := s.Derive(wrapping(t, s, c.path), schema.Origin{})
			fit, ok := errors.AsType[*FitError](err)
			if !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Derive: %v, want %q", err, c.want)
			}
			if fit.Path == "" || fit.Type == "" {
				t.Errorf("%+v does not tell where", fit)
			}
		})
	}
	t.Run("a referenced text", func(t *testing.T) {
		s, err := Parse(schema.Text{
			Format: schema.JSONSchema, Schema: `{"properties":{"a":{"$ref":"x.json"},"b":{"$ref":"x.json"}}}`,
			References: []string{`{"properties":{"v":{"type":"integer"}}}`}, Names: []string{"x.json"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Derive(wrapping(t, s, "/a/v"), schema.Origin{}); err == nil || !strings.Contains(err.Error(), "referenced text") {
			t.Errorf("Derive: %v", err)
		}
		text, changed, err := s.Derive(wrapping(t, s, "/a"), schema.Origin{})
		if err != nil || !changed {
			t.Fatalf("Derive: %t, %v", changed, err)
		}
		d, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if want := "/a record?!\n/a/v integer?\n/b record?\n/b/v integer?\n"; describe(d) != want {
			t.Errorf("fields:\n%s\nwant\n%s", describe(d), want)
		}
	})
	s := parse(t, `{"properties":{"a":{"type":"integer"}}}`)
	if _, _, err := s.Derive([]schema.Edit{{Field: 1, Op: schema.Wrap}}, schema.Origin{}); err == nil {
		t.Error("an edit of no field was taken")
	}
	if _, _, err := s.Derive(wrapping(t, s, "/a"), schema.Origin{ID: -1}); err == nil {
		t.Error("a negative id was taken")
	}
}

func TestDerivedSchemasAreReadOnly(t *testing.T) {
	s := parse(t, `{"properties":{"a":{"type":"integer"},"o":{"properties":{"b":{"type":"integer"},"c":{"type":"string"}}},"s":{"type":"string"}}}`)
	text, _, err := s.Derive(wrapping(t, s, "/a", "/o"), schema.Origin{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, text.Schema)
	if want := "/a integer?!\n/o record?!\n/o/b integer?\n/o/c string?\n/s string?\n"; describe(d) != want {
		t.Fatalf("fields:\n%s\nwant\n%s", describe(d), want)
	}
	for _, path := range []string{"/a", "/o", "/o/b"} {
		if _, err := d.Compile(wrapping(t, d, path), schema.RejectUnknown); err == nil || !strings.Contains(err.Error(), "protected already") {
			t.Errorf("Compile of %s: %v", path, err)
		}
	}
	if _, err := d.Restore(wrapping(t, d, "/o/b"), schema.RejectUnknown); err == nil {
		t.Error("a field inside of a wrapped one can be restored")
	}
	if _, err := d.Restore([]schema.Edit{{Field: 0, Op: schema.Replace}}, schema.RejectUnknown); err == nil {
		t.Error("a wrapped field can be replaced")
	}
	if _, _, err := d.Derive(wrapping(t, d, "/s"), schema.Origin{}); err != nil {
		t.Errorf("Derive of a string: %v", err)
	}
	if _, _, err := d.Derive(wrapping(t, d, "/a"), schema.Origin{}); err == nil {
		t.Error("a derived schema has a derived one")
	}
	back, err := d.Restore(wrapping(t, d, "/a", "/o"), schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	record := `{"a":"` + seal("1.0") + `","o":"` + seal(`{"b": 1}`) + `","s":"x"}`
	if got, want := rewrite(t, back, record, opening), `{"a":1.0,"o":{"b": 1},"s":"x"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What a new version of a schema accepts, its derived schema accepts as well, when
// the versions differ in what is not wrapped, or in what a wrapped value may be.
func TestDerivedSchemasEvolveWithTheirOriginals(t *testing.T) {
	const v1 = `{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer","confluent:tags":["T"]},"l":{"type":"array","items":{"type":"integer","confluent:tags":["T"]}}},"required":["id","n"],"additionalProperties":false}`
	for _, c := range []struct{ name, schema string }{
		{"a member more", `{"type":"object","properties":{"id":{"type":"string"},"new":{"type":"integer"},"n":{"type":"integer","confluent:tags":["T"]},"l":{"type":"array","items":{"type":"integer","confluent:tags":["T"]}}},"required":["id","n"],"additionalProperties":false}`},
		{"a tagged member more", `{"type":"object","properties":{"id":{"type":"string"},"new":{"type":"number","confluent:tags":["T"]},"n":{"type":"integer","confluent:tags":["T"]},"l":{"type":"array","items":{"type":"integer","confluent:tags":["T"]}}},"required":["id"],"additionalProperties":false}`},
		{"a wider type", `{"type":"object","properties":{"id":{"type":["string","null"]},"n":{"type":["number","null"],"confluent:tags":["T"]},"l":{"type":"array","items":{"type":"number","confluent:tags":["T"]}}},"required":["id","n"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, next := parse(t, v1), parse(t, c.schema)
			edits := wrapTagged(next)
			text, _, err := next.Derive(edits, schema.Origin{})
			if err != nil {
				t.Fatal(err)
			}
			derived := parse(t, text.Schema)
			there, _ := compile(t, old, wrapTagged(old))
			for _, record := range []string{`{"id":"x","n":1}`, `{"id":"","n":2,"l":[]}`, `{"id":"y","n":-3,"l":[1,2,3]}`} {
				for _, s := range []*Schema{old, next} {
					if err := s.Validate([]byte(record)); err != nil {
						t.Fatal(err)
					}
				}
				out := rewrite(t, there, record, sealing)
				if err := derived.Validate([]byte(out)); err != nil {
					t.Errorf("%s does not satisfy %s: %v", out, text.Schema, err)
				}
				back, err := derived.Restore(edits, schema.RejectUnknown)
				if err != nil {
					t.Fatal(err)
				}
				if got := rewrite(t, back, out, opening); got != record {
					t.Errorf("%s came back as %s", record, got)
				}
			}
		})
	}
}

func TestValidate(t *testing.T) {
	s := parse(t, `{"type":"object","properties":{"mail":{"type":"string","format":"email"},"n":{"type":"integer","maximum":9},"l":{"items":{"enum":["x"]}},"o":{"properties":{"p":{"pattern":"^a$"}},"additionalProperties":{"const":"c"}}},"required":["mail"],"propertyNames":{"maxLength":9},"not":{"required":["bad"]}}`)
	for _, c := range []struct{ record, want string }{
		{`{"mail":"a@b.example","n":9,"l":["x"],"o":{"p":"a","q":"c"}}`, ""},
		{`{"mail":"secret"}`, "/mail: format"},
		{`{}`, "/: required"},
		{`"secret"`, "/: type"},
		{`{"mail":"a@b.example","n":12345678901234567890}`, "/n: maximum"},
		{`{"mail":"a@b.example","n":1.5}`, "/n: type"},
		{`{"mail":"a@b.example","n":1.0}`, ""},
		{`{"mail":"a@b.example","l":["x","secret"]}`, "/l/[]: enum"},
		{`{"mail":"a@b.example","o":{"p":"secret"}}`, "/o/p: pattern"},
		{`{"mail":"a@b.example","o":{"secret":"s"}}`, "/o/{}: const"},
		{`{"mail":"a@b.example","secretsecret":1}`, "/: maxLength"},
		{`{"mail":"a@b.example","bad":1}`, "/: not"},
	} {
		err := s.Validate([]byte(c.record))
		got := ""
		if fault, ok := errors.AsType[*ValidationError](err); ok {
			got = fault.Path + ": " + fault.Keyword
		} else if err != nil {
			t.Errorf("%s: %v", c.record, err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.record, got, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error holds data: %v", err)
		}
	}
}
