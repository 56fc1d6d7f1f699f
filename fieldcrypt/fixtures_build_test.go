package fieldcrypt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

var updateFixtures = flag.Bool("update-fixtures", false, "write the fixtures that do not exist yet; an existing file is never overwritten")

// The fixtures were written by this, once. It does nothing without the flag,
// and with it fails before it changes a file that exists: nonces and keys are
// random, so what it writes is never the same twice.
func TestWriteFixtures(t *testing.T) {
	if !*updateFixtures {
		if _, err := os.Stat(fixturePath("records.json")); err != nil {
			t.Fatalf("the fixtures are part of the format and not there: %v", err)
		}
		return
	}
	for _, name := range []string{"pii.kek", "pci.kek"} {
		made := filepath.Join(t.TempDir(), name)
		if err := localkms.Create(made); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFrozen(name, b); err != nil {
			t.Fatalf("fixtures are frozen: %v", err)
		}
	}
	target, err := filepath.Abs(fixturePath("records.json"))
	if err != nil {
		t.Fatal(err)
	}
	b := new(bytes.Buffer)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(buildFixtures(t)); err != nil {
		t.Fatal(err)
	}
	// The working directory is another one by now.
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatalf("fixtures are frozen: %v", err)
	}
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAFixtureThatExistsIsNeverOverwritten(t *testing.T) {
	before := readFixture(t, "records.json")
	if err := writeFrozen("records.json", []byte("{}")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writing over a fixture: %v", err)
	}
	if !bytes.Equal(readFixture(t, "records.json"), before) {
		t.Error("the fixture changed")
	}
}

// blockStore remembers the blocks in the order in which they came.
type blockStore struct {
	datakey.MemStore

	blocks []hexed
}

func fixtureValue(friend any) map[string]any {
	return map[string]any{
		"id": int64(7), "name": "Ada Example", "email": "ada@example.com", "birth": "1985-12-10", "notes": "calls at night",
		"photo": []byte{0xFF, 0xD8, 0, 1}, "address": map[string]any{"street": "Dlouhá 1", "city": "Praha"},
		"cards":  []any{map[string]any{"pan": "4111111111111111", "chip": []byte{9, 8, 7}}, map[string]any{"pan": "", "chip": []byte{}}},
		"labels": map[string]any{"vip": "since 2019"}, "friend": friend,
	}
}

func buildFixtures(t *testing.T) fixtureFile {
	t.Helper()
	schemas := fixtureSchemas(t)
	// The encoder of the fixtures has the reference in its place.
	enc := twmb.MustParse(strings.Replace(schemas[fixtureCustomer].Schema, `"com.example.Address"`, schemas[fixtureCustomer].References[0], 1))
	store := new(blockStore)
	e := fixtureReader(t, store)
	out := fixtureFile{About: "Records that format version 1 wrote, all bytes in hex. Frozen: every later version reveals or refuses them so."}

	protect := func(v map[string]any, headers ...fieldcrypt.Header) fieldcrypt.Record {
		value, err := enc.AppendEncode(frame(fixtureCustomer), v)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "customers.v1", Value: value, Headers: headers})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range rec.Headers {
			known := slices.ContainsFunc(store.blocks, func(b hexed) bool { return bytes.Equal(b, h.Value) })
			if h.Key == fieldcrypt.HeaderKey && !known {
				store.blocks = append(store.blocks, h.Value)
			}
		}
		return rec
	}
	add := func(name string, code fieldcrypt.Code, rec fieldcrypt.Record) {
		f := fixtureRecord{Name: name, Topic: rec.Topic, Value: rec.Value, Code: code}
		for _, h := range rec.Headers {
			f.Headers = append(f.Headers, fixtureHeader{h.Key, h.Value})
		}
		if code == "" {
			back, err := e.Reveal(t.Context(), rec)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			f.Revealed = back.Value
		}
		out.Records = append(out.Records, f)
	}
	decode := func(value []byte) map[string]any {
		var v any
		if _, err := enc.Decode(value[5:], &v); err != nil {
			t.Fatal(err)
		}
		m, _ := v.(map[string]any)
		return m
	}
	encode := func(rec fieldcrypt.Record, change func(v map[string]any)) fieldcrypt.Record {
		v := decode(rec.Value)
		change(v)
		var err error
		if rec.Value, err = enc.AppendEncode(frame(fixtureCustomer), v); err != nil {
			t.Fatal(err)
		}
		return rec
	}
	tenant := func(name string) fieldcrypt.Header { return fieldcrypt.Header{Key: "tenant", Value: []byte(name)} }
	trace := fieldcrypt.Header{Key: "trace", Value: []byte("1")}

	home := protect(fixtureValue(nil), trace)
	add("every action, both suites", "", home)
	add("a record in a record", "", protect(fixtureValue(fixtureValue(nil))))
	nulls := fixtureValue(nil)
	nulls["notes"], nulls["photo"], nulls["cards"], nulls["labels"] = nil, nil, []any{}, map[string]any{}
	add("nulls and empty lists", "", protect(nulls))
	empty := fixtureValue(nil)
	empty["email"], empty["photo"], empty["name"] = "", []byte{}, ""
	add("empty values", "", protect(empty))
	acme := protect(fixtureValue(nil), trace, tenant("acme"))
	add("a tenant", "", acme)
	restored := home
	restored.Topic = "customers.restored"
	add("another topic", "", restored)
	renamed := home
	renamed.Value = reframed(home.Value, fixtureRenamed)
	add("a renamed field with an alias", "", renamed)

	other := acme
	other.Headers = slices.Clone(acme.Headers)
	other.Headers[1] = tenant("mallory")
	add("moved to another tenant", fieldcrypt.CodeForeignKey, other)
	add("moved to another path", fieldcrypt.CodeMoved, encode(home, func(v map[string]any) {
		address, _ := v["address"].(map[string]any)
		v["email"], address["street"] = address["street"], v["email"]
	}))
	add("moved to another key", fieldcrypt.CodeForeignKey, encode(home, func(v map[string]any) {
		cards, _ := v["cards"].([]any)
		card, _ := cards[0].(map[string]any)
		v["email"] = card["pan"]
	}))
	add("moved to another type", fieldcrypt.CodeMoved, encode(home, func(v map[string]any) { v["photo"] = textToRaw(t, v["email"]) }))
	photo := func(change func(b []byte) []byte) fieldcrypt.Record {
		return encode(home, func(v map[string]any) {
			b, _ := v["photo"].([]byte)
			v["photo"] = change(bytes.Clone(b))
		})
	}
	email := func(change func(s string) string) fieldcrypt.Record {
		return encode(home, func(v map[string]any) {
			s, _ := v["email"].(string)
			v["email"] = change(s)
		})
	}
	add("a flipped bit in the tag", fieldcrypt.CodeTampered, photo(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }))
	add("a flipped bit in the context id", fieldcrypt.CodeTampered, photo(func(b []byte) []byte { b[14] ^= 1; return b }))
	add("a text form of another version", fieldcrypt.CodeUnsealed, email(func(s string) string { return "fv2:" + s[4:] }))
	add("a text form with padding", fieldcrypt.CodeFormat, email(func(s string) string { return s + "=" }))
	add("a value that was never sealed", fieldcrypt.CodeUnsealed, email(func(string) string { return "ada@example.com" }))
	withMeta := func(b ...byte) fieldcrypt.Record {
		r := home
		r.Headers = append(foreignHeaders(home.Headers), fieldcrypt.Header{Key: fieldcrypt.HeaderMeta, Value: b})
		return r
	}
	add("an fv-meta of a later version", fieldcrypt.CodeFormat, withMeta(2))
	add("an fv-meta with an unknown item", fieldcrypt.CodeFormat, withMeta(1, 2, 0))
	lost := home
	lost.Headers = foreignHeaders(home.Headers)
	add("no key header", fieldcrypt.CodeKeyUnknown, lost)
	out.Blocks = store.blocks
	return out
}
