package datakey

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

var suites = []Suite{AES256GCM, XAES256GCM}

func TestWhatIsSealedOpensAgain(t *testing.T) {
	values := map[string][]byte{
		"an empty value is sealed like any other, FV-14": {},
		"one byte":                       {0},
		"text":                           []byte("jane@example.com"),
		"a value longer than the buffer": bytes.Repeat([]byte("long "), 30_000),
	}
	for _, suite := range suites {
		for name, plain := range values {
			t.Run(fmt.Sprint(envelope.Suite(suite), ": ", name), func(t *testing.T) {
				s := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{Suite: suite, Tenant: "acme"})
				w := s.NewSealer()
				if err := w.Reserve(t.Context(), 2, 2*len(plain)); err != nil {
					t.Fatal(err)
				}
				h := w.Head(testPlace)
				raw, err := w.Append([]byte("before"), plain, h)
				if err != nil {
					t.Fatal(err)
				}
				text, err := w.AppendText([]byte("before"), plain, h)
				if err != nil {
					t.Fatal(err)
				}
				if n := w.Done(); n != 2 {
					t.Errorf("Done = %d, want 2", n)
				}
				raw, ok := bytes.CutPrefix(raw, []byte("before"))
				text, ok2 := bytes.CutPrefix(text, []byte("before"))
				if !ok || !ok2 {
					t.Fatal("what stood in dst is gone")
				}
				fromText, err := envelope.ParseText(nil, text)
				if err != nil {
					t.Fatalf("text form %.40q: %v", text, err)
				}
				if bytes.Equal(raw, fromText) {
					t.Error("two seals of one value are equal")
				}

				o, err := s.Opener(t.Context(), w.KeyID(), [][]byte{w.KeyBlock()})
				if err != nil {
					t.Fatal(err)
				}
				for _, env := range [][]byte{raw, fromText} {
					v, err := ParseValue(env)
					if err != nil {
						t.Fatal(err)
					}
					if v.KeyID() != w.KeyID() || v.Place() != testPlace || env[1] != byte(suite) {
						t.Errorf("header %x", env[:envelope.HeaderSize])
					}
					out, err := o.Append([]byte("before"), &v)
					if err != nil || string(out) != "before"+string(plain) {
						t.Errorf("opened %.40q, %v", out, err)
					}
				}
			})
		}
	}
}

// FV-1 and section 1: computed again with the standard library alone.
func TestFV1AValueOpensWithNothingButTheDataKeyAndTheSpecification(t *testing.T) {
	w0 := &plainKMS{}
	w := newCache(t, w0).testScope(t, ScopeSpec{Tenant: "acme"}).NewSealer()
	env := sealOne(t, w, "jane@example.com")
	dataKey := w0.keys()[0]

	commitment := mustHKDF(t, dataKey, "fieldveil/1 commitment")
	if id := w.KeyID(); !bytes.Equal(id[:], commitment[:12]) || !bytes.Equal(env[2:14], commitment[:12]) {
		t.Errorf("key id %s, in the envelope %x, want %x", id, env[2:14], commitment[:12])
	}
	kb, err := envelope.ParseKeyBlock(w.KeyBlock())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kb.Commitment[:], commitment) || kb.KEK != testKEK || kb.Tenant != "acme" || !bytes.Equal(kb.Wrapped, dataKey) {
		t.Errorf("key block of KEK %q, tenant %q, commitment %x", kb.KEK, kb.Tenant, kb.Commitment)
	}
	open := func(key []byte) (string, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		if fips140.Enforced() { // which forbids NewGCM; the bytes are the same
			gcm, err := cipher.NewGCMWithRandomNonce(block)
			if err != nil {
				t.Fatal(err)
			}
			out, err := gcm.Open(nil, nil, env[22:], env[:22])
			return string(out), err
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		out, err := gcm.Open(nil, env[22:34], env[34:], env[:22])
		return string(out), err
	}
	if out, err := open(mustHKDF(t, dataKey, "fieldveil/1 seal \x01")); err != nil || out != "jane@example.com" {
		t.Errorf("opened %q, %v", out, err)
	}
	for name, key := range map[string][]byte{
		"the data key itself":     dataKey,
		"the seal key of suite 2": mustHKDF(t, dataKey, "fieldveil/1 seal \x02"),
	} {
		if out, err := open(key); err == nil {
			t.Errorf("FV-1: %s opens the value: %q", name, out)
		}
	}
}

func mustHKDF(t testing.TB, key []byte, info string) []byte {
	t.Helper()
	out, err := hkdf.Key(sha256.New, key, nil, info, 32)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The example of docs/format.md section 7, whose key block every release knows.
func TestTheDataKeyOfTheSpecificationHasItsKeyID(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	w := newCache(t, &plainKMS{next: [][]byte{key}}).testScope(t, ScopeSpec{Tenant: "acme"}).NewSealer()
	sealOne(t, w, "x")
	if got, want := w.KeyID().String(), "3fb5f04e1ef04092ca4c7014"; got != want {
		t.Errorf("key id %s, want %s", got, want)
	}
}

func TestAHeadOfAnotherDataKeyIsRefused(t *testing.T) {
	c := newCache(t, kmstest.NewFake())
	one := c.testScope(t, ScopeSpec{Name: "one"}).NewSealer()
	two := c.testScope(t, ScopeSpec{Name: "two"}).NewSealer()
	sealOne(t, one, "x")
	sealOne(t, two, "x")
	h := one.Head(testPlace)
	if two.Current(h) || !one.Current(h) || one.Current(nil) {
		t.Error("Current does not tell whose head it is")
	}
	if err := two.Reserve(t.Context(), 2, 10); err != nil {
		t.Fatal(err)
	}
	if out, err := two.Append([]byte("dst"), []byte("x"), h); err == nil || string(out) != "dst" {
		t.Errorf("Append: %q, %v", out, err)
	}
	if out, err := two.AppendText([]byte("dst"), []byte("x"), h); err == nil || string(out) != "dst" {
		t.Errorf("AppendText: %q, %v", out, err)
	}
	if n := two.Done(); n != 0 {
		t.Errorf("Done = %d: a refused value counts", n)
	}
	fresh := one.scope.NewSealer()
	if _, err := fresh.Append(nil, []byte("x"), h); err == nil {
		t.Error("a Sealer without a reservation seals")
	}
	// Two sealers of one scope share the data key, and so the head.
	if err := fresh.Reserve(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Append(nil, []byte("x"), h); err != nil {
		t.Errorf("head of the same data key: %v", err)
	}
}

func TestDoneCountsTheValuesSinceReserve(t *testing.T) {
	w := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{}).NewSealer()
	for _, n := range []int{3, 0, 1} {
		if err := w.Reserve(t.Context(), n, n); err != nil {
			t.Fatal(err)
		}
		for range n {
			if _, err := w.AppendText(nil, []byte("x"), w.Head(testPlace)); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.Done(); got != n {
			t.Errorf("Done = %d, want %d", got, n)
		}
	}
}

func TestTextAndRawFormAreTheSameEnvelope(t *testing.T) {
	// Every length modulo three, so that each way in which the prepared head
	// meets the rest is taken.
	w := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{}).NewSealer()
	for n := range 100 {
		plain := strings.Repeat("p", n)
		if err := w.Reserve(t.Context(), 1, n); err != nil {
			t.Fatal(err)
		}
		text, err := w.AppendText(nil, []byte(plain), w.Head(testPlace))
		if err != nil {
			t.Fatal(err)
		}
		env, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(string(text), "fv1:"))
		if err != nil || len(env) != 50+n {
			t.Fatalf("%d bytes: envelope of %d bytes, %v", n, len(env), err)
		}
		o := w.scope.Cached(w.KeyID())
		if got, err := openWith(o, env); err != nil || got != plain {
			t.Fatalf("%d bytes: opened %q, %v", n, got, err)
		}
		w.Done()
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	fake := kmstest.NewFake()
	for name, f := range map[string]func() (*Cache, error){
		"no KMS":               func() (*Cache, error) { return New(nil) },
		"no opener":            func() (*Cache, error) { return New(fake, WithMaxOpeners(0)) },
		"no call at a time":    func() (*Cache, error) { return New(fake, WithFanOut(0)) },
		"no time for a call":   func() (*Cache, error) { return New(fake, WithCallTimeout(0)) },
		"negative time limits": func() (*Cache, error) { return New(fake, WithCallTimeout(-1)) },
	} {
		if c, err := f(); err == nil || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

func TestAScopeIsDescribedOnce(t *testing.T) {
	c := newCache(t, kmstest.NewFake())
	keks := []string{testKEK, "fake:old"}
	s, err := c.Scope(ScopeSpec{Name: "pii", Tenant: "acme", KEKs: keks})
	if err != nil {
		t.Fatal(err)
	}
	keks[0] = "fake:changed later"
	again, err := c.Scope(ScopeSpec{
		Name: "pii", Tenant: "acme", KEKs: []string{testKEK, "fake:old"}, Suite: AES256GCM,
		Limits: Limits{Refresh: DefaultRefresh, Expire: DefaultExpire, Seals: DefaultSeals, Bytes: DefaultBytes},
	})
	if err != nil || again != s {
		t.Errorf("the same scope with its defaults written out: %v, %v", again == s, err)
	}
	if s.Name() != "pii" || s.Tenant() != "acme" {
		t.Errorf("scope %q of %q", s.Name(), s.Tenant())
	}
	ok := ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{testKEK, "fake:old"}}
	for name, change := range map[string]func(*ScopeSpec){
		"no name":                        func(s *ScopeSpec) { s.Name = "" },
		"no KEK":                         func(s *ScopeSpec) { s.KEKs = nil },
		"an empty KEK":                   func(s *ScopeSpec) { s.KEKs = []string{testKEK, ""} },
		"other KEKs":                     func(s *ScopeSpec) { s.KEKs = []string{testKEK} },
		"another suite":                  func(s *ScopeSpec) { s.Suite = XAES256GCM },
		"other limits":                   func(s *ScopeSpec) { s.Limits.Seals = 5 },
		"a reserved suite":               func(s *ScopeSpec) { s.Suite = Suite(envelope.AES256SIV) },
		"an unknown suite":               func(s *ScopeSpec) { s.Suite = 9 },
		"a KEK put first by the program": func(s *ScopeSpec) { s.KEKs = keks },
	} {
		spec := ok
		change(&spec)
		if got, err := c.Scope(spec); err == nil {
			t.Errorf("%s: accepted, %v", name, got == s)
		}
	}
	other, err := c.Scope(ScopeSpec{Name: "pii", Tenant: "globex", KEKs: []string{testKEK}})
	if err != nil || other == s {
		t.Errorf("another tenant: the same scope is %v, %v", other == s, err)
	}
}

func TestAClosedCacheFails(t *testing.T) {
	fake := kmstest.NewFake()
	c := newCache(t, fake)
	s := c.testScope(t, ScopeSpec{})
	w := s.NewSealer()
	env := sealOne(t, w, "jane")
	block := w.KeyBlock()
	if err := w.Reserve(t.Context(), 1, 4); err != nil {
		t.Fatal(err)
	}
	o := s.Cached(w.KeyID())
	c.Close()
	c.Close() // twice does no harm
	if _, err := w.Append(nil, []byte("jane"), w.Head(testPlace)); err != nil {
		t.Errorf("a reservation that was out: %v", err)
	}
	if err := w.Reserve(t.Context(), 1, 4); !errors.Is(err, ErrUnusable) {
		t.Errorf("Reserve: %v", err)
	}
	if err := s.NewSealer().Reserve(t.Context(), 1, 4); !errors.Is(err, ErrUnusable) {
		t.Errorf("Reserve of a new Sealer: %v", err)
	}
	if _, err := c.Scope(ScopeSpec{Name: "new", KEKs: []string{testKEK}}); !errors.Is(err, ErrUnusable) {
		t.Errorf("Scope: %v", err)
	}
	if !o.Expired() || s.Cached(o.KeyID()) != nil {
		t.Error("an opener outlives the cache")
	}
	calls := fake.Calls(kmstest.OpUnwrap)
	if _, err := s.Opener(t.Context(), keyIDOf(t, env), [][]byte{block}); !errors.Is(err, ErrUnusable) {
		t.Errorf("Opener: %v", err)
	}
	if n := fake.Calls(kmstest.OpUnwrap); n != calls {
		t.Errorf("a closed cache made %d calls", n-calls)
	}
}
