package formats_test

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
)

// A bomb is a record that wants more memory or time than it is worth.
type bomb struct {
	name  string
	value []byte
	fine  bool // it is well-formed, and must be processed
}

// An arsenal holds the bombs of one format.
type arsenal struct {
	name  string
	topic string
	texts map[int]schema.Text
	good  []byte // a record that makes plans and data keys ready
	bombs []bomb
}

const bombPolicy = `
version: 1
dataset: bombs
keys: {pii: {kek: "local:k"}}
rules:
  - {tag: WHOLE, action: encrypt, key: pii, apply: whole}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - match: bare
    format: json
    fields:
      - {path: /ssn, action: encrypt, key: pii}
      - {path: "/cards/[]/pan", action: encrypt, key: pii}
      - {path: "/**/email", action: encrypt, key: pii}
  - {match: "*"}
`

func arsenals(t testing.TB) []arsenal {
	t.Helper()
	return []arsenal{avroBombs(), bareJSONBombs(), jsonSchemaBombs(), protoBombs(t)}
}

// engine returns one that has seen a good record, so that only the bomb is
// measured and not the making of plans and keys.
func (a *arsenal) engine(t testing.TB) *fieldcrypt.Engine {
	t.Helper()
	w := newWorld(t)
	for id, text := range a.texts {
		w.registry.put(id, text)
	}
	e := w.engine(bombPolicy, fieldcrypt.WithRecheck(0))
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: a.topic, Value: a.good})
	if err != nil {
		t.Fatalf("%s: the good record: %v", a.name, err)
	}
	back, err := e.Reveal(t.Context(), out)
	if err != nil || !bytes.Equal(back.Value, a.good) {
		t.Fatalf("%s: the good record: revealed %q, %v", a.name, back.Value, err)
	}
	return e
}

// measured returns the bytes that f allocates.
func measured(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Twenty bombs of each format, those of JSON with a schema and without. Each is
// refused or processed, and in either case it gets no more memory than it is
// worth: 64 times its size and a mebibyte.
func TestBombs(t *testing.T) {
	counts := make(map[string]int)
	for _, a := range arsenals(t) {
		counts[a.name] = len(a.bombs)
		e := a.engine(t)
		for _, b := range a.bombs {
			t.Run(a.name+": "+b.name, func(t *testing.T) {
				rec := fieldcrypt.Record{Topic: a.topic, Value: b.value}
				limit := uint64(64*len(b.value) + 1<<20)
				var out, back fieldcrypt.Record
				var err, backErr error
				if used := measured(func() { out, err = e.Protect(t.Context(), rec) }); used > limit {
					t.Errorf("protecting %d bytes takes %d bytes of memory", len(b.value), used)
				}
				if (err == nil) != b.fine {
					t.Errorf("protect: %v", err)
				}
				if err == nil {
					limit = uint64(64*len(out.Value) + 1<<20)
					if used := measured(func() { back, backErr = e.Reveal(t.Context(), out) }); used > limit {
						t.Errorf("revealing %d bytes takes %d bytes of memory", len(out.Value), used)
					}
					if backErr != nil || !bytes.Equal(back.Value, b.value) {
						t.Errorf("revealed %.200q, %v", back.Value, backErr)
					}
					return
				}
				checkCode(t, err, fieldcrypt.CodeMalformed, fieldcrypt.CodeSchema, fieldcrypt.CodeUntagged)
				if out.Value != nil {
					t.Error("something is sent")
				}
				if used := measured(func() { out, err = e.Reveal(t.Context(), rec) }); used > limit {
					t.Errorf("revealing %d bytes takes %d bytes of memory", len(b.value), used)
				}
				// A reader may find the first value unsealed before it comes to
				// the fault.
				checkCode(t, err, fieldcrypt.CodeMalformed, fieldcrypt.CodeSchema, fieldcrypt.CodeUntagged, fieldcrypt.CodeUnsealed)
				if out.Value != nil {
					t.Error("something is handed out")
				}
			})
		}
	}
	for name, n := range counts {
		if n < 20 {
			t.Errorf("%s: %d bombs, want 20", name, n)
		}
	}
}

// BenchmarkBombs tells the slowest bombs. Every bomb has to be through in 20 ms.
func BenchmarkBombs(b *testing.B) {
	type took struct {
		name string
		size int
		best time.Duration
	}
	var all []took
	type step struct {
		engine *fieldcrypt.Engine
		rec    fieldcrypt.Record
	}
	var steps []step
	for _, a := range arsenals(b) {
		e := a.engine(b)
		for _, m := range a.bombs {
			all = append(all, took{name: a.name + ": " + m.name, size: len(m.value), best: time.Hour})
			steps = append(steps, step{e, fieldcrypt.Record{Topic: a.topic, Value: m.value}})
		}
	}
	for b.Loop() {
		for i, s := range steps {
			start := time.Now()
			out, err := s.engine.Protect(b.Context(), s.rec)
			protect := time.Since(start)
			in := s.rec
			if err == nil {
				in = out
			}
			start = time.Now()
			_, backErr := s.engine.Reveal(b.Context(), in)
			if reveal := time.Since(start); reveal > protect {
				protect = reveal
			}
			if (err == nil) != (backErr == nil) {
				b.Fatalf("%s: %v, %v", all[i].name, err, backErr)
			}
			all[i].best = min(all[i].best, protect)
		}
	}
	slices.SortFunc(all, func(x, y took) int { return cmp.Compare(y.best, x.best) })
	var lines strings.Builder
	for _, x := range all[:5] {
		lines.WriteString("\n" + x.best.String() + " " + x.name)
	}
	b.Logf("the slowest of %d:%s", len(all), lines.String())
	b.ReportMetric(float64(all[0].best.Microseconds())/1000, "slowest-ms")
}
