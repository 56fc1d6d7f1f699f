package formats_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// fipsPolicyText is every kind of action that the profile has; the KEK and the
// version of the domain key are filled in.
const fipsPolicyText = `
version: 1
profile: fips
dataset: people
keys: {gcm: {kek: %[1]q}, xaes: {kek: %[1]q, suite: xaes}}
domain_keys: {ids: {kek: %[1]q, versions: [%[2]q]}}
vaults: {cards: {key: ids}}
rules:
  - {tag: GCM, action: encrypt, key: gcm}
  - {tag: XAES, action: encrypt, key: xaes}
  - {tag: HASH, action: hash, key: ids}
  - {tag: MASK, action: mask, keep_last: 4}
  - {tag: TOKEN, action: tokenize, vault: cards, format: prefixed, prefix: "card_"}
topics:
  - {match: "framed.*"}
  - match: json
    format: json
    fields:
      - {path: /mail, action: encrypt, key: gcm}
      - {path: /note, action: encrypt, key: xaes}
      - {path: /id, action: hash, key: ids}
      - {path: /phone, action: mask, keep_last: 4}
      - {path: /pan, action: tokenize, vault: cards, format: prefixed, prefix: "card_"}
`

const (
	fipsAvro = `{"type": "record", "name": "com.example.Person", "fields": [
		{"name": "mail", "type": "string", "confluent:tags": ["GCM"]},
		{"name": "note", "type": "string", "confluent:tags": ["XAES"]},
		{"name": "id", "type": "string", "confluent:tags": ["HASH"]},
		{"name": "phone", "type": "string", "confluent:tags": ["MASK"]},
		{"name": "pan", "type": "string", "confluent:tags": ["TOKEN"]}]}`
	fipsProto = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
message Person {
  string mail = 1 [(confluent.field_meta).tags = "GCM"];
  string note = 2 [(confluent.field_meta).tags = "XAES"];
  string id = 3 [(confluent.field_meta).tags = "HASH"];
  string phone = 4 [(confluent.field_meta).tags = "MASK"];
  string pan = 5 [(confluent.field_meta).tags = "TOKEN"];
}
`
)

// fipsFields are the fields of the record in their order, and what they hold.
var fipsFields = []struct{ name, before string }{
	{"mail", "jane@example.com"}, {"note", "a note of some length, longer than one block"},
	{"id", "person-4711"}, {"phone", "+420 123 456 789"}, {"pan", "4111111111111111"},
}

// fipsSetting is what two processes share: files, and what is in them.
type fipsSetting struct {
	Policy  string
	Rows    []tokenize.Row
	Records []fieldcrypt.Record
}

func newFIPSSetting(t *testing.T, dir string) *fipsSetting {
	t.Helper()
	path := filepath.Join(dir, "test.kek")
	if err := localkms.Create(path); err != nil {
		t.Fatal(err)
	}
	kek := "local:" + path
	block, err := datakey.CreateDomainBlock(t.Context(), kms.Mux{localkms.Scheme: localkms.New()}, kek, "")
	if err != nil {
		t.Fatal(err)
	}
	return &fipsSetting{Policy: fmt.Sprintf(fipsPolicyText, kek, base64.StdEncoding.EncodeToString(block))}
}

func readFIPSSetting(t *testing.T, dir string) *fipsSetting {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "setting.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := new(fipsSetting)
	if err := json.Unmarshal(b, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *fipsSetting) write(t *testing.T, dir string) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "setting.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rowStore remembers the rows that it was given.
type rowStore struct {
	tokenize.Store

	rows []tokenize.Row
}

func (s *rowStore) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	s.rows = append(s.rows, rows...)
	return s.Store.Insert(ctx, rows)
}

// engine returns an engine of its own over the setting, and its store. Where the
// FIPS mode is off it needs the option that says so.
func (s *fipsSetting) engine(t *testing.T) (*fieldcrypt.Engine, *rowStore) {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(s.Policy))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	audit, err := tokenize.NewJSONAudit(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := tokenize.NewGate(audit, func(context.Context, tokenize.Request) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	store := &rowStore{Store: vaulttest.NewMemory()}
	if _, err := store.Store.Insert(t.Context(), s.Rows); err != nil {
		t.Fatal(err)
	}
	opts := []fieldcrypt.Option{
		fieldcrypt.WithTopicSchema("framed.avro", schema.Text{Format: schema.Avro, Schema: fipsAvro}),
		fieldcrypt.WithTopicSchema("framed.proto", schema.Text{Format: schema.Protobuf, Schema: fipsProto}),
		fieldcrypt.WithFormat(schema.JSONSchema, func(t schema.Text) (schema.Schema, error) { return jsonschema.Parse(t) }),
		fieldcrypt.WithFormat(schema.Protobuf, func(t schema.Text) (schema.Schema, error) { return protobuf.Parse(t) }),
		fieldcrypt.WithVault("cards", tokenize.NewVault(store, tokenize.WithGate(gate))),
		fieldcrypt.WithDetokenize(tokenize.Access{Caller: "test", Purpose: "test"}),
		fieldcrypt.WithRecheck(1), fieldcrypt.WithFIPS(),
	}
	e, err := fieldcrypt.New(p, keys, opts...)
	if fips140.Enabled() {
		if err != nil {
			t.Fatal(err)
		}
		return e, store
	}
	if !errors.Is(err, fieldcrypt.ErrFIPSMode) {
		t.Fatalf("an engine of the profile in a process without FIPS mode: %v", err)
	}
	if e, err = fieldcrypt.New(p, keys, append(opts, fieldcrypt.WithoutFIPSModule())...); err != nil {
		t.Fatal(err)
	}
	return e, store
}

// fipsRecords returns the record in each format, encoded by others.
func fipsRecords(t *testing.T) []fieldcrypt.Record {
	t.Helper()
	doc := map[string]any{}
	var text, fields strings.Builder
	for i, f := range fipsFields {
		doc[f.name] = f.before
		fmt.Fprintf(&text, "%s: %q ", f.name, f.before)
		fmt.Fprintf(&fields, "%s%q:%q", map[bool]string{true: ","}[i > 0], f.name, f.before)
	}
	avro, err := twmb.MustParse(fipsAvro).AppendEncode(nil, doc)
	if err != nil {
		t.Fatal(err)
	}
	message := protoMessage(t, protoFile(t, fipsProto).Messages().ByName("Person"), text.String())
	return []fieldcrypt.Record{
		{Topic: "framed.avro", Value: avro}, {Topic: "framed.proto", Value: marshal(t, message)},
		{Topic: "json", Value: []byte("{" + fields.String() + "}")},
	}
}

// fipsDecode returns the fields of a record in their order.
func fipsDecode(t *testing.T, rec fieldcrypt.Record) []string {
	t.Helper()
	got := map[string]any{}
	switch rec.Topic {
	case "framed.avro":
		if _, err := twmb.MustParse(fipsAvro).Decode(rec.Value, &got); err != nil {
			t.Fatal(err)
		}
	case "framed.proto":
		d := protoFile(t, fipsProto).Messages().ByName("Person")
		m := unmarshal(t, d, rec.Value)
		for i := range d.Fields().Len() {
			got[string(d.Fields().Get(i).Name())] = m.Get(d.Fields().Get(i)).String()
		}
	default:
		if err := json.Unmarshal(rec.Value, &got); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]string, len(fipsFields))
	for i, f := range fipsFields {
		out[i] = fmt.Sprint(got[f.name])
	}
	return out
}

// protect fills the records and rows of the setting.
func (s *fipsSetting) protect(t *testing.T) {
	t.Helper()
	e, store := s.engine(t)
	for _, rec := range fipsRecords(t) {
		out, err := e.Protect(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fipsFields {
			if bytes.Contains(out.Value, []byte(f.before)) {
				t.Errorf("%s: %s is in clear", rec.Topic, f.name)
			}
		}
		s.Records = append(s.Records, out)
	}
	s.Rows = append(s.Rows, store.rows...)
}

// reveal checks that the records of the setting come back.
func (s *fipsSetting) reveal(t *testing.T) {
	t.Helper()
	e, _ := s.engine(t)
	if len(s.Records) != 3 || len(s.Rows) == 0 {
		t.Fatalf("%d records, %d rows", len(s.Records), len(s.Rows))
	}
	hashes := map[string]bool{}
	for _, rec := range s.Records {
		before := fipsDecode(t, rec)
		back, err := e.Reveal(t.Context(), rec)
		if err != nil {
			t.Fatalf("%s: %v", rec.Topic, err)
		}
		for i, got := range fipsDecode(t, back) {
			f := fipsFields[i]
			want := f.before
			switch f.name {
			case "id", "phone": // for good
				want = before[i]
			default:
			}
			if got != want || got == "" || before[i] == f.before {
				t.Errorf("%s: %s became %q and then %q", rec.Topic, f.name, before[i], got)
			}
		}
		hashes[before[2]] = true
	}
	if len(hashes) != 3 { // places of their own, without a join
		t.Errorf("hashes %v", hashes)
	}
}

func TestTheFIPSProfileEndToEnd(t *testing.T) {
	dir := t.TempDir()
	s := newFIPSSetting(t, dir)
	s.protect(t)
	s.reveal(t)
}

func TestEveryBitOfAProfileRecordCounts(t *testing.T) {
	s := newFIPSSetting(t, t.TempDir())
	s.protect(t)
	e, _ := s.engine(t)
	for _, rec := range s.Records {
		refused := 0
		for bit := range 8 * len(rec.Value) {
			bad := rec
			bad.Value = bytes.Clone(rec.Value)
			bad.Value[bit/8] ^= 1 << (bit % 8)
			back, err := e.Reveal(t.Context(), bad)
			if err != nil {
				refused++
				for _, f := range fipsFields {
					if strings.Contains(err.Error(), f.before) {
						t.Fatalf("%s, bit %d: %v", rec.Topic, bit, err)
					}
				}
				continue
			}
			// What was not sealed may change: masks, hashes, names of JSON members and
			// numbers of Protobuf fields. What was sealed comes back as it was, or its
			// field is not there.
			for _, text := range sealedOf(t, back) {
				if text != "" && text != fipsFields[0].before && text != fipsFields[1].before {
					t.Fatalf("%s, bit %d: opened as %q", rec.Topic, bit, text)
				}
			}
		}
		if refused < 8*len(rec.Value)/2 {
			t.Errorf("%s: %d of %d changes were refused", rec.Topic, refused, 8*len(rec.Value))
		}
	}
}

// sealedOf returns what stands in the fields that are sealed, in those that are
// still there under their names.
func sealedOf(t *testing.T, rec fieldcrypt.Record) []string {
	t.Helper()
	if rec.Topic == "json" {
		got := map[string]any{}
		if json.Unmarshal(rec.Value, &got) != nil {
			return nil
		}
		var out []string
		for _, name := range []string{"mail", "note"} {
			if text, ok := got[name].(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	if rec.Topic == "framed.proto" {
		// Not by the library, which refuses a hash whose text is none any more.
		var out []string
		for b := rec.Value; len(b) > 0; {
			number, typ, n := protowire.ConsumeTag(b)
			if n < 0 {
				return out
			}
			size := protowire.ConsumeFieldValue(number, typ, b[n:])
			if size < 0 {
				return out
			}
			if text, m := protowire.ConsumeBytes(b[n:]); number <= 2 && typ == protowire.BytesType && m > 0 {
				out = append(out, string(text))
			}
			b = b[n+size:]
		}
		return out
	}
	return fipsDecode(t, rec)[:2]
}

// The child of the test below.
const fipsChild = "FIELDVEIL_TEST_FIPS_CHILD"

// What is sealed in FIPS mode opens without it, and the other way round: there
// is one format, and both modes read and write it.
func TestRecordsGoBetweenProcessesInAndOutOfFIPSMode(t *testing.T) {
	if job := os.Getenv(fipsChild); job != "" {
		runFIPSChild(t, job)
		return
	}
	for _, mode := range []string{"off", "on", "only"} {
		t.Run("the other process with fips140="+mode, func(t *testing.T) {
			dir := t.TempDir()
			theirs := newFIPSSetting(t, dir)
			theirs.write(t, dir)
			startFIPSChild(t, mode, "protect", dir)
			readFIPSSetting(t, dir).reveal(t)

			dir = t.TempDir()
			ours := newFIPSSetting(t, dir)
			ours.protect(t)
			ours.write(t, dir)
			startFIPSChild(t, mode, "reveal", dir)
		})
	}
}

func startFIPSChild(t *testing.T, mode, job, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$", "-test.count=1", "-test.v")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") })
	cmd.Env = append(cmd.Env, "GODEBUG=fips140="+mode, fipsChild+"="+job+" "+mode+" "+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("did "+job+" with fips140="+mode)) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func runFIPSChild(t *testing.T, text string) {
	t.Helper()
	job, rest, _ := strings.Cut(text, " ")
	mode, dir, _ := strings.Cut(rest, " ")
	if fips140.Enabled() != (mode != "off") || fips140.Enforced() != (mode == "only") {
		t.Fatalf("mode %s, enabled %v, enforced %v", mode, fips140.Enabled(), fips140.Enforced())
	}
	s := readFIPSSetting(t, dir)
	if job == "protect" {
		s.protect(t)
		s.write(t, dir)
	} else {
		s.reveal(t)
	}
	if !t.Failed() {
		t.Logf("did %s with fips140=%s, module %s", job, mode, fips140.Version())
	}
}

func TestWhatTheProfileRefusesIsRefusedByNameOfTheAlgorithm(t *testing.T) {
	s := newFIPSSetting(t, t.TempDir())
	for rule, algorithm := range map[string]string{
		"action: encrypt, key: ids, mode: deterministic":     "AES-SIV",
		"action: encrypt, key: ids, mode: format-preserving": "FF1",
		"action: tokenize, key: ids, format: pan":            "FF1",
	} {
		text := strings.Replace(s.Policy, "action: hash, key: ids", rule, 1)
		if text == s.Policy {
			t.Fatal("nothing was replaced")
		}
		_, err := fieldcrypt.ParsePolicy([]byte(text))
		if e, ok := errors.AsType[*fieldcrypt.PolicyError](err); !ok || !strings.Contains(e.Reason, algorithm) || e.Line != 11 {
			t.Errorf("%s: %v", rule, err)
		}
		text = strings.Replace(text, "profile: fips\n", "", 1)
		if _, err = fieldcrypt.ParsePolicy([]byte(text)); (err != nil) != fips140.Enforced() {
			t.Errorf("%s without the profile, enforced %v: %v", rule, fips140.Enforced(), err)
		}
	}
}
