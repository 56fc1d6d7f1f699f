package fieldcrypt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// oneField is the schema of a record with one field x.
func oneField(typ, tag string) string {
	return `{"type": "record", "name": "com.example.R", "fields": [{"name": "x", "type": ` + typ + `, "confluent:tags": ["` + tag + `"]}]}`
}

// everyAction has a tag for each action.
const everyAction = `
version: 1
keys: {k: {kek: "local:k"}}
rules:
  - {tag: ENC, action: encrypt, key: k}
  - {tag: MASK, action: mask, keep_last: 4}
  - {tag: CONST, action: constant, value: "CANARY-of-the-policy"}
  - {tag: DROP, action: drop}
`

func compileText(t *testing.T, policy, schemaText, topic string) (*fieldcrypt.Plan, error) {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	keys, err := datakey.New(w.kms)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	s, err := avro.Parse(avroText(schemaText))
	if err != nil {
		t.Fatal(err)
	}
	return fieldcrypt.Compile(s, p, keys, topic)
}

// Every action against every type: what fits is compiled, and what does not is
// refused before the first record, with all that is needed to find it.
func TestAnActionFitsItsTypeOrIsRefusedWhenThePlanIsMade(t *testing.T) {
	const (
		enum    = `{"type": "enum", "name": "E", "symbols": ["A"]}`
		fixed   = `{"type": "fixed", "name": "F", "size": 4}`
		decimal = `{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}`
		uuid    = `{"type": "string", "logicalType": "uuid"}`
		millis  = `{"type": "long", "logicalType": "timestamp-millis"}`
	)
	null := func(typ string) string { return `["null", ` + typ + `]` }
	// fits lists the actions that a type takes.
	types := []struct{ name, typ, fits, word string }{
		{"a string", `"string"`, "ENC MASK CONST", ""},
		{"a nullable string", null(`"string"`), "ENC MASK CONST DROP", ""},
		{"a string that null follows", `["string", "null"]`, "ENC MASK CONST DROP", ""},
		{"bytes", `"bytes"`, "ENC CONST", "bytes"},
		{"nullable bytes", null(`"bytes"`), "ENC CONST DROP", "bytes"},
		{"a union of string and bytes", `["string", "bytes"]`, "ENC CONST", "bytes"},
		{"strings in an array", `{"type": "array", "items": "string"}`, "ENC MASK CONST", ""},
		{"strings in a map", `{"type": "map", "values": "string"}`, "ENC MASK CONST", ""},
		{"nullable strings in a map", `{"type": "map", "values": ` + null(`"string"`) + `}`, "ENC MASK CONST DROP", ""},
		{"a record of a string", `{"type": "record", "name": "I", "fields": [{"name": "y", "type": "string"}]}`, "ENC MASK CONST", ""},
		{"a record with an int among its fields", `{"type": "record", "name": "I", "fields": [{"name": "y", "type": "string"}, {"name": "z", "type": "int"}]}`, "ENC", "int"},
		{"an int", `"int"`, "ENC", "int"},
		{"a nullable int", null(`"int"`), "ENC DROP", "int"},
		{"a long", `"long"`, "ENC", "long"},
		{"a float", `"float"`, "ENC", "float"},
		{"a double", `"double"`, "ENC", "double"},
		{"a boolean", `"boolean"`, "ENC", "boolean"},
		{"an enum", enum, "ENC", "enum"},
		{"a nullable enum", null(enum), "ENC DROP", "enum"},
		{"a fixed", fixed, "ENC", "fixed"},
		{"a nullable fixed", null(fixed), "ENC DROP", "fixed"},
		{"a decimal", decimal, "ENC", "decimal"},
		{"a nullable decimal", null(decimal), "ENC DROP", "decimal"},
		{"a UUID", uuid, "ENC", "uuid"},
		{"a nullable UUID", null(uuid), "ENC DROP", "uuid"},
		{"a timestamp", millis, "ENC", "timestamp-millis"},
		{"a union with a branch that cannot be protected", `["null", "string", "int"]`, "ENC DROP", "int"},
	}
	names := map[string]string{"ENC": "encrypt", "MASK": "mask", "CONST": "constant", "DROP": "drop"}
	for _, tt := range types {
		for tag, action := range names {
			t.Run(tt.name+" under "+action, func(t *testing.T) {
				plan, err := compileText(t, everyAction, oneField(tt.typ, tag), "topic")
				if strings.Contains(" "+tt.fits+" ", " "+tag+" ") {
					if err != nil {
						t.Fatal(err)
					}
					if a := plan.Actions(); len(a) == 0 || a[0].Action != action || a[0].Tag != tag {
						t.Errorf("the plan does %v", a)
					}
					return
				}
				checkCode(t, "compile", err, fieldcrypt.CodePolicy)
				e, ok := errors.AsType[*fieldcrypt.Error](err)
				if !ok || plan != nil {
					t.Fatalf("plan %v, error %v", plan, err)
				}
				if !strings.HasPrefix(e.Path, "/x") || e.Tag != tag || e.Action != action || e.Topic != "topic" || e.Retryable() {
					t.Errorf("%+v", e)
				}
				for _, want := range []string{`topic "topic"`, "/x", "(tag " + tag + ")", action} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error has no %q: %v", want, err)
					}
				}
				if tag != "DROP" && !strings.Contains(err.Error(), tt.word) {
					t.Errorf("the error has no %q: %v", tt.word, err)
				}
				if strings.Contains(err.Error(), "CANARY") {
					t.Errorf("the error holds the constant: %v", err)
				}
			})
		}
	}
}

func TestWhatAPolicyCoversAndWhatItRefuses(t *testing.T) {
	const clear = `{"type": "record", "name": "Clear", "fields": [{"name": "x", "type": "string"}]}`
	tests := []struct {
		name, policy, schema string
		code                 fieldcrypt.Code
		text                 string // part of the error, or the actions as path:action
	}{
		{"a tag without a rule", "rules: [{tag: PII, action: drop}]", oneField(`"string"`, "HEALTH"), fieldcrypt.CodePolicy, `"HEALTH"`},
		{"a tag that only begins like one with a rule", "rules: [{tag: PII, action: drop}]", oneField(`"string"`, "PIIX"), fieldcrypt.CodePolicy, `"PIIX"`},
		{"a tag above one with a rule", "rules: [{tag: PII.A, action: drop}]", oneField(`"string"`, "PII"), fieldcrypt.CodePolicy, `"PII"`},
		{"an ignored tag", "ignore_tags: [HEALTH]\nrules: [{tag: PII, action: drop}]", oneField(`"string"`, "HEALTH.X"), "", ""},
		{
			"an ignored tag beside one that is neither", "ignore_tags: [PUBLIC]\nrules: [{tag: PII, action: drop}]",
			oneField(`"string"`, `PUBLIC", "HEALTH`), fieldcrypt.CodePolicy, `"HEALTH"`,
		},
		{"an ignored tag beside one with a rule", "ignore_tags: [PUBLIC]\nrules: [{tag: PII, action: constant, value: x}]", oneField(`"string"`, `PUBLIC", "PII`), "", "/x:constant"},
		{"no tags", "rules: [{tag: PII, action: drop}]", clear, fieldcrypt.CodeUntagged, "no tags"},
		{"no tags, which the policy allows", "untagged_schema: allow\nrules: [{tag: PII, action: drop}]", clear, "", ""},
		{
			"no tags, which the topic allows", "rules: [{tag: PII, action: drop}]\ntopics: [{match: topic, untagged_schema: allow}]",
			clear, "", "",
		},
		{
			"no tags, which the topic forbids", "untagged_schema: allow\nrules: [{tag: PII, action: drop}]\ntopics: [{match: topic, untagged_schema: reject}]",
			clear, fieldcrypt.CodeUntagged, "no tags",
		},
		{"no tags, but a field of the topic", "topics: [{match: topic, fields: [{path: /x, action: constant, value: c}]}]", clear, "", "/x:constant"},
		{
			"a field of the topic that does not exist", "topics: [{match: topic, fields: [{path: /y, action: drop}]}]",
			clear, fieldcrypt.CodePolicy, "/y",
		},
		{
			"a field of the topic that is no leaf", "topics: [{match: topic, fields: [{path: /x, action: drop}]}]",
			`{"type": "record", "name": "R", "fields": [{"name": "x", "type": {"type": "array", "items": "string"}}]}`,
			fieldcrypt.CodePolicy, "/x",
		},
		{
			"a field of the topic that the action does not fit", "topics: [{match: topic, fields: [{path: /x, action: drop}]}]",
			clear, fieldcrypt.CodePolicy, "/x",
		},
		{"a topic without an entry", "rules: [{tag: PII, action: drop}]\ntopics: [{match: other}]", clear, fieldcrypt.CodeUngoverned, `"topic"`},
		{
			"a path of the topic before its tags, those before the policy's",
			`rules: [{tag: PII, action: mask, keep_first: 1}]
topics: [{match: "t*", rules: [{tag: PII, action: constant, value: c}], fields: [{path: /a, action: mask, keep_last: 1}]}]`,
			`{"type": "record", "name": "R", "fields": [
			  {"name": "a", "type": "string", "confluent:tags": ["PII"]}, {"name": "b", "type": "string", "confluent:tags": ["PII"]}]}`,
			"", "/a:mask /b:constant",
		},
		{
			"the first rule, whatever the order of the tags", "rules: [{tag: B, action: constant, value: c}, {tag: A, action: mask, keep_first: 1}]",
			oneField(`"string"`, `A", "B`), "", "/x:constant",
		},
		{
			"a tag on a named type, wherever it is used", "rules: [{tag: PII, action: mask, keep_first: 0}]",
			`{"type": "record", "name": "R", "fields": [
			  {"name": "a", "type": {"type": "record", "name": "P", "confluent:tags": ["PII"], "fields": [{"name": "v", "type": "string"}]}},
			  {"name": "b", "type": {"type": "array", "items": "P"}}, {"name": "c", "type": "string"}]}`,
			"", "/a/v:mask /b/[]/v:mask",
		},
		{
			"a tag on the root covers all", "rules: [{tag: PII, action: mask, keep_first: 0}]",
			`{"type": "record", "name": "R", "confluent:tags": ["PII"], "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": ["null", "string"]}]}`,
			"", "/a:mask /b:mask",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := compileText(t, "version: 1\n"+tt.policy, tt.schema, "topic")
			checkCode(t, "compile", err, tt.code)
			if tt.code != "" {
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("the error has no %q: %v", tt.text, err)
				}
				return
			}
			var got []string
			if plan != nil {
				for _, a := range plan.Actions() {
					got = append(got, a.Path+":"+a.Action)
				}
			}
			if strings.Join(got, " ") != tt.text {
				t.Errorf("the plan does %q, want %q", got, tt.text)
			}
		})
	}
}

// FV-20: names that are too long together are refused before a value is sealed.
func TestAContextThatIsTooLongIsRefused(t *testing.T) {
	// Paths may have 4096 bytes, and the other parts need some of them.
	name := "n" + strings.Repeat("x", 4050)
	text := `{"type": "record", "name": "com.example.R", "fields": [{"name": "` + name + `", "type": "string", "confluent:tags": ["ENC"]}]}`
	plan, err := compileText(t, everyAction, text, "topic")
	if err == nil {
		src := []byte("\x02s")
		var (
			out    []byte
			blocks [][]byte
		)
		if out, blocks, err = plan.AppendProtected(t.Context(), "", []byte("before"), src, nil); string(out) != "before" || blocks != nil {
			t.Errorf("%q and %d key blocks came back beside the error", out, len(blocks))
		}
	}
	checkCode(t, "a long path", err, fieldcrypt.CodeTooLarge)

	// A tenant is known only with the record.
	plan, err = compileText(t, everyAction, oneField(`"string"`, "ENC"), "topic")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{4096, 70_000} {
		_, _, err = plan.AppendProtected(t.Context(), strings.Repeat("t", n), nil, []byte("\x02s"), nil)
		checkCode(t, "a long tenant", err, fieldcrypt.CodeTooLarge)
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("the error holds the tenant: %d bytes", len(err.Error()))
		}
	}
}

func TestNewAndCompileNeedTheirParts(t *testing.T) {
	w := newWorld(t)
	p, err := fieldcrypt.ParsePolicy([]byte(everyAction))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	s, err := avro.Parse(avroText(oneField(`"string"`, "ENC")))
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"New without a policy":     func() error { _, err := fieldcrypt.New(nil, keys); return err },
		"New without a cache":      func() error { _, err := fieldcrypt.New(p, nil); return err },
		"Compile without a schema": func() error { _, err := fieldcrypt.Compile(nil, p, keys, "t"); return err },
		"Compile without a policy": func() error { _, err := fieldcrypt.Compile(s, nil, keys, "t"); return err },
		"Compile without a cache":  func() error { _, err := fieldcrypt.Compile(s, p, nil, "t"); return err },
		"New with a bad schema": func() error {
			_, err := fieldcrypt.New(p, keys, fieldcrypt.WithTopicSchema("t", avroText("{")))
			return err
		},
		"New with an unfit schema": func() error {
			_, err := fieldcrypt.New(p, keys, fieldcrypt.WithTopicSchema("t", avroText(oneField(`"int"`, "MASK"))))
			return err
		},
		"New with an untagged tags": func() error {
			_, err := fieldcrypt.New(p, keys, fieldcrypt.WithTopicSchema("t", avroText(oneField(`"string"`, "NEW"))))
			return err
		},
	} {
		if do() == nil {
			t.Errorf("%s went well", name)
		}
	}
}
