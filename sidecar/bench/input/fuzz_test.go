package input

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/fieldveil/fieldveil/schema"
)

// canary stands in all seeds, and must never stand in an error.
const canary = "canary-4711"

func quiet(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("an error holds a value: %v", err)
	}
}

// ownLoader returns a loader that knows a schema and a policy.
func ownLoader(bare bool) *loader {
	l := &loader{
		options: &Options{Records: "records", Count: 100},
		set:     &Set{Topic: "users", Policy: []byte(ownPolicy), Text: schema.Text{Format: schema.Avro, Schema: ownAvro}, Framed: true, SchemaID: 1},
	}
	if bare {
		l.bare, l.set = true, &Set{Topic: "clicks", Policy: []byte(ownPolicy)}
	}
	return l
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"email":"` + canary + `"}`, "\n{\"id\":\"" + canary + "\"}", `{"id":1,"email":{"string":"` + canary + `"}}`, "\xef\xbb\xbf{}", `{"user":{"ip":"192.0.2.1"}}`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, bare bool) {
		l := ownLoader(bare)
		err := l.lines(t.Context(), bytes.NewReader(in))
		quiet(t, err)
		if err != nil {
			return
		}
		err = l.set.inspect(t.Context(), l.where)
		quiet(t, err)
		if err != nil && !errors.Is(err, errProtected) && !bare {
			t.Errorf("what was encoded here is refused: %v", err)
		}
	})
}

func FuzzContainer(f *testing.F) {
	for _, codec := range []ocf.Codec{nil, ocf.DeflateCodec(-1), ocf.SnappyCodec()} {
		var b bytes.Buffer
		w, err := ocf.NewWriter(&b, avro.MustParse(ownAvro), ocf.WithSchema(ownAvro), ocf.WithCodec(codec))
		if err != nil {
			f.Fatal(err)
		}
		if err := errors.Join(w.Encode(map[string]any{"id": int64(4), "email": canary}), w.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), true)
		f.Add(b.Bytes(), false)
	}
	f.Add([]byte("Obj\x01"+canary), false)
	f.Fuzz(func(t *testing.T, in []byte, given bool) {
		l := ownLoader(false)
		if !given {
			l.set.Text, l.set.Framed, l.set.SchemaID = schema.Text{}, false, 0
		}
		err := l.container(t.Context(), bytes.NewReader(in))
		quiet(t, err)
		if err != nil {
			return
		}
		err = l.set.inspect(t.Context(), l.where)
		quiet(t, err)
	})
}

// Whatever the schema is, making records up ends, and what is made passes the
// project's own programs.
func FuzzSchema(f *testing.F) {
	for _, one := range satisfiable() {
		if len(one.text.References) == 0 {
			f.Add(string(one.text.Format), one.text.Schema, uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, format, text string, seed uint64) {
		s := schema.Text{Format: schema.Format(format), Schema: text}
		m, err := newRecordMaker(s, seed, DefaultSpread())
		if err != nil {
			return
		}
		parsed, err := parse(s)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			body, err := m.record(nil)
			if err != nil {
				return
			}
			passes(t, parsed, body)
		}
	})
}
