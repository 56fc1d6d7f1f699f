package input

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
)

const (
	ownAvro = `{"type":"record","name":"n.User","fields":[
  {"name":"id","type":"long"},
  {"name":"email","type":["null","string"],"confluent:tags":["PII"]}]}`
	ownPolicy = `version: 1
dataset: users
keys: {pii: {kek: "local:mine"}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics:
  - {match: "users*"}
  - {match: clicks, format: json, fields: [{path: /user/ip, action: mask, rule: ip/24}, {path: "/**/email", action: encrypt, key: pii}]}
`
	ownProto = `syntax = "proto3"; import "confluent/meta.proto"; message User { int64 id = 1; string email = 2 [(confluent.field_meta).tags = "PII"]; }`
	ownJSON  = `{"type":"object","properties":{"id":{"type":"integer"},"email":{"type":"string","confluent:tags":["PII"]}}}`
)

// files writes files into a directory of the test, and returns it with a slash
// behind.
func files(tb testing.TB, list map[string]string) string {
	tb.Helper()
	dir := tb.TempDir() + "/"
	for name, text := range list {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func ownFiles() map[string]string {
	return map[string]string{
		"policy.yaml": ownPolicy, "user.avsc": ownAvro, "user.proto": ownProto, "user.json": ownJSON,
		"good.jsonl":    "{\"id\":1,\"email\":\"a@example.com\"}\n\n{\"id\":2,\"email\":\"b@example.com\"}\r\n{\"id\":3,\"email\":\"c@example.com\"}",
		"null.jsonl":    `{"id":1,"email":null}`,
		"unlike.jsonl":  "{\"id\":1,\"email\":\"canary@example.com\"}\n{\"id\":\"canary\",\"email\":\"canary@example.com\"}",
		"broken.jsonl":  "{\"id\":1,\"email\":\"canary\"",
		"empty.jsonl":   "\n\n",
		"sealed.jsonl":  `{"id":1,"email":"fv1:AQF_n4ac_nVdwJBFGzQC1TAnfY4TIMct29l9V3rXQ64xt2KJbErzy0TE6tld"}`,
		"clicks.jsonl":  `{"user": {"ip": "192.0.2.7", "x": {"email": "a@example.com"}}}`,
		"nothing.jsonl": `{"user": {}}`,
		"plain.avro":    "Obj\x01 canary",
	}
}

// rekeyed puts the policy under a KEK in memory and protects all records.
func rekeyed(t *testing.T, s *Set) {
	t.Helper()
	if err := s.Rekey(t.Context(), kms.Mux{localkms.Scheme: localkms.NewInMemory()}, BuiltinKEK); err != nil {
		t.Fatal(err)
	}
	protectAll(t, s)
}

func TestLoadReadsJSONLinesOfEveryFormat(t *testing.T) {
	dir := files(t, ownFiles())
	for _, name := range []string{"user.avsc", "user.proto", "user.json"} {
		t.Run(name, func(t *testing.T) {
			s, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "users", Schema: dir + name, Records: dir + "good.jsonl", Header: map[string]string{"h": "x"}})
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != OwnRecords || s.Synthetic || len(s.Records) != 3 || s.Subject != "users-value" || len(s.Records[0].Headers) != 1 {
				t.Errorf("%s, synthetic %v, %d records, subject %s, headers %v", s.Name, s.Synthetic, len(s.Records), s.Subject, s.Records[0].Headers)
			}
			if in := s.Describe(); in.Protected != 1 || in.Records != 3 || in.Format != strings.TrimPrefix(map[string]string{"user.avsc": "avro", "user.proto": "protobuf", "user.json": "jsonschema"}[name], ".") {
				t.Errorf("%+v", in)
			}
			for i, want := range []string{"a@example.com", "b@example.com", "c@example.com"} {
				if got := strings.Trim(string(s.Tagged[i][0]), `"`); got != want {
					t.Errorf("record %d: %q is tagged, want %q", i, got, want)
				}
			}
			rekeyed(t, s)
		})
	}
}

func TestLoadReadsDocumentsWithoutASchema(t *testing.T) {
	dir := files(t, ownFiles())
	s, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "clicks", Records: dir + "clicks.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Framed || s.Text.Format != "" || string(s.Records[0].Value) != `{"user":{"ip":"192.0.2.7","x":{"email":"a@example.com"}}}` {
		t.Errorf("framed %v, format %q, %q", s.Framed, s.Text.Format, s.Records[0].Value)
	}
	if len(s.Tagged[0]) != 1 || string(s.Tagged[0][0]) != `"a@example.com"` || s.Protected != 2 {
		t.Errorf("tagged %q, %v protected", s.Tagged[0], s.Protected)
	}
	if in := s.Describe(); in.Format != "json" {
		t.Errorf("%+v", in)
	}
	rekeyed(t, s)
}

func TestLoadMakesRecordsUp(t *testing.T) {
	dir := files(t, ownFiles())
	for _, name := range []string{"user.avsc", "user.proto", "user.json"} {
		s, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "users", Schema: dir + name, Count: 40, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != OwnSchema || !s.Synthetic || len(s.Records) != 40 {
			t.Errorf("%s, synthetic %v, %d records", s.Name, s.Synthetic, len(s.Records))
		}
		rekeyed(t, s)
	}
	// A topic that is protected by paths takes the schema as the look of documents.
	s, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "clicks", Schema: dir + "user.json"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Framed || s.Text.Format != "" || len(s.Records) != DefaultRecords {
		t.Errorf("framed %v, format %q, %d records", s.Framed, s.Text.Format, len(s.Records))
	}
	rekeyed(t, s)
}

func TestLoadWithoutAPolicyIsABuiltin(t *testing.T) {
	s, err := Load(t.Context(), Options{})
	if err != nil || s.Name != "order-avro" {
		t.Errorf("%v, %v", s, err)
	}
	if s, err = Load(t.Context(), Options{Workload: "payments", Count: 3, Seed: 9}); err != nil || len(s.Records) != 3 {
		t.Errorf("%v, %v", s, err)
	}
}

func TestLoadReadsContainers(t *testing.T) {
	dir := files(t, ownFiles())
	write := func(name, text string, meta map[string][]byte, codec ocf.Codec, values ...any) string {
		var b bytes.Buffer
		w, err := ocf.NewWriter(&b, avro.MustParse(text), ocf.WithSchema(text), ocf.WithMetadata(meta), ocf.WithCodec(codec))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := w.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+name, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir + name
	}
	user := map[string]any{"id": int64(4), "email": "d@example.com"}
	untagged := strings.ReplaceAll(ownAvro, `,"confluent:tags":["PII"]`, "")
	narrow := strings.ReplaceAll(untagged, `"long"`, `"int"`)
	other := `{"type":"record","name":"n.Other","fields":[{"name":"x","type":"bytes"}]}`
	tests := []struct {
		name, file, schema string
		want               string // of an error
	}{
		{"a schema of its own with tags", write("own.avro", ownAvro, nil, ocf.DeflateCodec(-1), user, user), "", ""},
		{"a schema without tags, and one with them beside it", write("untagged.avro", untagged, nil, ocf.SnappyCodec(), user), "user.avsc", ""},
		{"an older version of the schema", write("narrow.avro", narrow, nil, nil, map[string]any{"id": int32(4), "email": "d@example.com"}), "user.avsc", ""},
		{"a schema without tags", dir + "untagged.avro", "", "schema_untagged"},
		{"another schema", write("other.avro", other, nil, nil, map[string]any{"x": []byte("canary")}), "user.avsc", "cannot be read as the one given"},
		{"a schema of another format", dir + "own.avro", "user.json", "goes with an Avro schema"},
		{"records that are protected", write("sealed.avro", ownAvro, map[string][]byte{"fieldveil.schema": []byte("x")}, nil, user), "", "protected already"},
		{"no records", write("none.avro", ownAvro, nil, nil), "", "no records"},
		{"something else", dir + "plain.avro", "", "not an Avro object container"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Policy: dir + "policy.yaml", Topic: "users", Records: tt.file}
			if tt.schema != "" {
				o.Schema = dir + tt.schema
			}
			s, err := Load(t.Context(), o)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := "\x00\x00\x00\x00\x01\x08\x02\x1ad@example.com"; string(s.Records[0].Value) != want {
				t.Errorf("value %q, want %q", s.Records[0].Value, want)
			}
			rekeyed(t, s)
		})
	}
}

func TestLoadNamesFileAndLineAndNoValue(t *testing.T) {
	dir := files(t, ownFiles())
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"a value that is not of its type", Options{Schema: dir + "user.avsc", Records: dir + "unlike.jsonl"}, []string{"unlike.jsonl:2:", "/id"}},
		{"a line that is no JSON", Options{Schema: dir + "user.avsc", Records: dir + "broken.jsonl"}, []string{"broken.jsonl:1:", "json_invalid"}},
		{"a line that is no JSON, without a schema", Options{Topic: "clicks", Records: dir + "broken.jsonl"}, []string{"broken.jsonl:1:"}},
		{"no records", Options{Schema: dir + "user.avsc", Records: dir + "empty.jsonl"}, []string{"empty.jsonl", "no records"}},
		{"records that are protected", Options{Schema: dir + "user.avsc", Records: dir + "sealed.jsonl"}, []string{"sealed.jsonl:1:", "protected already"}},
		{"no schema", Options{Records: dir + "good.jsonl"}, []string{"--schema or --registry"}},
		{"neither schema nor records", Options{}, []string{"--schema or --registry"}},
		{"no look of documents", Options{Topic: "clicks"}, []string{"--records"}},
		{"a topic that is not governed", Options{Topic: "others", Schema: dir + "user.avsc"}, []string{"topic_ungoverned"}},
		{"a file that there is not", Options{Schema: dir + "user.avsc", Records: dir + "none.jsonl"}, []string{"none.jsonl"}},
		{"a schema whose name does not tell its format", Options{Schema: dir + "good.jsonl"}, []string{"good.jsonl", "--format"}},
		{"a schema that is none", Options{Schema: dir + "user.json", Format: "avro"}, []string{"user.json"}},
		{"a policy that there is not", Options{Policy: dir + "none.yaml", Schema: dir + "user.avsc"}, []string{"none.yaml"}},
		{"a policy that is none", Options{Policy: dir + "user.avsc", Schema: dir + "user.avsc"}, []string{"user.avsc:1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Policy == "" {
				tt.o.Policy = dir + "policy.yaml"
			}
			if tt.o.Topic == "" {
				tt.o.Topic = "users"
			}
			_, err := Load(t.Context(), tt.o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "example.com") {
				t.Errorf("error %q holds a value", err)
			}
		})
	}
}

func TestLoadAsksTheRegistry(t *testing.T) {
	dir := files(t, ownFiles())
	server, err := registrytest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if _, err := server.Register("other", registrytest.Schema{Format: registrytest.Avro, Text: `"string"`}); err != nil {
		t.Fatal(err)
	}
	id, err := server.Register("users-value", registrytest.Schema{Format: registrytest.Avro, Text: ownAvro})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "users", Registry: []string{server.URL()}, Records: dir + "good.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	if s.SchemaID != id || s.Subject != "users-value" || s.Text.Format != schema.Avro || s.Records[0].Value[4] != byte(id) {
		t.Errorf("id %d, subject %s, %s", s.SchemaID, s.Subject, s.Text.Format)
	}
	rekeyed(t, s)
	if _, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "users", Registry: []string{server.URL()}, Subject: "none"}); err == nil {
		t.Error("a subject that there is not")
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"a workload with a policy", Options{Workload: "payments", Policy: "p", Topic: "t"}, "--workload"},
		{"a workload that there is not", Options{Workload: "x"}, "--workload"},
		{"a schema without a policy", Options{Schema: "s"}, "--schema"},
		{"records without a policy", Options{Records: "s"}, "--records"},
		{"a topic without a policy", Options{Topic: "s"}, "--topic"},
		{"a policy without a topic", Options{Policy: "p"}, "--topic"},
		{"two schemas", Options{Policy: "p", Topic: "t", Schema: "s", Registry: []string{"r"}}, "--schema"},
		{"a subject without a registry", Options{Policy: "p", Topic: "t", Subject: "s"}, "--subject"},
		{"a user without a password", Options{Policy: "p", Topic: "t", Registry: []string{"r"}, RegistryUser: "u"}, "--registry-user"},
		{"a reference without a schema", Options{Policy: "p", Topic: "t", Ref: []string{"r"}}, "--ref"},
		{"a topic without brokers", Options{Policy: "p", Topic: "t", Records: "topic:x"}, "--records"},
		{"too many records", Options{Count: MaxRecords + 1}, "--count"},
		{"too many items", Options{Items: -1}, "--items"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Load(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not name %s", err, tt.want)
			}
		})
	}
}

func TestOptionsAreFlags(t *testing.T) {
	var c struct {
		Options `embed:""`
	}
	p, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse([]string{
		"--policy=p", "--topic=t", "--records=topic", "--brokers=a:1,b:2", "--kafka-property=sasl.mechanism=PLAIN", "--kafka-property=linger.ms=5",
		"--kafka-secret=sasl.password=/run/p", "--header=tenant=acme", "--count=7", "--seed=8",
	}); err != nil {
		t.Fatal(err)
	}
	k := c.Kafka()
	if k.Properties["bootstrap.servers"] != "a:1,b:2" || k.Properties["sasl.mechanism"] != "PLAIN" || k.Properties["linger.ms"] != "5" || k.Secrets["sasl.password"].Path() != "/run/p" {
		t.Errorf("%v", k.Properties)
	}
	if c.Header["tenant"] != "acme" || c.Count != 7 || c.Seed != 8 || c.Format != "auto" {
		t.Errorf("%+v", c.Options)
	}
	if len(c.KafkaProperty) != 2 {
		t.Errorf("asking for the configuration changed the options: %v", c.KafkaProperty)
	}
}
