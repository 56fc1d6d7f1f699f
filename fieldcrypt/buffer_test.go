package fieldcrypt_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// plan returns a plan with keys of its own, as another process has it.
func (w *world) plan(policy, schemaText string) *fieldcrypt.Plan {
	w.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(keys.Close)
	s, err := avro.Parse(avroText(schemaText))
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, p, keys, "t")
	if err != nil {
		w.t.Fatal(err)
	}
	return plan
}

const hidden = "PLAINTEXT-of-a-value-that-must-not-show"

// shows tells whether a part of hidden stands anywhere in the room of b.
func shows(b []byte) bool {
	b = b[:cap(b)]
	return bytes.Contains(b, []byte(hidden[:12])) || bytes.Contains(b, []byte(hidden[20:]))
}

// FV-13: a refused value leaves nothing behind, neither in what is returned nor
// in the caller's buffer behind its length, and the buffer comes back as it was.
// Every bit and every cut, for both suites in text and in bytes.
func TestARefusedValueLeavesNothingInTheBuffer(t *testing.T) {
	const before = "what the caller had"
	src := append([]byte{byte(len(hidden)) << 1}, hidden...)
	for _, suite := range []string{"gcm", "xaes"} {
		for _, typ := range []string{`"string"`, `"bytes"`} {
			t.Run(suite+" "+typ, func(t *testing.T) {
				plan := newWorld(t).plan(onePolicy(suite, ""), oneField(typ, "PII"))
				sealed, blocks, err := plan.AppendProtected(t.Context(), "", nil, src, nil)
				if err != nil {
					t.Fatal(err)
				}
				if out, err := plan.AppendRevealed(t.Context(), "", nil, sealed, blocks); err != nil || !bytes.Equal(out, src) || !shows(out) {
					t.Fatalf("unchanged: %q, %v", out, err)
				}
				try := func(what string, bad []byte) []byte {
					t.Helper()
					dst := append(make([]byte, 0, 4096), before...)
					out, err := plan.AppendRevealed(t.Context(), "", dst, bad, blocks)
					if err == nil || string(out) != before {
						t.Fatalf("%s: %q, %v", what, out, err)
					}
					return dst
				}
				for bit := range len(sealed) * 8 {
					bad := bytes.Clone(sealed)
					bad[bit/8] ^= 1 << (bit % 8)
					if what := fmt.Sprintf("bit %d", bit); shows(try(what, bad)) {
						t.Fatalf("%s: plaintext stands behind the buffer's length", what)
					}
				}
				for n := range sealed {
					if what := fmt.Sprintf("cut at %d", n); shows(try(what, sealed[:n])) {
						t.Fatalf("%s: plaintext stands behind the buffer's length", what)
					}
				}
				// Here the value is genuine and the record is not: its plaintext may
				// stand in the caller's own buffer, and is not part of the result.
				try("a byte behind the end", append(bytes.Clone(sealed), 0))
			})
		}
	}
}

// FV-22: a value in a wrong place authenticates, so its plaintext was there for
// a moment. It is gone when the refusal comes.
func TestAMovedValueLeavesNothingInTheBuffer(t *testing.T) {
	src := append([]byte{byte(len(hidden)) << 1}, hidden...)
	for _, typ := range []string{`"string"`, `"bytes"`} {
		w := newWorld(t)
		home, elsewhere := w.plan(onePolicy("gcm", ""), oneField(typ, "PII")), w.plan(onePolicy("gcm", "dataset: elsewhere"), oneField(typ, "PII"))
		moved, blocks, err := elsewhere.AppendProtected(t.Context(), "", nil, src, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // cold, and then warm
			dst := append(make([]byte, 0, 4096), "before"...)
			out, err := home.AppendRevealed(t.Context(), "", dst, moved, blocks)
			checkCode(t, typ, err, fieldcrypt.CodeMoved)
			if string(out) != "before" || shows(dst) {
				t.Errorf("%s: %q came back, or plaintext stands behind it", typ, out)
			}
		}
	}
}

// Protecting gives the buffers back as they were when it fails, with nothing of
// the record in the result.
func TestAFailedProtectGivesTheBuffersBack(t *testing.T) {
	plan := newWorld(t).plan(onePolicy("gcm", ""), oneField(`"string"`, "PII"))
	src := append([]byte{byte(len(hidden)) << 1}, hidden...)
	keys := [][]byte{[]byte("first")}
	for n := range src {
		out, got, err := plan.AppendProtected(t.Context(), "", []byte("before"), src[:n], keys)
		checkCode(t, fmt.Sprintf("cut at %d", n), err, fieldcrypt.CodeMalformed)
		if string(out) != "before" || len(got) != 1 || string(got[0]) != "first" {
			t.Errorf("cut at %d: %q and %q came back", n, out, got)
		}
	}
	out, got, err := plan.AppendProtected(t.Context(), "", []byte("before"), src, keys)
	if err != nil || !bytes.HasPrefix(out, []byte("before")) || shows(out) || len(got) != 2 || string(got[0]) != "first" {
		t.Errorf("the whole record: %q, %d key blocks, %v", out, len(got), err)
	}
}
