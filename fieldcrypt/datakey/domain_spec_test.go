package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// FV-6, FV-35: all of it before any call to the KMS.
func TestADomainIsRefusedBeforeTheKMSIsAsked(t *testing.T) {
	fake := kmstest.NewFake()
	block, tenants := newBlock(t, fake, ""), newBlock(t, fake, "acme")
	other, err := CreateDomainBlock(t.Context(), fake, "fake:other", "")
	if err != nil {
		t.Fatal(err)
	}
	rewrapped := rebuild(t, block, func(k *envelope.KeyBlock) { k.Wrapped = append(k.Wrapped, 0) })
	ok := DomainSpec{Name: "join", KEKs: []string{testKEK}, Blocks: [][]byte{block}}
	c, calls := newCache(t, fake), unwraps(fake)
	for _, tt := range []struct {
		name   string
		change func(*DomainSpec)
		want   error // where it is a particular one
	}{
		{"no name", func(s *DomainSpec) { s.Name = "" }, nil},
		{"no KEK", func(s *DomainSpec) { s.KEKs = nil }, nil},
		{"an empty KEK", func(s *DomainSpec) { s.KEKs = []string{testKEK, ""} }, nil},
		{"no block", func(s *DomainSpec) { s.Blocks = nil }, nil},
		{"an empty block", func(s *DomainSpec) { s.Blocks = [][]byte{block, {}} }, envelope.ErrKeyBlock},
		{"a block that was cut", func(s *DomainSpec) { s.Blocks = [][]byte{block[:len(block)-1]} }, envelope.ErrKeyBlock},
		{"a byte behind a block", func(s *DomainSpec) { s.Blocks = [][]byte{append(bytes.Clone(block), 0)} }, envelope.ErrKeyBlock},
		{"a key twice", func(s *DomainSpec) { s.Blocks = [][]byte{block, block} }, nil},
		{"a key twice, wrapped differently", func(s *DomainSpec) { s.Blocks = [][]byte{rewrapped, block} }, nil},
		{"a limit on seals", func(s *DomainSpec) { s.Limits.Seals = 1 }, nil},
		{"a limit on bytes", func(s *DomainSpec) { s.Limits.Bytes = 1 }, nil},
		{"a negative age", func(s *DomainSpec) { s.Limits.Refresh = -1 }, nil},
		{"refresh after expire", func(s *DomainSpec) { s.Limits = Limits{Refresh: 2, Expire: 1} }, nil},
	} {
		spec := ok
		tt.change(&spec)
		if d, err := c.Domain(spec); err == nil || d != nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for name, foreign := range map[string]DomainSpec{
		"another KEK":            {Name: "join", KEKs: []string{testKEK}, Blocks: [][]byte{block, other}},
		"a tenant's block":       {Name: "join", KEKs: []string{testKEK}, Blocks: [][]byte{tenants}},
		"another tenant's block": {Name: "join", Tenant: "globex", KEKs: []string{testKEK}, Blocks: [][]byte{tenants}},
		"a block of no tenant":   {Name: "join", Tenant: "acme", KEKs: []string{testKEK}, Blocks: [][]byte{block}},
	} {
		_, err := c.Domain(foreign)
		var e *ForeignKeyError
		if !errors.As(err, &e) || e.KEK == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestADomainIsDescribedOnce(t *testing.T) {
	fake := kmstest.NewFake()
	block, next := newBlock(t, fake, ""), newBlock(t, fake, "")
	keks, blocks := []string{testKEK, "fake:old"}, [][]byte{bytes.Clone(block)}
	c := newCache(t, fake)
	spec := DomainSpec{Name: "join", KEKs: keks, Blocks: blocks}
	d := c.testDomain(t, spec)
	keks[0] = "fake:changed later"
	clear(blocks[0])
	again := DomainSpec{
		Name: "join", KEKs: []string{testKEK, "fake:old"}, Blocks: [][]byte{block},
		Limits: Limits{Refresh: DefaultRefresh, Expire: DefaultExpire},
	}
	if same, err := c.Domain(again); err != nil || same != d {
		t.Errorf("the same domain with its defaults written out: %v", err)
	}
	if sealed, _ := sealIn(t, d, "x"); len(sealed) == 0 || d.Name() != "join" || d.Tenant() != "" {
		t.Errorf("domain %q of %q", d.Name(), d.Tenant())
	}
	if ids := d.KeyIDs(); len(ids) != 1 {
		t.Errorf("%v", ids)
	} else if ids[0][0] ^= 1; slices.Equal(ids, d.KeyIDs()) {
		t.Error("KeyIDs gives the domain's own slice away")
	}
	for name, change := range map[string]func(*DomainSpec){
		"other KEKs":   func(s *DomainSpec) { s.KEKs = []string{testKEK} },
		"a version":    func(s *DomainSpec) { s.Blocks = [][]byte{block, next} },
		"other limits": func(s *DomainSpec) { s.Limits.Expire = 2 * time.Hour },
	} {
		other := again
		change(&other)
		if same, err := c.Domain(other); err == nil {
			t.Errorf("%s: accepted, %v", name, same == d)
		}
	}
	tenant := c.testDomain(t, DomainSpec{Tenant: "acme", Blocks: [][]byte{newBlock(t, fake, "acme")}})
	if tenant == d {
		t.Error("two tenants share a domain")
	}
	// A scope and a domain of one name do not meet.
	if c.testScope(t, ScopeSpec{Name: "join"}).Name() != d.Name() {
		t.Error("names differ")
	}
}

func TestCreateDomainBlockProvesWhatItReturns(t *testing.T) {
	fake := kmstest.NewFake()
	one, two := newBlock(t, fake, "acme"), newBlock(t, fake, "acme")
	if bytes.Equal(one, two) {
		t.Error("two keys are one")
	}
	kb, err := envelope.ParseKeyBlock(one)
	if err != nil || kb.KEK != testKEK || kb.Tenant != "acme" || len(kb.Wrapped) == 0 {
		t.Errorf("block %+v, %v", kb, err)
	}
	if g, u := fake.Calls(kmstest.OpGenerate), fake.Calls(kmstest.OpUnwrap); g != 2 || u != 2 {
		t.Errorf("%d keys were made and %d verified", g, u)
	}
	checkWiped(t, fake)
	for _, tt := range []struct {
		name string
		w    kms.Wrapper
		kek  string
	}{{"no KMS", nil, testKEK}, {"no KEK", fake, ""}} {
		if b, err := CreateDomainBlock(t.Context(), tt.w, tt.kek, ""); !errors.Is(err, ErrUnusable) || b != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FV-4.
func TestCreateDomainBlockRefusesWhatWouldNeverOpen(t *testing.T) {
	for _, op := range []kmstest.Op{kmstest.OpGenerate, kmstest.OpUnwrap} {
		for fault := kmstest.WrongPlain; fault <= kmstest.HugeWrapped; fault++ {
			if op == kmstest.OpUnwrap && fault >= kmstest.EmptyWrapped {
				continue // faults of what Generate returns
			}
			fake := kmstest.NewFake()
			fake.Corrupt(op, fault)
			b, err := CreateDomainBlock(t.Context(), fake, testKEK, "")
			if err == nil || b != nil {
				t.Errorf("%v with fault %v: %v", op, fault, err)
			}
			if fault != kmstest.EmptyPlain || op == kmstest.OpUnwrap { // which hands out nothing
				checkWiped(t, fake)
			}
		}
	}
	for _, tt := range []struct {
		name       string
		err, class error
	}{{"denied", kms.ErrDenied, ErrUnusable}, {"throttled", kms.ErrThrottled, ErrUnavailable}} {
		fake := kmstest.NewFake()
		fake.Fail(tt.err)
		if b, err := CreateDomainBlock(t.Context(), fake, testKEK, ""); !errors.Is(err, tt.class) || !errors.Is(err, tt.err) || b != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := CreateDomainBlock(ctx, kmstest.NewFake(), testKEK, ""); !errors.Is(err, context.Canceled) || b != nil {
		t.Errorf("an ended context: %v", err)
	}
	if b, err := CreateDomainBlock(t.Context(), panicking{kmstest.NewFake()}, testKEK, ""); !errors.Is(err, errPanic) || b != nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a KMS that panics: %v", err)
	}
	if b, err := CreateDomainBlock(t.Context(), kmstest.NewFake(), testKEK, strings.Repeat("t", 20_000)); err == nil || b != nil {
		t.Errorf("a tenant that no block holds: %v", err)
	}
}

func TestNothingShowsADomainKey(t *testing.T) {
	k := &seeingKMS{}
	block := newBlock(t, k, "acme")
	c := newCache(t, k)
	d := c.testDomain(t, DomainSpec{Tenant: "acme", Blocks: [][]byte{block}})
	w := d.NewSealer()
	fresh := d.NewSealer()
	if err := w.Reserve(t.Context(), 1, 16); err != nil {
		t.Fatal(err)
	}
	h := w.Head(testPlace)
	env, err := w.Append(nil, []byte("plaintext canary"), h)
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseValue(env)
	if err != nil {
		t.Fatal(err)
	}
	o := d.Cached(w.KeyID())
	subjects := map[string]any{
		"cache": c, "domain": d, "spec": d.spec, "sealer": w, "fresh sealer": fresh, "opener": o, "head": h, "value": v,
		"version": w.version, "head by value": *h, "values": []any{w, o, h, &v, d},
		"struct": struct {
			W *DomainSealer
			O *Opener
			H *Head
			D *Domain
			V *domainVersion
		}{w, o, h, d, w.version},
		"nothing": []any{(*Domain)(nil), (*DomainSealer)(nil), (*domainVersion)(nil)},
	}
	id := w.KeyID().String()
	for want, v := range map[string]any{
		`datakey.Domain("join", "acme")`: d, "datakey.DomainSealer(" + id + ")": w, "datakey.domainVersion(" + id + ")": w.version,
		"datakey.Head(" + id + ")": h, "datakey.Domain(nil)": (*Domain)(nil),
		"datakey.DomainSealer(nil)": (*DomainSealer)(nil), "datakey.domainVersion(nil)": (*domainVersion)(nil),
	} {
		for _, verb := range []string{"%v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); got != want {
				t.Errorf("%s shows %s, want %s", verb, got, want)
			}
		}
	}
	canaries := []canary{canary("plaintext canary")}
	for _, key := range k.keys() { // generated, verified, unwrapped
		seal, err := hkdf64(key)
		if err != nil {
			t.Fatal(err)
		}
		canaries = append(canaries, key, seal[:32], seal[32:], subkey(t, seal[:32]))
	}
	if len(canaries) != 1+3*4 {
		t.Fatalf("%d canaries", len(canaries))
	}
	for name, v := range subjects {
		for how, text := range renderings(t, v) {
			for i, c := range canaries {
				if c.in(text) {
					t.Errorf("%s as %s shows secret %d: %s", name, how, i, text)
				}
			}
		}
	}

	// And no error does.
	v.sealed = bytes.Clone(v.sealed)
	v.sealed[0] ^= 1
	_, tampered := o.Append(nil, &v)
	wrong := rebuild(t, block, func(k *envelope.KeyBlock) { k.Commitment[31] ^= 1 })
	committed := newCache(t, k).testDomain(t, DomainSpec{Tenant: "acme", Blocks: [][]byte{wrong}}).NewSealer().Reserve(t.Context(), 1, 1)
	k.Corrupt(kmstest.OpUnwrap, kmstest.WrongPlain)
	_, created := CreateDomainBlock(t.Context(), k, testKEK, "acme")
	canaries = append(canaries, k.keys()...)
	for i, err := range []error{tampered, committed, created} {
		if err == nil {
			t.Fatalf("error %d is none", i)
		}
		for how, text := range renderings(t, err) {
			for _, c := range canaries {
				if c.in(text) {
					t.Errorf("%q as %s shows a secret", err, how)
				}
			}
		}
	}
}
