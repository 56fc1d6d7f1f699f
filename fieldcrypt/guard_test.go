package fieldcrypt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// guardSchema has a tagged field, one with a tag that no rule knows, and a
// record with fields of both kinds.
const guardSchema = `{"type": "record", "name": "com.example.R", "fields": [
  {"name": "email", "type": "string", "confluent:tags": ["PII.EMAIL"]},
  {"name": "plan", "type": "string"},
  {"name": "odd", "type": "string", "confluent:tags": ["ODD"]},
  {"name": "home", "type": {"type": "record", "name": "Home", "fields": [
    {"name": "street", "type": "string", "confluent:tags": ["PII.STREET"]},
    {"name": "city", "type": "string"}
  ]}}
]}`

const guardRules = `
keys: {pii: {kek: "local:k"}}
rules: [{tag: PII, action: encrypt, key: pii}]
`

func TestGuardsOfThePolicy(t *testing.T) {
	tests := []struct {
		name, policy string
		demands      []schema.Demand
		code         fieldcrypt.Code // empty: the plan is made
		path, text   string
	}{
		{
			name: "a tag without a rule is refused unless the policy says otherwise", policy: `topics: [{match: t}]`,
			code: fieldcrypt.CodePolicy, path: "/odd", text: `no rule for tag "ODD"`,
		},
		{name: "a tag without a rule may be allowed", policy: "unknown_tag: allow\ntopics: [{match: t}]"},
		{name: "a topic may allow what the policy does not", policy: `topics: [{match: t, unknown_tag: allow}]`},
		{
			name: "a topic may refuse what the policy allows", policy: "unknown_tag: allow\ntopics: [{match: t, unknown_tag: reject}]",
			code: fieldcrypt.CodePolicy, path: "/odd",
		},
		{
			name: "a field without tag or rule is refused where the policy asks for that", policy: "untagged_field: reject\ntopics: [{match: t}]\nignore_tags: [ODD]",
			code: fieldcrypt.CodeUntagged, path: "/plan", text: "neither a tag nor a rule",
		},
		{
			name: "a field that is stated to be clear passes", policy: "untagged_field: reject\nignore_tags: [ODD]\ntopics: [{match: t, clear: [/plan]}]",
			code: fieldcrypt.CodeUntagged, path: "/home/city",
		},
		{
			name:   "a container that is stated to be clear covers what it holds, and tags in it count all the same",
			policy: "untagged_field: reject\nignore_tags: [ODD]\ntopics: [{match: t, clear: [/plan, /home]}]",
		},
		{
			name: "a clear path that does not exist is refused", policy: "ignore_tags: [ODD]\ntopics: [{match: t, clear: [/nope]}]",
			code: fieldcrypt.CodePolicy, path: "/nope", text: "no such field",
		},
		{name: "a pin that holds", policy: "ignore_tags: [ODD]\ntopics: [{match: t, pins: [{path: /email}, {path: /home/street}]}]"},
		{
			name: "a pin on a field in clear", policy: "ignore_tags: [ODD]\ntopics: [{match: t, pins: [{path: /plan}]}]",
			code: fieldcrypt.CodeProtectionLost, path: "/plan", text: "pins this path",
		},
		{
			name: "a pin on a field whose tag is ignored", policy: "ignore_tags: [ODD]\ntopics: [{match: t, pins: [{path: /odd}]}]",
			code: fieldcrypt.CodeProtectionLost, path: "/odd",
		},
		{
			name: "a pin on a container of which a part is in clear", policy: "ignore_tags: [ODD]\ntopics: [{match: t, pins: [{path: /home}]}]",
			code: fieldcrypt.CodeProtectionLost, path: "/home",
		},
		{
			name: "a pin on a field that does not exist", policy: "ignore_tags: [ODD]\ntopics: [{match: t, pins: [{path: /gone}]}]",
			code: fieldcrypt.CodeProtectionLost, path: "/gone",
		},
		{
			name:   "a pin for another schema",
			policy: "ignore_tags: [ODD]\ntopics: [{match: t, pins: [{path: /plan, schema: com.example.S}, {path: /email, schema: \"com.example.*\"}]}]",
		},
		{
			name: "a rule of the registry that the policy meets", policy: "ignore_tags: [ODD]\ntopics: [{match: t}]",
			demands: []schema.Demand{{Name: "enc", Tags: []string{"PII.EMAIL", "PII.STREET"}}},
		},
		{
			name: "a rule of the registry that the policy ignores", policy: "ignore_tags: [ODD]\ntopics: [{match: t}]",
			demands: []schema.Demand{{Name: "enc", Tags: []string{"ODD"}}},
			code:    fieldcrypt.CodePolicy, path: "/odd", text: `rule "enc" of the schema asks for encryption`,
		},
		{
			name: "a rule of the registry for every field", policy: "ignore_tags: [ODD]\ntopics: [{match: t}]",
			demands: []schema.Demand{{Name: "all"}}, code: fieldcrypt.CodePolicy, path: "/plan",
		},
		{
			name: "a rule of the registry for the whole record", policy: "ignore_tags: [ODD]\ntopics: [{match: t}]",
			demands: []schema.Demand{{Name: "payload", Payload: true}}, code: fieldcrypt.CodePolicy, text: "the whole record",
		},
		{
			name:   "a rule by path counts for what the field holds",
			policy: "ignore_tags: [ODD]\nuntagged_field: reject\ntopics: [{match: t, clear: [/plan], fields: [{path: /home, action: encrypt, key: pii}], pins: [{path: /home}]}]",
		},
		{
			name:   "the longest path wins",
			policy: "ignore_tags: [ODD]\ntopics: [{match: t, fields: [{path: /home, action: encrypt, key: pii}, {path: /home/city, action: mask, keep_first: 1}], pins: [{path: /home}]}]",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			text := avroText(guardSchema)
			text.Demands = tt.demands
			w.schemas[1] = text
			e := w.engine("version: 1\n" + guardRules + tt.policy)
			rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{
				"email": "ada@example.com", "plan": "gold", "odd": "x",
				"home": map[string]any{"street": "Dlouhá 1", "city": "Praha"},
			})}
			out, err := e.Protect(t.Context(), rec)
			if tt.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(out.Value), "ada@example.com") || strings.Contains(string(out.Value), "Dlouhá") {
					t.Error("a tagged field is in clear")
				}
				back, err := e.Reveal(t.Context(), out)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(tt.policy, "mask") && !bytes.Equal(back.Value, rec.Value) {
					t.Error("what came back differs")
				}
				return
			}
			checkCode(t, "compile", err, tt.code)
			f, ok := errors.AsType[*fieldcrypt.Error](err)
			if !ok || f.Path != tt.path || f.Retryable() || out.Value != nil {
				t.Errorf("%+v", f)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("the error has no %q: %v", tt.text, err)
			}
		})
	}
}

func TestDescribeTellsWhatHappensToEachField(t *testing.T) {
	p, err := fieldcrypt.ParsePolicy([]byte("version: 1\nignore_tags: [ODD]\n" + guardRules + `
topics: [{match: t, fields: [{path: /home/city, action: mask, keep_first: 1}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(newWorld(t).kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	s, err := avro.Parse(avroText(guardSchema))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, p, keys, "t")
	if err != nil {
		t.Fatal(err)
	}
	const want = `topic t, schema com.example.R, dataset com.example.R
PATH          TYPE    TAGS        ACTION         KEY  STORED AS  A READER WITHOUT KEYS SEES      RULE
/email        string  PII.EMAIL   encrypt        pii  string     ciphertext of its length, null  PII, line 5
/plan         string  -           clear          -    string     the value                       -
/odd          string  ODD         clear          -    string     the value                       tags ignored
/home/street  string  PII.STREET  encrypt        pii  string     ciphertext of its length, null  PII, line 5
/home/city    string  -           mask, first 1  -    string     what the rule shows, null       /home/city, line 7
3 of 5 fields are protected
`
	if got := plan.Describe().String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := plan.Actions(); len(got) != 3 || got[2].Path != "/home/city" || got[0].Key != "pii" {
		t.Errorf("actions: %+v", got)
	}
}
