package fieldcrypt_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// canaryPolicy protects one JSON document by every action that meets a value.
const canaryPolicy = `
version: 1
dataset: canaries
keys: {gcm: {kek: "local:k"}, xaes: {kek: "local:x", suite: xaes}}
domain_keys: {ids: {kek: "local:k", versions: [%s]}}
vaults: {people: {key: ids}}
topics:
  - match: t
    format: json
    fields:
      - {path: /gcm, action: encrypt, key: gcm}
      - {path: /xaes, action: encrypt, key: xaes}
      - {path: /hash, action: hash, key: ids}
      - {path: /token, action: tokenize, vault: people, format: prefixed}
      - {path: /mask, action: mask, rule: card}
`

// canaryMore are the actions that a process which enforces FIPS 140-3 refuses.
const canaryMore = `      - {path: /same, action: encrypt, key: ids, mode: deterministic}
      - {path: /digits, action: encrypt, key: ids, mode: format-preserving}
`

// A hunt collects all that a program may show, and what none of it may hold.
type hunt struct {
	mu    sync.Mutex
	shown map[string]bool
	log   *slog.Logger
	raw   bytes.Buffer // of log, a line at a time
	keep  canaries
	kinds map[string]int
}

func newHunt() *hunt {
	h := &hunt{shown: map[string]bool{}, kinds: map[string]int{}}
	h.log = slog.New(slog.NewJSONHandler(&h.raw, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
	return h
}

// canary returns a new value of a kind, which nothing may show.
func (h *hunt) canary(kind string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.keep)
	value := fmt.Sprintf("zq%06d-canary-%s", n, kind)
	if kind == "digits" {
		value = fmt.Sprintf("90%06d%08d", n, rand.IntN(1e8))
	}
	h.keep, h.kinds[kind] = append(h.keep, []byte(value)), h.kinds[kind]+1
	return value
}

func (h *hunt) key(key []byte) {
	if len(key) < 16 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep, h.kinds["data key"] = append(h.keep, bytes.Clone(key)), h.kinds["data key"]+1
}

// show is everything that a program does with something that it wants to tell.
func (h *hunt) show(what any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%d"} {
		h.shown[fmt.Sprintf(verb, what)] = true
	}
	if b, err := json.Marshal(what); err == nil {
		h.shown[string(b)] = true
	}
	h.log.Debug("shown", "what", what)
	h.shown[h.raw.String()] = true
	h.raw.Reset()
}

// leaks returns the texts that show a canary. It goes over each text once,
// whatever the number of canaries: see canaries.leak for what counts.
func (h *hunt) leaks(texts []string) []string {
	const window = 8
	exact, folded, bare := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, v := range h.keep {
		bare[string(v[:window])] = true // keys are no text, which has no lower case
		for cut := range 3 {
			part := v[cut:]
			exact[base64.RawStdEncoding.EncodeToString(part)[:window]] = true
			exact[base64.RawURLEncoding.EncodeToString(part)[:window]] = true
		}
		folded[strings.ToLower(string(v[:window]))] = true
		folded[hex.EncodeToString(v)[:window]] = true
		folded[strings.Trim(fmt.Sprintf("%d", v[:window]), "[]")[:window]] = true
		folded[strings.TrimPrefix(fmt.Sprintf("%#v", v[:window]), "[]byte{")[:window]] = true
	}
	var out []string
	for _, text := range texts {
		lower := strings.ToLower(text)
		found, sure := false, false
		for i := 0; i+window <= len(text) && !found; i++ {
			sure = sure || bare[text[i:i+window]]
			found = exact[text[i:i+window]]
		}
		for i := 0; i+window <= len(lower) && !found; i++ {
			found = folded[lower[i:i+window]]
		}
		// Windows are short, so a hit is looked at in full.
		if sure || found && h.keep.leak(text) != "" {
			out = append(out, text)
		}
	}
	return out
}

// failed shows an error with all that it wraps.
func (h *hunt) failed(err error) {
	if err == nil {
		return
	}
	h.show(err)
	switch e := err.(type) { //nolint:errorlint // the chain itself is what is looked at
	case interface{ Unwrap() error }:
		h.failed(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			h.failed(one)
		}
	}
}

// try runs f, and shows what it panics with and the stack of that.
func (h *hunt) try(f func() error) {
	defer func() {
		if p := recover(); p != nil {
			h.show(p)
			h.show(string(debug.Stack()))
		}
	}()
	h.failed(f())
}

// seeingWrapper remembers the keys that a KMS hands out, and can panic with one.
type seeingWrapper struct {
	kms.Wrapper

	hunt  *hunt
	panic bool
}

func (s *seeingWrapper) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	plain, wrapped, err = s.Wrapper.Generate(ctx, kek, ec)
	s.hunt.key(plain)
	if s.panic {
		panic(fmt.Sprintf("generated %x for %s", plain, s.hunt.canary("credential")))
	}
	return plain, wrapped, err
}

func (s *seeingWrapper) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	plain, err := s.Wrapper.Unwrap(ctx, kek, wrapped, ec)
	s.hunt.key(plain)
	if s.panic {
		panic(fmt.Sprintf("unwrapped %x for %s", plain, s.hunt.canary("credential")))
	}
	return plain, err
}

// panicStore is a key store that panics with what it was given.
type panicStore struct {
	datakey.MemStore

	hunt *hunt
}

func (s *panicStore) Put(_ context.Context, _ datakey.ID, block []byte) error {
	panic(fmt.Sprintf("put %x with %s", block, s.hunt.canary("credential")))
}

// document returns a record with new canaries, each as change has it.
func (h *hunt) document(change func(name, value string) string) fieldcrypt.Record {
	names := []string{"gcm", "xaes", "hash", "token", "mask", "same", "digits"}
	var b strings.Builder
	for i, name := range names {
		kind := "value"
		if name == "digits" || name == "mask" {
			kind = "digits"
		}
		value, err := json.Marshal(h.canary(kind))
		if err != nil {
			panic(err)
		}
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		fmt.Fprintf(&b, "%q:%s", name, change(name, string(value)))
	}
	b.WriteString("}")
	return fieldcrypt.Record{Topic: "t", Value: []byte(b.String())}
}

func asItIs(_, value string) string { return value }

// A setting of one engine; nothing is shared between two, so that no refusal of
// one stands in the way of the next.
type canarySetting struct {
	fake  *kmstest.Fake
	seen  *seeingWrapper
	vault *vaulttest.Memory
	make  func(more ...datakey.Option) (*fieldcrypt.Engine, *datakey.Cache)
}

func (h *hunt) setting(t *testing.T) *canarySetting {
	t.Helper()
	s := &canarySetting{fake: kmstest.NewFake(), vault: vaulttest.NewMemory()}
	s.seen = &seeingWrapper{Wrapper: s.fake, hunt: h}
	w := &world{t: t, kms: s.seen}
	text := fmt.Sprintf(canaryPolicy, w.domainKeyUnder("local:k"))
	if !fips140.Enforced() {
		text += canaryMore
	}
	p, err := fieldcrypt.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	gate, err := tokenize.NewGate(tokenize.NewSlogAudit(h.log.Handler()), func(context.Context, tokenize.Request) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	s.make = func(more ...datakey.Option) (*fieldcrypt.Engine, *datakey.Cache) {
		keys, err := datakey.New(s.seen, more...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keys.Close)
		vault := tokenize.NewVault(s.vault, tokenize.WithGate(gate))
		e, err := fieldcrypt.New(p, keys, fieldcrypt.WithVault("people", vault),
			fieldcrypt.WithDetokenize(tokenize.Access{Caller: "reader", Purpose: "test"}))
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []any{p, keys, e, vault} {
			h.show(what)
		}
		return e, keys
	}
	return s
}

// run protects and reveals one record, whatever happens, and shows what did.
func (h *hunt) run(ctx context.Context, e *fieldcrypt.Engine, rec fieldcrypt.Record) (out fieldcrypt.Record, ok bool) {
	h.try(func() (err error) {
		out, err = e.Protect(ctx, rec)
		ok = err == nil
		return err
	})
	if ok {
		h.try(func() error { _, err := e.Reveal(ctx, out); return err })
	}
	h.show(e.Stats())
	return out, ok
}

func TestAThousandCanariesAreShownNowhere(t *testing.T) {
	h := newHunt()
	ctx := t.Context()

	// A KMS with every fault, in every call.
	for _, op := range []kmstest.Op{kmstest.OpGenerate, kmstest.OpUnwrap} {
		for fault := kmstest.Sound; fault <= kmstest.HugeWrapped; fault++ {
			s := h.setting(t)
			s.fake.Corrupt(op, fault)
			e, keys := s.make()
			h.run(ctx, e, h.document(asItIs))
			keys.Close()
			h.run(ctx, e, h.document(asItIs))
		}
	}
	for _, err := range []error{kms.ErrDenied, kms.ErrDisabled, kms.ErrNotFound, kms.ErrCorrupt, kms.ErrInvalid, kms.ErrUnavailable, kms.ErrThrottled} {
		s := h.setting(t)
		s.fake.Fail(fmt.Errorf("answer 7: %w", err))
		e, _ := s.make()
		h.run(ctx, e, h.document(asItIs))
	}

	// Providers, stores and vaults that panic with what they know.
	s := h.setting(t)
	s.seen.panic = true
	e, _ := s.make()
	h.run(ctx, e, h.document(asItIs))
	s = h.setting(t)
	e, _ = s.make(datakey.WithStore(&panicStore{hunt: h}))
	h.run(ctx, e, h.document(asItIs))
	s = h.setting(t)
	e, _ = s.make()
	s.vault.Hook(func(context.Context, vaulttest.Op) error { return errors.New("the vault is away") })
	h.run(ctx, e, h.document(asItIs))

	// Callers who give up.
	ended, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("enough"))
	s = h.setting(t)
	e, _ = s.make()
	h.run(ended, e, h.document(asItIs))

	// Values and documents that do not fit.
	for what, change := range map[string]func(name, value string) string{
		"letters where digits belong": func(_, value string) string { return strings.Replace(value, "90", "9O", 1) },
		"numbers instead of texts":    func(_, value string) string { return strings.Trim(value, `"`) },
		"documents that end":          func(name, value string) string { return map[bool]string{true: value[:9], false: value}[name == "xaes"] },
		"escapes that are none":       func(_, value string) string { return strings.Replace(value, "-", `\x`, 1) },
		"text that is no UTF-8":       func(_, value string) string { return strings.Replace(value, "-", "\xff", 1) },
		"names twice":                 func(name, value string) string { return value + `,"` + name + `":` + value },
		"lists":                       func(_, value string) string { return "[" + value + "]" },
		"objects":                     func(_, value string) string { return "{" + value + ":" + value + "}" },
		"already sealed":              func(_, value string) string { return strings.Replace(value, `"`, `"fv1:`, 1) },
		"control characters":          func(_, value string) string { return strings.Replace(value, "-", "\x01", 1) },
		"short values":                func(_, value string) string { return value[:7] + `"` },
	} {
		rec := h.document(change)
		h.run(ctx, e, rec)
		// The same as a reader meets it: nothing of it was ever sealed.
		h.try(func() error { _, err := e.Reveal(ctx, rec); return err })
		h.show(what)
	}

	// Records that were changed on their way, and readers without their keys.
	for len(h.keep) < 1200 {
		s = h.setting(t)
		e, _ = s.make()
		for range 5 {
			out, ok := h.run(ctx, e, h.document(asItIs))
			if !ok {
				t.Fatal("a sound record was refused")
			}
			for range 4 {
				bad := out
				bad.Value = bytes.Clone(out.Value)
				bad.Value[rand.IntN(len(bad.Value))] ^= byte(1 << rand.IntN(8))
				h.try(func() error { _, err := e.Reveal(ctx, bad); return err })
			}
			bare := out
			bare.Headers = nil
			other, _ := h.setting(t).make()
			h.try(func() error { _, err := other.Reveal(ctx, bare); return err })
			h.try(func() error { _, err := other.Reveal(ctx, out); return err })
			for i := range out.Headers {
				bad := out
				bad.Headers = slices.Clone(out.Headers)
				bad.Headers[i].Value = bytes.Clone(bad.Headers[i].Value)
				bad.Headers[i].Value[rand.IntN(len(bad.Headers[i].Value))] ^= 1
				fresh, _ := s.make()
				h.try(func() error { _, err := fresh.Reveal(ctx, bad); return err })
			}
		}
	}

	texts := slices.Sorted(maps.Keys(h.shown))
	t.Logf("%d canaries %v, %d different texts", len(h.keep), h.kinds, len(texts))
	if len(h.keep) < 1000 || h.kinds["data key"] < 100 || h.kinds["credential"] < 2 || len(texts) < 500 {
		t.Fatal("too few canaries, or too little that was shown: the test lost its cases")
	}
	for _, text := range h.leaks(texts) {
		t.Errorf("%s: %.300s", h.keep.leak(text), text)
	}
	// The hunt sees what there is to see.
	for _, text := range []string{
		"x" + string(h.keep[len(h.keep)/2]), fmt.Sprintf("%x", h.keep[3]), fmt.Sprintf("%d", h.keep[5]), fmt.Sprintf("%#v", h.keep[9]),
		base64.StdEncoding.EncodeToString(append([]byte("ab"), h.keep[7]...)),
	} {
		if len(h.leaks([]string{text})) == 0 {
			t.Errorf("%q would not be seen", text)
		}
	}
}
