package registry

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const derivedPolicy = `
version: 1
dataset: readings
keys: {k: {kek: "local:k"}}
rules:
  - {tag: WHOLE, action: encrypt, key: k, apply: whole}
  - {tag: PII, action: encrypt, key: k}
topics: [{match: "derived-*"}]
`

// An evolution is a schema that changed twice, with a record of each version.
type evolution struct {
	format  schema.Format
	texts   []string
	records [][]byte // without framing by id
	secrets [][]byte // each in all records
	// untagged is the first text, with less protected.
	untagged string
	// incompatible is a text that no check for BACKWARD lets pass behind the last
	// derived schema.
	incompatible func(derived string) string
	// read looks at the protected records as a reader of the last derived schema.
	read func(t *testing.T, derived []string, bodies [][]byte)
}

// Derived schemas go where a registry has an opinion.
func testDerived(t *testing.T, url string, r Release) {
	t.Helper()
	for _, e := range []evolution{avroEvolution(t), protoEvolution(t, r.removal), jsonEvolution()} {
		t.Run(string(e.format)+" evolves with its originals", func(t *testing.T) { e.test(t, url) })
		t.Run(string(e.format)+" is refused when a field gets protection", func(t *testing.T) { e.gains(t, url) })
		t.Run(string(e.format)+" is refused where the original is", func(t *testing.T) { e.refused(t, url) })
		t.Run(string(e.format)+" is refused to who comes late with an old version", func(t *testing.T) { e.late(t, url) })
	}
	t.Run("tags beside the text that get lost stop the first record", func(t *testing.T) { derivedTags(t, url) })
}

// keyring is what all processes of a test share.
type keyring struct {
	kms   kms.Wrapper
	store datakey.Store
}

func newKeyring() *keyring {
	return &keyring{kms: kms.Mux{localkms.Scheme: localkms.NewInMemory()}, store: new(datakey.MemStore)}
}

// engine is that of a new process, which has nothing in its caches.
func (k *keyring) engine(t *testing.T, url string) *fieldcrypt.Engine {
	t.Helper()
	return k.engineWith(t, url, registry.TagFile{Version: 1})
}

func (k *keyring) engineWith(t *testing.T, url string, tags registry.TagFile) *fieldcrypt.Engine {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(derivedPolicy))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(k.kms, datakey.WithStore(k.store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	c := fresh(t, url)
	source, err := registry.Tagged(c, tags)
	if err != nil {
		t.Fatal(err)
	}
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(source), fieldcrypt.WithRegistrar(c), fieldcrypt.WithRecheck(1),
		fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser),
		fieldcrypt.WithFormat(schema.JSONSchema, func(s schema.Text) (schema.Schema, error) { return jsonschema.Parse(s) }))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e evolution) test(t *testing.T, url string) {
	t.Helper()
	topic := "derived-" + strings.ToLower(string(e.format))
	original, derived := topic+"-original", topic+"-value"
	k := newKeyring()
	admin := fresh(t, url)
	var texts []string
	var bodies [][]byte
	var ids []int
	for n, text := range e.texts {
		id := register(t, url, original, schema.Text{Format: e.format, Schema: text})
		value := framed(t, id, e.records[n])
		out, err := k.engine(t, url).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: value})
		if err != nil {
			t.Fatalf("version %d: %v", n+1, err)
		}
		for i, secret := range e.secrets {
			if !bytes.Contains(value, secret) {
				t.Fatalf("version %d: the record does not hold secret %d", n+1, i)
			}
			if bytes.Contains(out.Value, secret) {
				t.Errorf("version %d: secret %d is in clear", n+1, i)
			}
		}
		derivedID, size, err := wire.ParseFrame(out.Value)
		if err != nil || derivedID == id {
			t.Fatalf("version %d: the record has id %d, %v", n+1, derivedID, err)
		}
		latest, err := fresh(t, url).Latest(t.Context(), derived)
		if err != nil || latest.ID != derivedID {
			t.Fatalf("version %d: %s has id %d, %v, and the record %d", n+1, derived, latest.ID, err, derivedID)
		}
		back, err := k.engine(t, url).Reveal(t.Context(), out)
		if err != nil || !bytes.Equal(back.Value, value) {
			t.Fatalf("version %d: revealed %x, %v, want %x", n+1, back.Value, err, value)
		}
		texts, bodies, ids = append(texts, latest.Text), append(bodies, out.Value[size:]), append(ids, derivedID)
		if n == 0 {
			for _, subject := range []string{original, derived} {
				if err := admin.SetConfig(t.Context(), subject, registry.Config{Compatibility: "BACKWARD"}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// The check was there all the time.
	if id, err := admin.Register(t.Context(), derived, schema.Text{Format: e.format, Schema: e.incompatible(texts[len(texts)-1])}); !errors.Is(err, registry.ErrIncompatible) {
		t.Errorf("a text that does not go with the others is registered: %d, %v", id, err)
	}
	// Producers of all versions start anew, in any order, and nothing is added.
	for _, n := range []int{1, 0, 2} {
		id := register(t, url, original, schema.Text{Format: e.format, Schema: e.texts[n]})
		out, err := k.engine(t, url).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: framed(t, id, e.records[n])})
		if err != nil {
			t.Fatalf("version %d again: %v", n+1, err)
		}
		if again, _, err := wire.ParseFrame(out.Value); err != nil || again != ids[n] {
			t.Errorf("version %d again: the record has id %d, %v, and had %d", n+1, again, err, ids[n])
		}
	}
	versions, err := fresh(t, url).Versions(t.Context(), derived)
	if err != nil || !slices.Equal(versions, []int{1, 2, 3}) {
		t.Errorf("%s has the versions %v, %v", derived, versions, err)
	}
	e.read(t, texts, bodies)
}

// gains protects a field in the second version that is in clear in the first.
// That is another type, and no registry that checks lets it pass.
func (e evolution) gains(t *testing.T, url string) {
	t.Helper()
	topic := "derived-gains-" + strings.ToLower(string(e.format))
	k := newKeyring()
	protect := func(text string) (fieldcrypt.Record, error) {
		id := register(t, url, topic+"-original", schema.Text{Format: e.format, Schema: text})
		return k.engine(t, url).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: framed(t, id, e.records[0])})
	}
	if _, err := protect(e.untagged); err != nil {
		t.Fatal(err)
	}
	if err := fresh(t, url).SetConfig(t.Context(), topic+"-value", registry.Config{Compatibility: "BACKWARD"}); err != nil {
		t.Fatal(err)
	}
	out, err := protect(e.texts[0])
	f, ok := errors.AsType[*fieldcrypt.Error](err)
	if !ok || f.Code != fieldcrypt.CodeSchema || !errors.Is(err, registry.ErrIncompatible) || !reflect.DeepEqual(out, fieldcrypt.Record{}) {
		t.Fatalf("Protect: %v", err)
	}
}

// late registers the derived schemas in another order than the originals: in the
// order in which they are used first. A registry that checks compares with what
// it has, and cannot know better. What was registered in time stays usable: see
// test.
func (e evolution) late(t *testing.T, url string) {
	t.Helper()
	topic := "derived-late-" + strings.ToLower(string(e.format))
	k := newKeyring()
	var ids []int
	for _, text := range e.texts {
		ids = append(ids, register(t, url, topic+"-original", schema.Text{Format: e.format, Schema: text}))
	}
	last := len(ids) - 1
	if _, err := k.engine(t, url).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: framed(t, ids[last], e.records[last])}); err != nil {
		t.Fatal(err)
	}
	if err := fresh(t, url).SetConfig(t.Context(), topic+"-value", registry.Config{Compatibility: "BACKWARD"}); err != nil {
		t.Fatal(err)
	}
	out, err := k.engine(t, url).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: framed(t, ids[0], e.records[0])})
	if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || f.Code != fieldcrypt.CodeSchema || !errors.Is(err, registry.ErrIncompatible) ||
		!reflect.DeepEqual(out, fieldcrypt.Record{}) {
		t.Fatalf("Protect: %v", err)
	}
}

// derivedTags has tags that stand beside the text of the original alone. This
// registry drops those of the derived one and says nothing.
func derivedTags(t *testing.T, url string) {
	t.Helper()
	const topic = "derived-tags"
	text := `{"type": "record", "name": "Beside", "fields": [{"name": "id", "type": "string"}, {"name": "age", "type": "int"}]}`
	id := register(t, url, topic+"-original", schema.Text{Format: schema.Avro, Schema: text})
	body, err := avro.MustParse(text).AppendEncode(nil, map[string]any{"id": "r-1", "age": int32(36)})
	if err != nil {
		t.Fatal(err)
	}
	rec := fieldcrypt.Record{Topic: topic, Value: framed(t, id, body)}
	rules := []schema.TagRule{{Pattern: "/age", Tags: []string{"PII"}}}
	k := newKeyring()
	lost := registry.TagFile{Version: 1, Subjects: []registry.TagMatch{{Match: topic + "-original", Tags: rules}}}
	for range 2 {
		out, err := k.engineWith(t, url, lost).Protect(t.Context(), rec)
		f, ok := errors.AsType[*fieldcrypt.Error](err)
		if !ok || f.Code != fieldcrypt.CodeSchema || f.Retryable() || !reflect.DeepEqual(out, fieldcrypt.Record{}) {
			t.Fatalf("Protect: %v", err)
		}
	}
	// A file that also covers the derived schema makes up for it.
	kept := registry.TagFile{Version: 1, Subjects: []registry.TagMatch{{Match: topic + "-*", Tags: rules}}}
	out, err := k.engineWith(t, url, kept).Protect(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	back, err := k.engineWith(t, url, kept).Reveal(t.Context(), out)
	if err != nil || !bytes.Equal(back.Value, rec.Value) {
		t.Errorf("revealed %x, %v", back.Value, err)
	}
}

// refused puts the original where the derived schema would go.
func (e evolution) refused(t *testing.T, url string) {
	t.Helper()
	topic := "derived-refused-" + strings.ToLower(string(e.format))
	subject := topic + "-value"
	id := register(t, url, subject, schema.Text{Format: e.format, Schema: e.texts[0]})
	if err := fresh(t, url).SetConfig(t.Context(), subject, registry.Config{Compatibility: "BACKWARD"}); err != nil {
		t.Fatal(err)
	}
	engine := newKeyring().engine(t, url)
	for range 2 { // it is not forgotten, and not let pass, the second time
		out, err := engine.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: framed(t, id, e.records[0])})
		f, ok := errors.AsType[*fieldcrypt.Error](err)
		if !ok || f.Code != fieldcrypt.CodeSchema || !errors.Is(err, registry.ErrIncompatible) || !strings.Contains(err.Error(), subject) {
			t.Fatalf("Protect: %v", err)
		}
		if f.Retryable() {
			t.Error("the refusal asks to try again")
		}
		for i, secret := range e.secrets {
			if strings.Contains(err.Error(), string(secret)) {
				t.Errorf("the error holds secret %d", i)
			}
		}
		if !reflect.DeepEqual(out, fieldcrypt.Record{}) {
			t.Error("a record is handed out")
		}
	}
	if versions, err := fresh(t, url).Versions(t.Context(), subject); err != nil || !slices.Equal(versions, []int{1}) {
		t.Errorf("%s has the versions %v, %v", subject, versions, err)
	}
}

func framed(t *testing.T, id int, body []byte) []byte {
	t.Helper()
	b, err := wire.AppendFrame(nil, id)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, body...)
}

// checkSealed knows an envelope by the form that docs/format.md gives it.
func checkSealed(t *testing.T, what string, v any) {
	t.Helper()
	if b, ok := v.([]byte); !ok || len(b) < 50 || b[0] != 1 || b[1] != 1 {
		t.Errorf("%s is %v and no envelope", what, v)
	}
}
