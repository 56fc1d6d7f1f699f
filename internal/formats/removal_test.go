package formats_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
)

// A removable is one format with a schema that has tags in all places, a value
// for it in the text that the format's encoder reads, and the ways in which
// somebody could take protection away.
type removable struct {
	name    string
	base    schema.Text
	value   string
	changes []change
	encode  func(t testing.TB, text schema.Text, value string) []byte
	// paths are those of all protected fields of the base.
	paths []string
}

// A change leads from the base to the next version of the schema. Each list has
// pairs: a part of the text that stands there exactly once, and what takes its
// place.
type change struct {
	name   string
	schema []string
	refs   []string
	tags   []schema.TagRule // instead of those of the base, unless nil
	value  []string         // the canary of the value follows the field
	// kept says that the pins are content because every pinned path is still
	// there and still protected.
	kept bool
	// beyond says that it takes protection from something else than the email.
	beyond bool
}

// replace applies pairs of texts, each of which must stand in text once.
func replace(t testing.TB, text string, pairs []string) string {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if n := strings.Count(text, pair[0]); n != 1 {
			t.Fatalf("%q stands %d times in\n%s", pair[0], n, text)
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	return text
}

func (c *change) apply(t testing.TB, r *removable) (schema.Text, string) {
	t.Helper()
	next := r.base
	next.Schema = replace(t, next.Schema, c.schema)
	next.References = slices.Clone(next.References)
	next.References[0] = replace(t, next.References[0], c.refs)
	if c.tags != nil {
		next.Tags = c.tags
	}
	if next.Digest() == r.base.Digest() {
		t.Fatal("the change changes nothing")
	}
	return next, replace(t, r.value, c.value)
}

// removalPolicy lets everything pass that has no tags it knows of, so that only
// what is remembered, or pinned, can stop a loss.
const removalPolicy = `
version: 1
dataset: people
untagged_schema: allow
unknown_tag: allow
ignore_tags: [PUBLIC]
keys: {pii: {kek: "local:k"}}
rules:
  - {tag: WHOLE, action: encrypt, key: pii, apply: whole}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - match: people
`

// memory is what several processes remember together.
type memory struct {
	mu     sync.Mutex
	topics map[string]fieldcrypt.Remembered
}

func (m *memory) Update(_ context.Context, topic string, change func(fieldcrypt.Remembered) (fieldcrypt.Remembered, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next, err := change(m.topics[topic])
	if err != nil {
		return err
	}
	if m.topics == nil {
		m.topics = make(map[string]fieldcrypt.Remembered)
	}
	m.topics[topic] = next
	return nil
}

const canary = "canary"

// protects sends a record and fails unless nothing of it is in clear.
func protects(t *testing.T, w *world, policy string, value []byte) fieldcrypt.Record {
	t.Helper()
	out, err := w.engine(policy).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out.Value, []byte(canary)) {
		t.Fatalf("in clear: %q", out.Value)
	}
	back, err := w.engine(policy).Reveal(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Value, value) {
		t.Fatalf("revealed %q\nof       %q", back.Value, value)
	}
	return out
}

// refuses sends a record and fails unless it is stopped as a loss.
func refuses(t *testing.T, w *world, policy string, value []byte) {
	t.Helper()
	if err := refusal(t, w, policy, value); err == nil {
		t.Error("no refusal")
	}
}

// refusal returns what refuses has seen.
func refusal(t *testing.T, w *world, policy string, value []byte) error {
	t.Helper()
	out, err := w.engine(policy).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	if err == nil {
		t.Fatalf("it is sent: %q", out.Value)
	}
	checkCode(t, err, fieldcrypt.CodeProtectionLost)
	if out.Value != nil || out.Headers != nil || strings.Contains(err.Error(), canary) {
		t.Errorf("the refusal tells data: %q, %v", out.Value, err)
	}
	return err
}

// Thirty ways to lose a tag in each format. Whoever produces with the changed
// schema is stopped by what was remembered, and by pins as well.
func TestATagThatIsLostIsNoticed(t *testing.T) {
	formats := []removable{avroRemovals(), jsonRemovals(), protoRemovals()}
	ran := 0
	for _, r := range formats {
		if len(r.changes) != 30 {
			t.Errorf("%s: %d changes", r.name, len(r.changes))
		}
		names := make(map[string]bool)
		for _, c := range r.changes {
			if names[c.name] {
				t.Errorf("%s: %q stands twice", r.name, c.name)
			}
			names[c.name] = true
			ran++
			t.Run(r.name+": "+c.name, r.lost(&c))
		}
	}
	if ran != 90 {
		t.Errorf("%d changes ran, want 90", ran)
	}
}

// lost is the test of one change.
func (r *removable) lost(c *change) func(*testing.T) {
	return func(t *testing.T) { //nolint:thelper // a test, whose lines are to show
		next, value := c.apply(t, r)
		first, second := append(frame(1), r.encode(t, r.base, r.value)...), append(frame(2), r.encode(t, next, value)...)
		// With a memory.
		w := newWorld(t)
		w.memory = new(memory)
		w.registry.put(1, r.base)
		w.registry.put(2, next)
		protects(t, w, removalPolicy, first)
		err := refusal(t, w, removalPolicy, second)
		// Asking again does not help, and the former version goes on.
		refuses(t, w, removalPolicy, second)
		protects(t, w, removalPolicy, first)
		loss, ok := errors.AsType[*fieldcrypt.LossError](err)
		if !ok || len(loss.Fields) == 0 {
			t.Fatalf("%v is no loss", err)
		}
		// Who means it says so.
		meant := removalPolicy + "    acknowledge: [\"" + loss.Digest + "\"]\n"
		out, err := w.engine(meant).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: second})
		if err != nil {
			t.Fatal(err)
		}
		back, err := w.engine(meant).Reveal(t.Context(), out)
		if err != nil || !bytes.Equal(back.Value, second) {
			t.Fatalf("revealed %q, %v\nof       %q", back.Value, err, second)
		}

		// With pins, and nothing that remembers.
		w = newWorld(t)
		w.registry.put(1, r.base)
		w.registry.put(2, next)
		pinned := removalPolicy + "    pins:\n"
		for _, path := range r.paths {
			pinned += "      - {path: \"" + path + "\"}\n"
		}
		protects(t, w, pinned, first)
		if c.kept {
			protects(t, w, pinned, second)
		} else {
			refuses(t, w, pinned, second)
		}
	}
}

// An id that means something else now is noticed, whatever the new text has.
func TestAnIDThatIsUsedAgainIsNoticed(t *testing.T) {
	for _, r := range []removable{avroRemovals(), jsonRemovals(), protoRemovals()} {
		for _, c := range r.changes {
			t.Run(r.name+": "+c.name, func(t *testing.T) {
				next, value := c.apply(t, &r)
				w := newWorld(t)
				w.memory = new(memory)
				w.registry.put(1, r.base)
				protects(t, w, removalPolicy, append(frame(1), r.encode(t, r.base, r.value)...))
				w.registry.put(1, next)
				out, err := w.engine(removalPolicy).Protect(t.Context(), fieldcrypt.Record{
					Topic: "people", Value: append(frame(1), r.encode(t, next, value)...),
				})
				checkCode(t, err, fieldcrypt.CodeSchema)
				if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || f.Retryable() || out.Value != nil {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// Who acknowledges one version acknowledges that one, and no other.
func TestOneAcknowledgedLossAllowsNoOther(t *testing.T) {
	for _, r := range []removable{avroRemovals(), jsonRemovals(), protoRemovals()} {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			w.memory = new(memory)
			w.registry.put(1, r.base)
			protects(t, w, removalPolicy, append(frame(1), r.encode(t, r.base, r.value)...))
			meant, _ := r.changes[0].apply(t, &r)
			policy := removalPolicy + fmt.Sprintf("    acknowledge: [\"sha256:%x\"]\n", meant.Digest())
			others := 0
			for i, c := range r.changes {
				next, value := c.apply(t, &r)
				w.registry.put(2+i, next)
				record := append(frame(2+i), r.encode(t, next, value)...)
				if i == 0 {
					if _, err := w.engine(policy).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: record}); err != nil {
						t.Fatal(err)
					}
				} else if c.beyond {
					others++
					refuses(t, w, policy, record)
				}
			}
			if others < 10 {
				t.Errorf("%d other losses, want 10", others)
			}
		})
	}
}

// A version that only adds is no loss: the guard would be switched off if it
// cried wolf.
func TestWhatGetsMoreProtectionPasses(t *testing.T) {
	for _, r := range []removable{avroRemovals(), jsonRemovals(), protoRemovals()} {
		t.Run(r.name, func(t *testing.T) {
			next := r.base
			next.Tags = append(slices.Clone(next.Tags), schema.TagRule{Pattern: "/before", Tags: []string{"PII"}})
			w := newWorld(t)
			w.memory = new(memory)
			w.registry.put(1, r.base)
			w.registry.put(2, next)
			body := r.encode(t, r.base, r.value)
			protects(t, w, removalPolicy, append(frame(1), body...))
			protects(t, w, removalPolicy, append(frame(2), body...))
			// From now on the former version is the one that loses something.
			refuses(t, w, removalPolicy, append(frame(1), body...))
		})
	}
}
