package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/fieldveil/fieldveil/schema"
	avroschema "github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
)

const filesPolicy = `version: 1
dataset: customers
keys:
  pii: {kek: "local:dev.kek"}
rules:
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII.CVV, action: reject}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - {match: "customers.*"}
  - {match: "clicks", format: json, fields: [{path: /user/email, action: encrypt, key: pii}]}
`

const customerSchema = `{"type":"record","name":"Customer","namespace":"acme","fields":[
	{"name":"id","type":"string"},
	{"name":"name","type":"string","confluent:tags":["PII.NAME"]},
	{"name":"email","type":["null","string"],"confluent:tags":["PII.EMAIL"]},
	{"name":"age","type":"int","confluent:tags":["PII.AGE"]}]}`

func TestAnEmptyContainerStaysEmpty(t *testing.T) {
	inFiles(t)
	writeContainer(t, "in.avro", customerSchema, nil, 0, nil)
	if code, _, stderr := fieldveil(t, fileArgs("protect", "--topic", "customers.v1", "--format", "avro", "-i", "in.avro", "-o", "safe.avro")...); code != exitOK {
		t.Fatal(stderr)
	}
	if records, meta := readContainer(t, "safe.avro"); len(records) != 0 || string(meta["avro.schema"]) != customerSchema {
		t.Errorf("%v, %v", records, meta)
	}
}

// inFiles goes to an empty directory with a policy and a KEK.
func inFiles(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("policy.yaml", []byte(filesPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := fieldveil(t, "kek", "create", "dev.kek"); code != 0 {
		t.Fatal(stderr)
	}
}

func fileArgs(command string, more ...string) []string {
	args := []string{command, "--policy", "policy.yaml", "--keys", "records.keys"}
	if command == "reveal" {
		args = append(args, "--purpose", "ticket 17")
	}
	return append(args, more...)
}

func folder(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestLinesOfJSONAreProtectedAndRevealed(t *testing.T) {
	inFiles(t)
	in := `{"user":{"email":"ann@example.com"},"n":1}` + "\n" + `{"n":2.50, "user":{"email":null}}` + "\n" + `{"n":3}` + "\n"
	code, out, stderr := fieldveilReading(t, in, fileArgs("protect", "--topic", "clicks")...)
	if code != exitOK || stderr != "3 records protected.\n" {
		t.Fatalf("%d, %s", code, stderr)
	}
	if strings.Contains(out, "ann") || strings.Count(out, "\n") != 3 || !strings.Contains(out, `"fv1:`) {
		t.Fatalf("protected: %s", out)
	}
	keys, err := os.ReadFile("records.keys")
	if err != nil || !strings.HasPrefix(string(keys), keyFileHeader) || strings.Count(string(keys), "\n") != 3 {
		t.Fatalf("keys: %s, %v", keys, err)
	}
	code, back, stderr := fieldveilReading(t, out, fileArgs("reveal", "--topic", "clicks")...)
	if code != exitOK || back != in || stderr != "3 records revealed.\nTopic \"clicks\", purpose \"ticket 17\".\n" {
		t.Fatalf("%d, %s, %s", code, back, stderr)
	}
	// A key block serves a record wherever it stands.
	first, _, _ := strings.Cut(out, "\n")
	if _, back, stderr = fieldveilReading(t, out+first, fileArgs("reveal", "--topic", "clicks")...); back != in+`{"user":{"email":"ann@example.com"},"n":1}`+"\n" {
		t.Fatalf("moved: %s, %s", back, stderr)
	}
}

func TestLinesOfJSONFollowASchema(t *testing.T) {
	inFiles(t)
	if err := os.WriteFile("c.json", []byte(`{"type":"object","title":"C","additionalProperties":false,"properties":{
		"id":{"type":"integer"},"email":{"type":"string","confluent:tags":["PII"]},"age":{"type":"integer","confluent:tags":["PII"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	in := `{"id":1,"email":"ann@example.com","age":41}` + "\n"
	code, out, stderr := fieldveilReading(t, in, fileArgs("protect", "--topic", "customers.v1", "--schema", "c.json")...)
	if code != exitOK || strings.Contains(out, "ann") || strings.Contains(out, "41") {
		t.Fatalf("%d, %s, %s", code, out, stderr)
	}
	code, back, stderr := fieldveilReading(t, out, fileArgs("reveal", "--topic", "customers.v1", "--schema", "c.json")...)
	if code != exitOK || back != in {
		t.Fatalf("%d, %s, %s", code, back, stderr)
	}
	code, _, stderr = fieldveilReading(t, in, "protect", "--policy", "policy.yaml", "--keys", "k2", "--topic", "customers.v1")
	if code != exitError || !strings.Contains(stderr, "record 1: ") {
		t.Errorf("without the schema: %d, %s", code, stderr)
	}
}

// FV-119: what stands in the key file is there before the records that need it.
func TestKeysAreWrittenBeforeRecords(t *testing.T) {
	inFiles(t)
	written := 0
	out := writerFunc(func(b []byte) (int, error) {
		written += len(b)
		k, err := openKeyFile(t.Context(), "records.keys")
		if err != nil || k.Len() != 1 || k.meta(1) == nil {
			t.Errorf("the key file is not there: %v", err)
		}
		return len(b), nil
	})
	// More than the buffer of the output, so that it is written in between.
	in := strings.NewReader(strings.Repeat(`{"user":{"email":"ann@example.com"}}`+"\n", 2000))
	var stderr bytes.Buffer
	if code := run(fileArgs("protect", "--topic", "clicks"), in, out, &stderr); code != exitOK || written == 0 {
		t.Errorf("%d, %d bytes, %s", code, written, stderr.String())
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// FV-121: a block under a KEK that the policy does not name opens nothing.
func TestAKeyFileDoesNotChooseItsKEK(t *testing.T) {
	inFiles(t)
	code, out, stderr := fieldveilReading(t, `{"user":{"email":"ann@example.com"}}`, fileArgs("protect", "--topic", "clicks")...)
	if code != exitOK {
		t.Fatal(stderr)
	}
	if code, _, stderr := fieldveil(t, "kek", "create", "other.kek"); code != exitOK {
		t.Fatal(stderr)
	}
	if err := os.WriteFile("policy.yaml", []byte(strings.Replace(filesPolicy, "dev.kek", "other.kek", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = fieldveilReading(t, out, fileArgs("reveal", "--topic", "clicks")...)
	if code != exitError || out != "" || !strings.Contains(stderr, "record 1: ") || !strings.Contains(stderr, "/user/email") {
		t.Errorf("%d, %q, %s", code, out, stderr)
	}
}

func TestABadRecordEndsTheRunAndLeavesNothingBehind(t *testing.T) {
	inFiles(t)
	in := `{"n":1}` + "\n" + `{"user":{"email":"secret"},"user":{}}` + "\n" + `{"n":3}` + "\n"
	before := folder(t)
	code, out, stderr := fieldveilReading(t, in, fileArgs("protect", "--topic", "clicks", "--out", "out.jsonl")...)
	if code != exitError || out != "" || !strings.Contains(stderr, "record 2: ") || strings.Contains(stderr, "secret") {
		t.Fatalf("%d, %q, %s", code, out, stderr)
	}
	if after := folder(t); after != before {
		t.Errorf("the folder has %s, had %s", after, before)
	}
	code, _, stderr = fieldveilReading(t, in, fileArgs("protect", "--topic", "clicks", "--out", "out.jsonl", "--skip-bad")...)
	if code != exitOK || !strings.Contains(stderr, "record 2 is left out: ") || !strings.HasSuffix(stderr, "2 records protected, 1 left out.\n") || strings.Contains(stderr, "secret") {
		t.Fatalf("%d, %s", code, stderr)
	}
	text, err := os.ReadFile("out.jsonl")
	if err != nil || string(text) != `{"n":1}`+"\n"+`{"n":3}`+"\n" {
		t.Errorf("%s, %v", text, err)
	}
	// The key file is never overwritten.
	if code, _, stderr = fieldveilReading(t, in, fileArgs("protect", "--topic", "clicks")...); code != exitError || !strings.Contains(stderr, "records.keys") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestFilesThatCannotBeDone(t *testing.T) {
	inFiles(t)
	in := `{"user":{"email":"ann@example.com"}}` + "\n"
	code, out, stderr := fieldveilReading(t, in, fileArgs("protect", "--topic", "clicks")...)
	if code != exitOK {
		t.Fatal(stderr)
	}
	for _, f := range []struct{ name, text string }{
		{"empty.keys", ""},
		{"header.keys", keyFileHeader},
		{"other.keys", `{"fieldveil_keys":2}` + "\n"},
		{"vault.yaml", "version: 1\nkeys: {t: {kek: \"local:dev.kek\"}}\nvaults: {v: {key: t}}\n"},
	} {
		if err := os.WriteFile(f.name, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		args []string
		in   string
		code int
		want string
	}{
		{"no key file", []string{"reveal", "--policy", "policy.yaml", "--topic", "clicks", "--purpose", "x", "--keys", "nowhere"}, out, exitError, "nowhere"},
		{"an empty key file", []string{"reveal", "--policy", "policy.yaml", "--topic", "clicks", "--purpose", "x", "--keys", "empty.keys"}, out, exitError, "line 1"},
		{"a key file of another version", []string{"reveal", "--policy", "policy.yaml", "--topic", "clicks", "--purpose", "x", "--keys", "other.keys"}, out, exitError, "line 1"},
		{"a key file without the key", []string{"reveal", "--policy", "policy.yaml", "--topic", "clicks", "--purpose", "x", "--keys", "header.keys"}, out, exitError, "record 1: "},
		{"no purpose", []string{"reveal", "--policy", "policy.yaml", "--topic", "clicks", "--keys", "records.keys"}, out, exitUsage, "--purpose"},
		{"an empty purpose", []string{"reveal", "--policy", "policy.yaml", "--topic", "clicks", "--purpose", " ", "--keys", "records.keys"}, out, exitError, "--purpose"},
		{"a topic without rules", []string{"reveal", "--policy", "policy.yaml", "--topic", "other", "--purpose", "x", "--keys", "records.keys"}, out, exitError, "record 1: "},
		{"a line that is too long", fileArgs("reveal", "--topic", "clicks", "--max-record", "10"), out, exitError, "record 1: longer than --max-record"},
		{"a line that is empty", fileArgs("reveal", "--topic", "clicks"), "\n", exitError, "record 1: "},
		{"a schema for a container", fileArgs("reveal", "--topic", "clicks", "--format", "avro", "--schema", "x"), out, exitError, "containers bring their own"},
		{"lines for a container", fileArgs("reveal", "--topic", "clicks", "--format", "avro"), out, exitError, "not an Avro object container"},
		{"an input that is not there", fileArgs("reveal", "--topic", "clicks", "--in", "nowhere"), out, exitError, "nowhere"},
		{"an output in no folder", fileArgs("reveal", "--topic", "clicks", "--out", "no/where"), out, exitError, "no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := fieldveilReading(t, tt.in, tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || strings.Contains(stdout+stderr, "ann@") {
				t.Errorf("%d, %q, %s", code, stdout, stderr)
			}
		})
	}
}

// writeContainer writes customers with a codec.
func writeContainer(t *testing.T, path, text string, codec ocf.Codec, n int, meta map[string][]byte) {
	t.Helper()
	if err := os.WriteFile(path, containerOf(t, text, codec, n, meta), 0o600); err != nil {
		t.Fatal(err)
	}
}

// containerSeed is a small container for fuzzing.
func containerSeed(tb testing.TB, n int) []byte {
	tb.Helper()
	return containerOf(tb, customerSchema, ocf.DeflateCodec(1), n, map[string][]byte{"k": nil})
}

func containerOf(t testing.TB, text string, codec ocf.Codec, n int, meta map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	opts := []ocf.WriterOpt{ocf.WithMetadata(meta), ocf.WithBlockCount(3)}
	if codec != nil {
		opts = append(opts, ocf.WithCodec(codec))
	}
	w, err := ocf.NewWriter(&b, avro.MustParse(text), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var email any
		if i%2 == 0 {
			email = fmt.Sprintf("ann%d@example.com", i)
		}
		if err := w.Encode(map[string]any{"id": fmt.Sprint(i), "name": "Ann", "email": email, "age": 40 + i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readContainer(t *testing.T, path string) (records []map[string]any, meta map[string][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ocf.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		var v map[string]any
		err := r.Decode(&v)
		if errors.Is(err, io.EOF) {
			return records, r.Metadata()
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, v)
	}
}

// FV-122: the schema is the derived one, with the text of the original beside it.
// FV-123: other metadata is carried unchanged.
func TestContainersAreProtectedAndRevealed(t *testing.T) {
	zstd, err := ocf.ZstdCodec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, codec := range map[string]ocf.Codec{"null": nil, "deflate": ocf.DeflateCodec(1), "snappy": ocf.SnappyCodec(), "zstandard": zstd} {
		t.Run(name, func(t *testing.T) {
			inFiles(t)
			writeContainer(t, "in.avro", customerSchema, codec, 7, map[string][]byte{"made.by": {0, 1}})
			code, _, stderr := fieldveil(t, fileArgs("protect", "--topic", "customers.v1", "--format", "avro", "-i", "in.avro", "-o", "safe.avro")...)
			if code != exitOK || stderr != "7 records protected.\n" {
				t.Fatalf("%d, %s", code, stderr)
			}
			safe, meta := readContainer(t, "safe.avro")
			if len(safe) != 7 || string(meta["made.by"]) != "\x00\x01" || string(meta[metaSchema]) != customerSchema {
				t.Fatalf("%d records, %v", len(safe), meta)
			}
			if codec := string(meta["avro.codec"]); codec != name && name != "null" {
				t.Errorf("codec %s, want %s", codec, name)
			}
			for i, r := range safe {
				if r["name"] == "Ann" || r["id"] != fmt.Sprint(i) || i%2 == 0 && !strings.HasPrefix(fmt.Sprint(r["email"]), "fv1:") || i%2 == 1 && r["email"] != nil {
					t.Errorf("record %d: %v", i, r)
				}
				if _, ok := r["age"].([]byte); !ok {
					t.Errorf("record %d: age %v", i, r["age"])
				}
			}
			code, _, stderr = fieldveil(t, fileArgs("reveal", "--topic", "customers.v1", "--format", "avro", "-i", "safe.avro", "-o", "back.avro")...)
			if code != exitOK {
				t.Fatalf("%d, %s", code, stderr)
			}
			back, meta := readContainer(t, "back.avro")
			if len(back) != 7 || string(meta["avro.schema"]) != customerSchema || meta[metaSchema] != nil || string(meta["made.by"]) != "\x00\x01" {
				t.Fatalf("%d records, %v", len(back), meta)
			}
			for i, r := range back {
				if r["age"] != int32(40+i) || i%2 == 0 && r["email"] != fmt.Sprintf("ann%d@example.com", i) {
					t.Errorf("record %d: %v", i, r)
				}
			}
			// What is protected is not protected again.
			code, _, stderr = fieldveil(t, "protect", "--policy", "policy.yaml", "--keys", "again.keys", "--topic", "customers.v1", "--format", "avro", "-i", "safe.avro")
			if code != exitError || !strings.Contains(stderr, "protected already") {
				t.Errorf("again: %d, %s", code, stderr)
			}
		})
	}
}

// FV-122.
func TestAContainerWithAnotherOriginalIsRefused(t *testing.T) {
	inFiles(t)
	writeContainer(t, "in.avro", customerSchema, nil, 2, nil)
	if code, _, stderr := fieldveil(t, fileArgs("protect", "--topic", "customers.v1", "--format", "avro", "-i", "in.avro", "-o", "safe.avro")...); code != exitOK {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile("safe.avro")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte(metaSchema))
	forged := bytes.Replace(text[at:], []byte("PII.AGE"), []byte("PII.EGG"), 1)
	if err := os.WriteFile("forged.avro", append(bytes.Clone(text[:at]), forged...), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := fieldveil(t, fileArgs("reveal", "--topic", "customers.v1", "--format", "avro", "-i", "forged.avro")...)
	if code != exitError || !strings.Contains(stderr, errOriginal.Error()) {
		t.Errorf("%d, %s", code, stderr)
	}
	for _, cut := range []int{3, at, len(text) - 20, len(text) - 1} {
		if err := os.WriteFile("cut.avro", text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := fieldveil(t, fileArgs("reveal", "--topic", "customers.v1", "--format", "avro", "-i", "cut.avro", "-o", "back.avro")...)
		if code != exitError || !strings.Contains(stderr, errContainer.Error()) {
			t.Errorf("cut at %d: %d, %s", cut, code, stderr)
		}
		if _, err := os.Stat("back.avro"); err == nil {
			t.Errorf("cut at %d: there is an output", cut)
		}
	}
}

func TestARejectedFieldIsNamed(t *testing.T) {
	inFiles(t)
	text := `{"type":"record","name":"Card","fields":[{"name":"cvv","type":["null","string"],"confluent:tags":["PII.CVV"]}]}`
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, avro.MustParse(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, cvv := range []any{nil, "123"} {
		if err := w.Encode(map[string]any{"cvv": cvv}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := fieldveilReading(t, b.String(), fileArgs("protect", "--topic", "customers.v1", "--format", "avro")...)
	if code != exitError || !strings.Contains(stderr, "record 2: ") || !strings.Contains(stderr, "/cvv") || strings.Contains(stderr, "123") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestPlanShowsEveryField(t *testing.T) {
	inFiles(t)
	if err := os.WriteFile("customer.avsc", []byte(customerSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"plan", "--policy", "policy.yaml", "--topic", "customers.v1", "--schema", "customer.avsc"}
	code, out, stderr := fieldveil(t, args...)
	if code != exitOK || !strings.Contains(stderr, "of Customer are governed") && !strings.Contains(stderr, "of acme.Customer are governed") {
		t.Fatalf("%d, %s", code, stderr)
	}
	for _, want := range []string{"/id ", "clear", "/name ", "PII.NAME", "mask", "/email ", "PII.EMAIL", "encrypt, pii", "/age ", "bytes", "derived from this one"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	code, out, _ = fieldveil(t, append(args, "--json")...)
	var plan struct {
		Derived  bool              `json:"derived"`
		Fields   []json.RawMessage `json:"fields"`
		Findings []json.RawMessage `json:"findings"`
	}
	if err := json.Unmarshal([]byte(out), &plan); err != nil || code != exitOK || !plan.Derived || len(plan.Fields) != 4 || plan.Findings == nil {
		t.Errorf("%d, %v, %s", code, err, out)
	}
	for name, args := range map[string][]string{
		"no schema":    {"plan", "--policy", "policy.yaml", "--topic", "customers.v1"},
		"two schemas":  append(args, "--registry", "http://127.0.0.1:1"),
		"no topic":     {"plan", "--policy", "policy.yaml", "--schema", "customer.avsc"},
		"no such file": {"plan", "--policy", "policy.yaml", "--topic", "customers.v1", "--schema", "nowhere.avsc"},
		"no rules":     {"plan", "--policy", "policy.yaml", "--topic", "other", "--schema", "customer.avsc"},
	} {
		if code, _, stderr := fieldveil(t, args...); code != exitError || stderr == "" {
			t.Errorf("%s: %d, %s", name, code, stderr)
		}
	}
}

func TestPlanTakesTheSchemaOfASubject(t *testing.T) {
	inFiles(t)
	server, err := registrytest.Start(registrytest.WithCompatibility(registrytest.LevelNone))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	id, err := server.Register("customers.v1-value", registrytest.Schema{Text: customerSchema})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"plan", "--policy", "policy.yaml", "--topic", "customers.v1", "--registry", server.URL()}
	code, want, stderr := fieldveil(t, args...)
	if code != exitOK || !strings.Contains(want, "PII.EMAIL") {
		t.Fatalf("%d, %s, %s", code, want, stderr)
	}
	// The latest version is that of protected records from now on.
	original := schema.Text{Format: schema.Avro, Schema: customerSchema}
	parsed, err := avroschema.Parse(original)
	if err != nil {
		t.Fatal(err)
	}
	derived, _, err := parsed.Derive([]schema.Edit{{Field: len(parsed.Fields()) - 1, Op: schema.Wrap}}, schema.Origin{ID: id, Digest: original.Digest()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Register("customers.v1-value", registrytest.Schema{Text: derived.Schema}); err != nil {
		t.Fatal(err)
	}
	if code, got, stderr := fieldveil(t, append(args, "--subject", "customers.v1-value")...); code != exitOK || got != want {
		t.Errorf("%d, %s, %s", code, got, stderr)
	}
	if code, _, stderr := fieldveil(t, append(args, "--subject", "nothing")...); code != exitError || stderr == "" {
		t.Errorf("no subject: %d", code)
	}
}

func TestOutputsAreThereWholeOrNotAtAll(t *testing.T) {
	t.Chdir(t.TempDir())
	path := filepath.Join(".", "out")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, commit := range []bool{false, true} {
		o, err := openOutput(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.WriteString("after"); err != nil {
			t.Fatal(err)
		}
		if commit {
			if err := o.commit(); err != nil {
				t.Fatal(err)
			}
		}
		o.abandon()
		want := map[bool]string{false: "before", true: "after"}[commit]
		if got, err := os.ReadFile(path); err != nil || string(got) != want || folder(t) != "out" {
			t.Errorf("commit %v: %q, %v, %s", commit, got, err, folder(t))
		}
	}
}

func TestFilesOfPersons(t *testing.T) {
	inOffice(t)
	in := `{"id":"ann@example.com","name":"Ann Example"}` + "\n" + `{"id":"bob@example.com","name":"Bob Example"}` + "\n" + `{"name":"Nobody"}` + "\n"
	code, out, stderr := fieldveilReading(t, in, fileArgs("protect", "--topic", "c", "--skip-bad")...)
	if code != exitOK || strings.Contains(out, "Example") || strings.Count(out, "\n") != 2 || !strings.Contains(stderr, "record 3 is left out: ") {
		t.Fatalf("%d, %s, %s", code, out, stderr)
	}
	code, back, stderr := fieldveilReading(t, out, fileArgs("reveal", "--topic", "c")...)
	if code != exitOK || !strings.HasPrefix(in, back) || strings.Count(back, "\n") != 2 {
		t.Fatalf("%d, %s, %s", code, back, stderr)
	}
	if code, _, stderr := fieldveilReading(t, "ann@example.com\n", "person", "forget", "--policy", "policy.yaml", "--by", "x", "--reason", "y"); code != exitOK {
		t.Fatal(stderr)
	}
	code, back, stderr = fieldveilReading(t, out, fileArgs("reveal", "--topic", "c", "--skip-bad")...)
	if code != exitOK || strings.Contains(back, "Ann") || !strings.Contains(back, "Bob") {
		t.Errorf("%d, %s, %s", code, back, stderr)
	}
	t.Setenv("FIELDVEIL_STORE", "")
	if code, _, stderr := fieldveilReading(t, out, fileArgs("reveal", "--topic", "c")...); code != exitError || !strings.Contains(stderr, "--store and --ledger") {
		t.Errorf("without a store: %d, %s", code, stderr)
	}
}

// FV-121: values that cannot name their key are revealed with the fv-meta of the
// key file, and not without.
func TestFormatPreservingValuesNeedTheirMeta(t *testing.T) {
	inFiles(t)
	code, version, stderr := fieldveil(t, "kek", "domain", "local:dev.kek")
	if code != exitOK {
		t.Fatal(stderr)
	}
	head := fmt.Sprintf("version: 1\ndataset: d\ndomain_keys:\n  ids: {kek: \"local:dev.kek\", versions: [%q]}\n", strings.TrimSpace(version))
	policy := head + "topics: [{match: cards, format: json, fields: [{path: /pan, action: encrypt, key: ids, mode: format-preserving, alphabet: digits}]}]\n"
	if err := os.WriteFile("policy.yaml", []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	in := `{"pan":"1234567890123452"}` + "\n" + `{"pan":"6543210987654321"}` + "\n"
	code, out, stderr := fieldveilReading(t, in, fileArgs("protect", "--topic", "cards")...)
	if code != exitOK || len(out) != len(in) || out == in {
		t.Fatalf("%d, %s, %s", code, out, stderr)
	}
	code, back, stderr := fieldveilReading(t, out, fileArgs("reveal", "--topic", "cards")...)
	if code != exitOK || back != in {
		t.Fatalf("%d, %s, %s", code, back, stderr)
	}
	if err := os.WriteFile("records.keys", []byte(keyFileHeader), 0o600); err != nil {
		t.Fatal(err)
	}
	code, back, stderr = fieldveilReading(t, out, fileArgs("reveal", "--topic", "cards")...)
	if code != exitError || back != "" || !strings.Contains(stderr, "/pan") {
		t.Errorf("without meta: %d, %s, %s", code, back, stderr)
	}
	vault := head + "vaults: {people: {key: ids}}\ntopics: [{match: cards, format: json, fields: [{path: /pan, action: tokenize, vault: people, format: uuid}]}]\n"
	if err := os.WriteFile("policy.yaml", []byte(vault), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = fieldveilReading(t, in, "protect", "--policy", "policy.yaml", "--topic", "cards", "--keys", "more.keys")
	if code != exitError || !strings.Contains(stderr, errVaults.Error()) {
		t.Errorf("with a vault: %d, %s", code, stderr)
	}
}
