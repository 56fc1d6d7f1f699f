package datakey

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/internal/siv"
)

// newBlock makes a version of a domain key for a tenant.
func newBlock(t testing.TB, w kms.Wrapper, tenant string) []byte {
	t.Helper()
	b, err := CreateDomainBlock(t.Context(), w, testKEK, tenant)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testDomain returns the domain of a spec, whose name and KEK have defaults.
func (c *Cache) testDomain(t testing.TB, spec DomainSpec) *Domain {
	t.Helper()
	if spec.Name == "" {
		spec.Name = "join"
	}
	if spec.KEKs == nil {
		spec.KEKs = []string{testKEK}
	}
	d, err := c.Domain(spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// one returns a domain of one version in a cache of its own.
func oneDomain(t testing.TB, w kms.Wrapper, block []byte) *Domain {
	t.Helper()
	return newCache(t, w).testDomain(t, DomainSpec{Blocks: [][]byte{block}})
}

// sealIn seals one value in a record of its own, in both forms.
func sealIn(t testing.TB, d *Domain, plain string) (env, text []byte) {
	t.Helper()
	w := d.NewSealer()
	if err := w.Reserve(t.Context(), 2, 2*len(plain)); err != nil {
		t.Fatal(err)
	}
	h := w.Head(testPlace)
	env, err := w.Append(nil, []byte(plain), h)
	if err != nil {
		t.Fatal(err)
	}
	text, err = w.AppendText(nil, []byte(plain), h)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.Done(); n != 2 {
		t.Fatalf("Done = %d, want 2", n)
	}
	return env, text
}

func domainOpener(t testing.TB, d *Domain, id ID) *Opener {
	t.Helper()
	o, err := d.Opener(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// FV-1, FV-10, FV-17: computed again from docs/format.md, by HKDF and AES-SIV
// alone.
func TestADomainKeySealsAsTheSpecificationSays(t *testing.T) {
	fake := &plainKMS{}
	d := newCache(t, fake).testDomain(t, DomainSpec{Tenant: "acme", Blocks: [][]byte{newBlock(t, fake, "acme")}})
	key := fake.keys()[0]
	commitment := mustHKDF(t, key, "fieldveil/1 commitment")
	sealKey, err := hkdf64(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := siv.New(sealKey)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 70 {
		plain := strings.Repeat("p", n)
		header := bytes.Join([][]byte{{1, 3}, commitment[:12], testPlace[:]}, nil)
		want := c.Seal(bytes.Clone(header), []byte(plain), header)
		env, text := sealIn(t, d, plain)
		if !bytes.Equal(env, want) || len(env) != 38+n {
			t.Fatalf("%d bytes: envelope %x, want %x", n, env, want)
		}
		if !bytes.Equal(text, envelope.AppendText(nil, want)) {
			t.Fatalf("%d bytes: text form %s", n, text)
		}
	}
	if id := d.NewSealer().KeyID(); !bytes.Equal(id[:], commitment[:12]) {
		t.Errorf("key id %s", id)
	}
}

// hkdf64 derives the seal key of suite 3.
func hkdf64(key []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "fieldveil/1 seal \x03", 64)
}

// The example of docs/format.md section 7.
func TestTheDeterministicExampleOfTheSpecification(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(0x20 + i)
	}
	fake := &plainKMS{next: [][]byte{key}}
	d := newCache(t, fake).testDomain(t, DomainSpec{Tenant: "acme", Blocks: [][]byte{newBlock(t, fake, "acme")}})
	place, err := (envelope.DomainContext{Tenant: "acme", Domain: "customer-email", ValueType: "string", Purpose: envelope.PurposeDeterministic}).ID()
	if err != nil {
		t.Fatal(err)
	}
	w := d.NewSealer()
	if err := w.Reserve(t.Context(), 1, 16); err != nil {
		t.Fatal(err)
	}
	env, err := w.Append(nil, []byte("jane@example.com"), w.Head(place))
	if err != nil {
		t.Fatal(err)
	}
	const want = "01030344a4616028615441018b9bac06574f5012b237e10feb80bd98d859bad3130ea9316aaaebc01bbcdf70f6012d6547dd14b5d248"
	if got := hex.EncodeToString(env); got != want {
		t.Errorf("envelope %s, want %s", got, want)
	}
}

// FV-17.
func TestTwoProcessesSealEqualBytes(t *testing.T) {
	fake := kmstest.NewFake()
	block := newBlock(t, fake, "")
	one, two := oneDomain(t, fake, block), oneDomain(t, fake, bytes.Clone(block))
	for _, plain := range []string{"", "x", "jane@example.com", strings.Repeat("long ", 20_000)} {
		env, text := sealIn(t, one, plain)
		again, textAgain := sealIn(t, two, plain)
		if !bytes.Equal(env, again) || !bytes.Equal(text, textAgain) {
			t.Errorf("%.20q: two processes seal it differently", plain)
		}
		fromText, err := envelope.ParseText(nil, text)
		if err != nil || !bytes.Equal(fromText, env) {
			t.Errorf("%.20q: text and raw form differ, %v", plain, err)
		}
		if got, err := openWith(domainOpener(t, two, keyIDOf(t, env)), env); err != nil || got != plain {
			t.Errorf("%.20q: opened %.20q, %v", plain, got, err)
		}
		h := domainOpener(t, two, keyIDOf(t, env)).Head(testPlace)
		if !h.Opens(text) {
			t.Fatalf("%.20q: not recognised by the head of an opener", plain)
		}
		if out, _, err := h.AppendText([]byte("before"), text, nil); err != nil || string(out) != "before"+plain {
			t.Errorf("%.20q: opened by its head: %.20q, %v", plain, out, err)
		}
	}
	// A Sealer serves record after record.
	series := one.NewSealer()
	for _, n := range []int{3, 0, 1} {
		if err := series.Reserve(t.Context(), n, n); err != nil {
			t.Fatal(err)
		}
		for range n {
			if _, err := series.AppendText(nil, []byte("x"), series.Head(testPlace)); err != nil {
				t.Fatal(err)
			}
		}
		if got := series.Done(); got != n {
			t.Errorf("Done = %d, want %d", got, n)
		}
	}
	a, _ := sealIn(t, one, "a")
	if b, _ := sealIn(t, one, "b"); bytes.Equal(a[22:38], b[22:38]) {
		t.Error("two values have one synthetic IV")
	}
	w := one.NewSealer()
	if err := w.Reserve(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	if other, err := w.Append(nil, []byte("a"), w.Head([8]byte{9})); err != nil || bytes.Equal(other[22:], a[22:]) {
		t.Errorf("at another place it is sealed the same, %v", err)
	}
	if other, _ := sealIn(t, oneDomain(t, fake, newBlock(t, fake, "")), "a"); bytes.Equal(other[22:], a[22:]) {
		t.Error("under another key it is sealed the same")
	}
}

// FV-6.
func TestTheLastVersionSealsAndAllOpen(t *testing.T) {
	fake := kmstest.NewFake()
	first, second, foreign := newBlock(t, fake, ""), newBlock(t, fake, ""), newBlock(t, fake, "")
	before := oneDomain(t, fake, first)
	old, _ := sealIn(t, before, "jane")

	store := &MemStore{}
	c := newCache(t, fake, WithStore(store))
	d := c.testDomain(t, DomainSpec{Blocks: [][]byte{first, second}})
	env, _ := sealIn(t, d, "jane")
	ids := d.KeyIDs()
	if len(ids) != 2 || keyIDOf(t, old) != ids[0] || keyIDOf(t, env) != ids[1] || ids[0] == ids[1] {
		t.Fatalf("versions %v, sealed under %s", ids, keyIDOf(t, env))
	}
	if !bytes.Equal(d.NewSealer().KeyBlock(), second) {
		t.Error("KeyBlock is not that of the last version")
	}
	if d.Cached(ids[0]) != nil {
		t.Error("a version that nobody asked for was unwrapped")
	}
	for _, e := range [][]byte{old, env} {
		o := domainOpener(t, d, keyIDOf(t, e))
		if got, err := openWith(o, e); err != nil || got != "jane" || o.KeyID() != keyIDOf(t, e) || d.Cached(o.KeyID()) != o {
			t.Errorf("opened %q, %v", got, err)
		}
	}
	// A key of nobody's choice is refused without a call, wherever it stands.
	id, err := CheckBlock(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), id, foreign); err != nil {
		t.Fatal(err)
	}
	calls := fake.Calls(kmstest.OpUnwrap)
	for _, id := range []ID{id, {}} {
		if o, err := d.Opener(t.Context(), id); !errors.Is(err, ErrUnknownKey) || o != nil || d.Cached(id) != nil {
			t.Errorf("key %s: %v", id, err)
		}
	}
	if n := fake.Calls(kmstest.OpUnwrap); n != calls {
		t.Errorf("%d calls for keys that are none of the domain's", n-calls)
	}
	if fake.Calls(kmstest.OpGenerate) != 3 || store.Len() != 1 {
		t.Error("a domain made or stored a key")
	}
	// Who has the new version only, opens nothing of the old one.
	if got, err := openWith(domainOpener(t, d, ids[1]), old); !errors.Is(err, ErrUnknownKey) || got != "" {
		t.Errorf("opened %q, %v", got, err)
	}
}

// FV-12, FV-13, FV-17.
func TestADeterministicValueThatWasChangedIsRefused(t *testing.T) {
	fake := kmstest.NewFake()
	d := oneDomain(t, fake, newBlock(t, fake, ""))
	for _, plain := range []string{"", "jane", "jane@example.com, longer than one block"} {
		env, text := sealIn(t, d, plain)
		o := domainOpener(t, d, keyIDOf(t, env))
		for i := range env {
			for bit := range 8 {
				bad := bytes.Clone(env)
				bad[i] ^= 1 << bit
				want := ErrTampered
				switch {
				case i == 0:
					want = envelope.ErrVersion
				case i == 1:
					want = envelope.ErrFormat // another suite: unknown, too short for it, or not of this key
				case i < 14:
					want = ErrUnknownKey
				}
				if got, err := openWith(o, bad); !errors.Is(err, want) || got != "" {
					t.Fatalf("%q, byte %d, bit %d: %q, %v", plain, i, bit, got, err)
				}
			}
		}
		for n := range env {
			if got, err := openWith(o, env[:n]); err == nil {
				t.Fatalf("%q, cut to %d bytes: %q", plain, n, got)
			}
		}
		h := o.Head(testPlace)
		for i := range text {
			for _, b := range []byte("AZaz09-_=\n") {
				if text[i] == b {
					continue
				}
				bad := bytes.Clone(text)
				bad[i] = b
				if !h.Opens(bad) {
					continue
				}
				if out, _, err := h.AppendText([]byte("dst"), bad, nil); err == nil || string(out) != "dst" {
					t.Fatalf("%q, character %d = %q: %q, %v", plain, i, b, out, err)
				}
			}
		}
		v, err := ParseValue(env)
		if err != nil {
			t.Fatal(err)
		}
		v.sealed = bytes.Clone(v.sealed)
		v.sealed[0] ^= 1
		dst := append(make([]byte, 0, 100), "before"...)
		if out, err := o.Append(dst, &v); !errors.Is(err, ErrTampered) || string(out) != "before" {
			t.Errorf("dst came back as %q, %v", out, err)
		}
		if rest := dst[6:cap(dst)]; !bytes.Equal(rest, make([]byte, len(rest))) {
			t.Error("FV-13: plaintext of a value that was refused is in the buffer")
		}
	}
}

func TestFV7NoKeyServesTwoPurposes(t *testing.T) {
	fake := kmstest.NewFake()
	block := newBlock(t, fake, "")
	d := oneDomain(t, fake, block)
	env, _ := sealIn(t, d, "jane")
	id := keyIDOf(t, env)

	// The very data key, taken for one that a process made for itself.
	s := newCache(t, fake).testScope(t, ScopeSpec{})
	o, err := s.Opener(t.Context(), id, [][]byte{block})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openWith(o, env); !errors.Is(err, envelope.ErrSuite) || got != "" {
		t.Errorf("a scope opens a deterministic value: %q, %v", got, err)
	}
	for _, suite := range suites {
		header := envelope.AppendHeader(nil, envelope.Header{Suite: envelope.Suite(suite), Key: envelope.KeyID(id), Context: testPlace})
		random, err := o.m.cipher(envelope.Suite(suite)).Seal(bytes.Clone(header), []byte("jane"), header, new(aead.Nonces))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := openWith(o, random); err != nil || got != "jane" {
			t.Fatalf("suite %d: the value of the test is none: %v", suite, err)
		}
		if got, err := openWith(domainOpener(t, d, id), random); !errors.Is(err, envelope.ErrSuite) || got != "" {
			t.Errorf("a domain opens suite %d: %q, %v", suite, got, err)
		}
	}
}

func TestAHeadOfAnotherDomainIsRefused(t *testing.T) {
	fake := kmstest.NewFake()
	c := newCache(t, fake)
	first, second := newBlock(t, fake, ""), newBlock(t, fake, "")
	one := c.testDomain(t, DomainSpec{Name: "one", Blocks: [][]byte{first}}).NewSealer()
	d := c.testDomain(t, DomainSpec{Name: "two", Blocks: [][]byte{first, second}})
	two := d.NewSealer()
	scope := c.testScope(t, ScopeSpec{}).NewSealer()
	sealOne(t, scope, "x")
	for _, w := range []*DomainSealer{one, two} {
		if err := w.Reserve(t.Context(), 4, 4); err != nil {
			t.Fatal(err)
		}
	}
	h := two.Head(testPlace)
	if !two.Current(h) || !d.NewSealer().Current(h) || one.Current(h) || one.Current(nil) || two.Current(scope.Head(testPlace)) {
		t.Error("Current does not tell whose head it is")
	}
	foreign := map[string]*Head{
		"another domain": one.Head(testPlace), "a scope": scope.Head(testPlace),
		"an opener of the domain": domainOpener(t, d, two.KeyID()).Head(testPlace),
	}
	for name, h := range foreign {
		if out, err := two.Append([]byte("dst"), []byte("x"), h); err == nil || string(out) != "dst" {
			t.Errorf("%s: Append: %q, %v", name, out, err)
		}
		if out, err := two.AppendText([]byte("dst"), []byte("x"), h); err == nil || string(out) != "dst" {
			t.Errorf("%s: AppendText: %q, %v", name, out, err)
		}
	}
	if n := two.Done(); n != 0 {
		t.Errorf("Done = %d: a refused value counts", n)
	}
	if out, err := scope.Append(nil, []byte("x"), h); err == nil {
		t.Errorf("a scope seals with the head of a domain: %x", out)
	}
	if out, err := c.testScope(t, ScopeSpec{Name: "fresh"}).NewSealer().Append(nil, []byte("x"), h); err == nil {
		t.Errorf("so does one without a key: %x", out)
	}
	// After Done, and before Reserve, nothing is sealed.
	for name, w := range map[string]*DomainSealer{"after Done": two, "before Reserve": d.NewSealer()} {
		if out, err := w.Append([]byte("dst"), []byte("x"), h); !errors.Is(err, ErrExhausted) || string(out) != "dst" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if out, err := w.AppendText([]byte("dst"), []byte("x"), h); !errors.Is(err, ErrExhausted) || string(out) != "dst" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// FV-8.
func TestADomainKeyEndsAfter2To48Seals(t *testing.T) {
	fake := kmstest.NewFake()
	d := oneDomain(t, fake, newBlock(t, fake, ""))
	w := d.NewSealer()
	if err := w.Reserve(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	h := w.Head(testPlace)
	w.version.seals.Store(1<<48 - 3)
	w.seals = 0
	for i := range 4 { // none was reserved: a record may have more values than was foreseen
		_, err := w.Append(nil, []byte("x"), h)
		if ok := i < 3; ok != (err == nil) || !ok && !errors.Is(err, ErrExhausted) {
			t.Errorf("seal %d before the end: %v", 3-i, err)
		}
	}
	if err := d.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnusable) {
		t.Errorf("Reserve at the end: %v", err)
	}
	w.version.seals.Store(1<<48 - leaseSeals)
	if err := d.NewSealer().Reserve(t.Context(), leaseSeals+1, 1); !errors.Is(err, ErrUnusable) {
		t.Errorf("a reservation beyond the end: %v", err)
	}
	if err := d.NewSealer().Reserve(t.Context(), leaseSeals, 1); err != nil {
		t.Errorf("a reservation up to the end: %v", err)
	}
	if err := d.NewSealer().Reserve(t.Context(), 0, 0); err != nil {
		t.Errorf("a record without a value: %v", err)
	}
	if got := w.version.seals.Load(); got != 1<<48 {
		t.Errorf("%d seals are taken", got)
	}
	for _, n := range [][2]int{{-1, 0}, {0, -1}} {
		if err := w.Reserve(t.Context(), n[0], n[1]); !errors.Is(err, ErrUnusable) {
			t.Errorf("Reserve(%d, %d): %v", n[0], n[1], err)
		}
	}
}

func TestAValueBeyondOneGibibyteIsRefused(t *testing.T) { // FV-15
	if invariants.Enabled || testing.Short() {
		t.Skip("takes a gibibyte of memory: not tested in this build")
	}
	fake := kmstest.NewFake()
	w := oneDomain(t, fake, newBlock(t, fake, "")).NewSealer()
	if err := w.Reserve(t.Context(), 2, 0); err != nil {
		t.Fatal(err)
	}
	huge, h := make([]byte, aead.MaxPlaintext+1), w.Head(testPlace)
	if out, err := w.Append([]byte("dst"), huge, h); !errors.Is(err, aead.ErrTooLarge) || string(out) != "dst" {
		t.Errorf("Append: %d bytes, %v", len(out), err)
	}
	if out, err := w.AppendText([]byte("dst"), huge, h); !errors.Is(err, aead.ErrTooLarge) || string(out) != "dst" {
		t.Errorf("AppendText: %d bytes, %v", len(out), err)
	}
}

func TestAWarmDomainSealsAndOpensWithoutAllocations(t *testing.T) {
	if invariants.Enabled {
		t.Skip("race detector and invariant checks allocate: not tested in this build")
	}
	fake := kmstest.NewFake()
	d := oneDomain(t, fake, newBlock(t, fake, ""))
	env, text := sealIn(t, d, "jane@example.com")
	w, plain, dst := d.NewSealer(), []byte("jane@example.com"), make([]byte, 0, 1024)
	h, open, ctx := w.Head(testPlace), domainOpener(t, d, keyIDOf(t, env)).Head(testPlace), t.Context()
	var scratch []byte
	var failed error
	n := testing.AllocsPerRun(2*leaseSeals, func() {
		err := w.Reserve(ctx, 2, 2*len(plain))
		if err == nil {
			_, err = w.AppendText(dst[:0], plain, h)
		}
		if err == nil {
			_, err = w.Append(dst[:0], plain, h)
		}
		w.Done()
		if err == nil {
			var v Value
			if v, err = ParseValue(env); err == nil {
				_, err = d.Cached(v.KeyID()).Append(dst[:0], &v)
			}
		}
		if err == nil {
			_, scratch, err = open.AppendText(dst[:0], text, scratch)
		}
		if err != nil {
			failed = err
		}
	})
	if n != 0 || failed != nil {
		t.Errorf("%v allocations, %v", n, failed)
	}
	// A buffer that one huge value made large does not stay.
	if err := w.Reserve(ctx, 1, maxScratch); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AppendText(nil, make([]byte, maxScratch), h); err != nil {
		t.Fatal(err)
	}
	w.Done()
	if w.scratch != nil {
		t.Error("the buffer of a huge value is kept")
	}
}

func TestManyGoroutinesShareADomain(t *testing.T) {
	fake := kmstest.NewFake()
	d := oneDomain(t, fake, newBlock(t, fake, ""))
	want, _ := sealIn(t, oneDomain(t, fake, d.NewSealer().KeyBlock()), "jane")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			w := d.NewSealer()
			for range 300 {
				if err := w.Reserve(t.Context(), 1, 4); err != nil {
					t.Error(err)
					return
				}
				env, err := w.Append(nil, []byte("jane"), w.Head(testPlace))
				w.Done()
				if err != nil || !bytes.Equal(env, want) {
					t.Errorf("%x, %v", env, err)
					return
				}
				o, err := d.Opener(t.Context(), keyIDOf(t, env))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := openWith(o, env); err != nil || got != "jane" {
					t.Errorf("opened %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkDomainSeal(b *testing.B) {
	fake := kmstest.NewFake()
	d := oneDomain(b, fake, newBlock(b, fake, ""))
	for _, size := range []int{16, 32, 256} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			w, plain, dst := d.NewSealer(), make([]byte, size), make([]byte, 0, 2*size+256)
			h, ctx := w.Head(testPlace), b.Context()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Reserve(ctx, 1, size); err != nil {
					b.Fatal(err)
				}
				if _, err := w.AppendText(dst, plain, h); err != nil {
					b.Fatal(err)
				}
				w.Done()
			}
		})
	}
}
