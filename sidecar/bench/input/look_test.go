package input

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const lookSchema = `{"type":"record","name":"n.Look","fields":[
  {"name":"email","type":"string","confluent:tags":["EMAIL"]},
  {"name":"pan","type":"string","confluent:tags":["PAN"]},
  {"name":"birth","type":{"type":"int","logicalType":"date"},"confluent:tags":["BIRTH"]},
  {"name":"note","type":["null","string"],"confluent:tags":["NOTE"]},
  {"name":"list","type":{"type":"array","items":"string"},"confluent:tags":["LIST"]},
  {"name":"either","type":["int","string"],"confluent:tags":["EITHER"]},
  {"name":"id","type":"string"}]}`

// lookRecord is one record of it.
func lookRecord(note string) []byte {
	b := []byte("\x00\x00\x00\x00\x05")
	b = appendBytes(b, []byte("a@example.com"))
	b = appendBytes(b, []byte("4111111111111111"))
	b = appendLong(b, 5000)
	if note == "" {
		b = append(b, 0)
	} else {
		b = appendBytes(append(b, 2), []byte(note))
	}
	b = append(b, 4)
	b = appendBytes(appendBytes(b, []byte("one")), []byte("two"))
	b = append(b, 0, 2) // the end of the list, and the second branch
	b = appendBytes(b, []byte("text"))
	return appendBytes(b, []byte("id-1"))
}

func TestTaggedIsWhatThePolicyEncrypts(t *testing.T) {
	// The keys of a built-in policy, among which is a domain key with a version.
	_, keys, _ := strings.Cut(string(madeOf(t, "payments", 1).Policy), "keys:")
	keys, _, _ = strings.Cut(keys, "rules:")
	keys = "version: 1\ndataset: d\nkeys:" + keys
	const ignore = "unknown_tag: allow\n"
	tests := []struct {
		name, policy string
		tagged       string
		protected    float64
		note         string // part of the notes
	}{
		{"a string", keys + ignore + "rules: [{tag: EMAIL, action: encrypt, key: pii}]\n", `["a@example.com"]`, 1, ""},
		{"several, in the order of the record", keys + ignore + "rules: [{tag: NOTE, action: encrypt, key: pii}, {tag: LIST, action: encrypt, key: pii}, {tag: EMAIL, action: encrypt, key: pii}]\n", `["a@example.com" "hello" "one" "two"]`, 4, ""},
		{"a list as one value", keys + ignore + "rules: [{tag: LIST, action: encrypt, key: pii, apply: whole}]\n", `["\x04\x06one\x06two\x00"]`, 1, ""},
		{"a number as it is encoded", keys + ignore + "rules: [{tag: BIRTH, action: encrypt, key: pii}]\n", `["\x90N"]`, 1, ""},
		{"one branch of a union", keys + ignore + "rules: [{tag: EITHER, action: encrypt, key: pii}]\n", `["text"]`, 1, ""},
		{"deterministic", keys + ignore + "rules: [{tag: EMAIL, action: encrypt, key: ids, mode: deterministic, join: j}]\n", `["a@example.com"]`, 1, ""},
		{"format-preserving", keys + ignore + "rules: [{tag: PAN, action: encrypt, key: ids, mode: format-preserving, luhn: break}]\n", `[]`, 1, ""},
		{"masks, hashes and tokens", keys + ignore + "rules: [{tag: PAN, action: tokenize, key: ids, format: pan}, {tag: EMAIL, action: hash, key: ids}, {tag: NOTE, action: mask, rule: redact}, {tag: BIRTH, action: generalize, to: year}]\n", `[]`, 4, ""},
		{"a token vault", keys + ignore + "vaults: {v: {key: ids}}\nrules: [{tag: PAN, action: tokenize, vault: v, format: pan}, {tag: EMAIL, action: encrypt, key: pii}]\n", `["a@example.com"]`, 2, ""},
		{"keys of persons", keys + ignore + "persons: {kek: \"local:bench\", by: /id}\nrules: [{tag: EMAIL, action: encrypt, mode: person}]\n", `["a@example.com"]`, 1, ""},
		{"a field that is dropped", keys + ignore + "rules: [{tag: NOTE, action: drop}, {tag: EMAIL, action: encrypt, key: pii}]\n", `["a@example.com"]`, 1, "drops"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Set{
				Topic: "any", Policy: []byte(tt.policy), Text: schema.Text{Format: schema.Avro, Schema: lookSchema}, Framed: true, SchemaID: 5,
				Records: []Record{{Value: lookRecord("hello")}},
			}
			if err := s.inspect(t.Context(), func(int) string { return "record" }); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%q", s.Tagged[0]); got != tt.tagged || s.Protected != tt.protected {
				t.Errorf("tagged %s, want %s; %v protected, want %v", got, tt.tagged, s.Protected, tt.protected)
			}
			if got := strings.Join(s.Notes, " "); (tt.note == "") != (got == "") || !strings.Contains(got, tt.note) {
				t.Errorf("notes %q", s.Notes)
			}
		})
	}
}

func TestRecordsThatDifferInWhatTheyHoldAreCountedEach(t *testing.T) {
	s := &Set{
		Topic: "any", Framed: true, SchemaID: 5, Text: schema.Text{Format: schema.Avro, Schema: lookSchema},
		Policy:  []byte("version: 1\nignore_tags: [EMAIL, PAN, BIRTH, LIST, EITHER]\nkeys: {k: {kek: \"local:k\"}}\nrules: [{tag: NOTE, action: encrypt, key: k}]\n"),
		Records: []Record{{Value: lookRecord("hello")}, {Value: lookRecord("")}},
	}
	if err := s.inspect(t.Context(), func(int) string { return "record" }); err != nil {
		t.Fatal(err)
	}
	if s.Protected != 0.5 || len(s.Tagged[0]) != 1 || len(s.Tagged[1]) != 0 {
		t.Errorf("%v protected, tagged %q", s.Protected, s.Tagged)
	}
}

func TestEachMessageTypeOfAFileHasItsOwnLook(t *testing.T) {
	text := schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; import "confluent/meta.proto";
message A { string x = 1 [(confluent.field_meta).tags = "PII"]; }
message B { string clear = 1; string y = 2 [(confluent.field_meta).tags = "PII"]; }`}
	value := func(index int, body string) []byte {
		b, err := wire.AppendFrame(nil, 5)
		if err == nil {
			b, err = wire.AppendIndexes(b, []int{index})
		}
		if err != nil {
			t.Fatal(err)
		}
		return append(b, body...)
	}
	s := &Set{
		Topic: "any", Framed: true, SchemaID: 5, Text: text,
		Policy:  []byte("version: 1\nkeys: {k: {kek: \"local:k\"}}\nrules: [{tag: PII, action: encrypt, key: k}]\n"),
		Records: []Record{{Value: value(0, "\x0a\x01p")}, {Value: value(1, "\x0a\x01q\x12\x01r")}},
	}
	if err := s.inspect(t.Context(), func(int) string { return "record" }); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", s.Tagged); got != `[["p"] ["r"]]` {
		t.Errorf("tagged %s", got)
	}
	s.Records = []Record{{Value: value(2, "")}}
	if err := s.inspect(t.Context(), func(int) string { return "record" }); err == nil {
		t.Error("a message type that there is not")
	}
}

func TestRecordsThatCannotBeMeasuredAreRefused(t *testing.T) {
	const policy = "version: 1\nignore_tags: [PAN, BIRTH, NOTE, LIST, EITHER]\nkeys: {k: {kek: \"local:k\"}}\nrules: [{tag: EMAIL, action: encrypt, key: k}]\n"
	good := lookRecord("")
	tests := []struct {
		name, policy string
		records      []Record
		want         string
	}{
		{"none", policy, nil, "no records"},
		{"a record of another id", policy, []Record{{Value: append([]byte{0, 0, 0, 0, 9}, good[5:]...)}}, "record 1: the framing"},
		{"a tombstone", policy, []Record{{Value: good}, {}}, "record 2: the framing"},
		{"a record that is cut off", policy, []Record{{Value: good[:len(good)-1]}}, "record 1: malformed"},
		{"a header of a protected one", policy, []Record{{Value: good, Headers: []fieldcrypt.Header{{Key: fieldcrypt.HeaderMeta}}}}, "record 1: it is protected already"},
		{"a policy that changes nothing", strings.Replace(policy, "ignore_tags: [", "ignore_tags: [EMAIL, ", 1) + "topics: [{match: any, untagged_schema: allow, rules: [{tag: OTHER, action: drop}]}]\n", []Record{{Value: good}}, "changes nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			policy := tt.policy
			if strings.Contains(tt.name, "nothing") {
				policy = strings.Replace(policy, "rules: [{tag: EMAIL, action: encrypt, key: k}]\n", "", 1)
			}
			s := &Set{Topic: "any", Framed: true, SchemaID: 5, Text: schema.Text{Format: schema.Avro, Schema: lookSchema}, Policy: []byte(policy), Records: tt.records}
			err := s.inspect(t.Context(), func(i int) string { return fmt.Sprintf("record %d", i+1) })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
	}
}

func TestLoadRefusesTheSchemaOfProtectedRecords(t *testing.T) {
	parsed, err := parse(schema.Text{Format: schema.Avro, Schema: lookSchema})
	if err != nil {
		t.Fatal(err)
	}
	var edits []schema.Edit
	for i, f := range parsed.Fields() {
		if f.Path == "/birth" {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
		}
	}
	text, changed, err := parsed.Derive(edits, schema.Origin{ID: 3})
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	list := ownFiles()
	list["derived.avsc"] = text.Schema
	dir := files(t, list)
	_, err = Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "users", Schema: dir + "derived.avsc"})
	if err == nil || !strings.Contains(err.Error(), "schema of protected records") {
		t.Errorf("error %v", err)
	}
	if _, err := newRecordMaker(text, 1, DefaultSpread()); err == nil {
		t.Error("records were made up for it")
	}
}
