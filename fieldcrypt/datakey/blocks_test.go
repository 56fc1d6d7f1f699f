package datakey

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/internal/vectors"
)

// rebuild returns a block with parts of it changed.
func rebuild(t testing.TB, block []byte, change func(*envelope.KeyBlock)) []byte {
	t.Helper()
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		t.Fatal(err)
	}
	change(&kb)
	out, err := kb.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestABlockThatIsNotTheKeysIsRefused(t *testing.T) {
	fake := kmstest.NewFake()
	spec := ScopeSpec{Tenant: "acme", KEKs: []string{testKEK, "fake:also"}}
	a, b := write(t, fake, spec, "a"), write(t, fake, spec, "b")
	blockB, err := envelope.ParseKeyBlock(b.block)
	if err != nil {
		t.Fatal(err)
	}
	var foreign *ForeignKeyError
	tests := []struct {
		name   string
		blocks [][]byte
		want   error
		as     any // or an error of this type
	}{
		{name: "no block at all", want: ErrUnknownKey},
		{name: "bytes that are no block", blocks: [][]byte{[]byte("garbage"), nil}, want: ErrUnknownKey},
		{name: "a block that is cut", blocks: [][]byte{a.block[:len(a.block)-1]}, want: ErrUnknownKey},
		{name: "FV-3: the block of another key", blocks: b.blocks(), want: ErrUnknownKey},
		{
			name: "FV-2: the wrapped key of another block under this commitment", want: ErrCommitment,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Wrapped = blockB.Wrapped })},
		},
		{
			name: "FV-2: a commitment that differs in its last bit, behind the key id", want: ErrCommitment,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Commitment[31] ^= 1 })},
		},
		{
			name: "FV-2: a commitment that differs in the first bit behind the key id", want: ErrCommitment,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Commitment[12] ^= 0x80 })},
		},
		{
			name: "a wrapped key that does not open", want: kms.ErrCorrupt,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Wrapped[0] ^= 1 })},
		},
		{
			name: "FV-31: a KEK that the policy does not name", as: &foreign,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.KEK = "fake:evil" })},
		},
		{
			name: "FV-31: another tenant", as: &foreign,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Tenant = "globex" })},
		},
		{
			name: "FV-31: no tenant where there must be one", as: &foreign,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Tenant = "" })},
		},
		{
			name: "a KEK that the policy names and that did not wrap the key", want: kms.ErrNotFound,
			blocks: [][]byte{rebuild(t, a.block, func(k *envelope.KeyBlock) { k.KEK = "fake:also" })},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newCache(t, fake).testScope(t, spec)
			before := fake.Calls(kmstest.OpUnwrap)
			o, err := s.Opener(t.Context(), a.id, tt.blocks)
			if o != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) || tt.as != nil && !errors.As(err, tt.as) {
				t.Fatalf("err = %v", err)
			}
			if tt.as != nil && fake.Calls(kmstest.OpUnwrap) != before {
				t.Error("FV-31: the block chose which KEK is asked")
			}
			if s.Cached(a.id) != nil {
				t.Error("the opener is kept")
			}
			// The right block behind the bad one is found.
			o, err = s.Opener(t.Context(), a.id, append(tt.blocks, a.block))
			if err != nil {
				t.Fatalf("with the right block behind: %v", err)
			}
			if got, err := openWith(o, a.env); err != nil || got != "a" {
				t.Errorf("opened %q, %v", got, err)
			}
		})
	}
}

func TestForeignKeyErrorNamesKEKAndTenant(t *testing.T) {
	fake := kmstest.NewFake()
	val := write(t, fake, ScopeSpec{Tenant: "globex"}, "a")
	_, err := newCache(t, fake).testScope(t, ScopeSpec{Tenant: "acme"}).Opener(t.Context(), val.id, val.blocks())
	var foreign *ForeignKeyError
	if !errors.As(err, &foreign) || foreign.Tenant != "globex" || foreign.KEK != testKEK {
		t.Errorf("err = %v", err)
	}
}

func TestAKeyUnderAnyKEKOfTheScopeOpens(t *testing.T) {
	fake := kmstest.NewFake()
	old := write(t, fake, ScopeSpec{KEKs: []string{"fake:old"}}, "a")
	s := newCache(t, fake).testScope(t, ScopeSpec{KEKs: []string{"fake:new", "fake:old"}})
	if _, err := s.Opener(t.Context(), old.id, old.blocks()); err != nil {
		t.Error(err)
	}
	w := s.NewSealer()
	sealOne(t, w, "b")
	if kb, err := envelope.ParseKeyBlock(w.KeyBlock()); err != nil || kb.KEK != "fake:new" {
		t.Errorf("new keys are wrapped under %q, %v", kb.KEK, err)
	}
}

func TestFV3AHeldKeyIsNotReplacedByAnotherOfItsID(t *testing.T) {
	c := newCache(t, kmstest.NewFake())
	s := c.testScope(t, ScopeSpec{})
	sealOne(t, s.NewSealer(), "x")
	key := current(s)
	id := key.id
	held := s.Cached(id)
	forged := &material{commitment: key.commitment, ciphers: key.ciphers}
	forged.commitment[31] ^= 1 // the same id, another key
	if o, err := c.openers.add(s, newOpener(s, id, forged, time.Now())); !errors.Is(err, ErrCommitment) || o != nil {
		t.Errorf("err = %v", err)
	}
	if o, err := c.openers.add(s, newOpener(s, id, key.material, time.Now())); err != nil || o != held {
		t.Errorf("the same key once more: %v", err)
	}
	if s.Cached(id) != held || held.Expired() {
		t.Error("the opener was replaced")
	}
}

type twoKey struct {
	Tests []struct {
		ID                     string
		Key1, Key2, Nonce, AAD vectors.Hex
		Ct, Tag, Pt1, Pt2      vectors.Hex
	}
}

// AES-GCM opens these ciphertexts under two keys; the envelope does not.
func TestFV2ACiphertextThatOpensUnderTwoKeysOpensUnderOne(t *testing.T) {
	var file twoKey
	vectors.Load(t, "commitment/gcm-two-key.json", &file)
	if len(file.Tests) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Tests {
		t.Run(v.ID, func(t *testing.T) {
			s := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{})
			// Openers whose seal keys are the keys of the vector, which stands
			// the attacker better than the real ones: those are outputs of HKDF.
			opener := func(key []byte) *Opener {
				g, err := aead.NewGCM(secret.Take(bytes.Clone(key)))
				if err != nil {
					t.Fatal(err)
				}
				m, err := derive(bytes.Clone(key))
				if err != nil {
					t.Fatal(err)
				}
				m.ciphers[envelope.AES256GCM] = g
				return newOpener(s, ID(m.commitment.KeyID()), m, time.Now())
			}
			one, two := opener(v.Key1), opener(v.Key2)
			val := Value{
				header: envelope.Header{Suite: envelope.AES256GCM, Key: envelope.KeyID(one.id)},
				aad:    v.AAD,
				sealed: bytes.Join([][]byte{v.Nonce, v.Ct, v.Tag}, nil),
			}
			if out, err := two.m.cipher(envelope.AES256GCM).Open(nil, val.sealed, val.aad); err != nil || !bytes.Equal(out, v.Pt2) {
				t.Fatalf("the vector does not show the gap: %x, %v", out, err)
			}
			if out, err := one.Append(nil, &val); err != nil || !bytes.Equal(out, v.Pt1) {
				t.Errorf("the key that is named: %x, %v", out, err)
			}
			if out, err := two.Append(nil, &val); !errors.Is(err, ErrUnknownKey) || len(out) != 0 {
				t.Errorf("the other key: %x, %v", out, err)
			}

			// So the attacker pairs the wrapping of the second key with the
			// commitment, and so the id, of the first.
			block, err := envelope.KeyBlock{Commitment: one.m.commitment, KEK: testKEK, Wrapped: v.Key2}.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			reader := newCache(t, &plainKMS{}).testScope(t, ScopeSpec{})
			if o, err := reader.Opener(t.Context(), one.id, [][]byte{block}); !errors.Is(err, ErrCommitment) || o != nil {
				t.Errorf("a block of two halves: %v", err)
			}
		})
	}
}

func TestNoEnvelopeOpensUnderTwoOfAThousandPairsOfKeys(t *testing.T) {
	s := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{})
	random := func() *Opener {
		key := make([]byte, kms.DataKeySize)
		_, _ = rand.Read(key)
		m, err := derive(key)
		if err != nil {
			t.Fatal(err)
		}
		return newOpener(s, ID(m.commitment.KeyID()), m, time.Now())
	}
	for range 1000 {
		one, two := random(), random()
		for _, suite := range suites {
			h := envelope.AppendHeader(nil, envelope.Header{Suite: envelope.Suite(suite), Key: envelope.KeyID(one.id)})
			var nonces aead.Nonces
			env, err := one.m.cipher(envelope.Suite(suite)).Seal(bytes.Clone(h), []byte("jane"), h, &nonces)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := openWith(one, env); err != nil || got != "jane" {
				t.Fatalf("its own key: %q, %v", got, err)
			}
			if got, err := openWith(two, env); !errors.Is(err, ErrUnknownKey) {
				t.Fatalf("another key: %q, %v", got, err)
			}
			// Nor with the id rewritten: it is authenticated.
			copy(env[2:], two.id[:])
			if got, err := openWith(two, env); !errors.Is(err, ErrTampered) {
				t.Fatalf("another key under its id: %q, %v", got, err)
			}
		}
	}
}

func TestTenantsShareNothing(t *testing.T) {
	fake, store := kmstest.NewFake(), new(MemStore)
	c := newCache(t, fake, WithStore(store))
	bare := newCache(t, fake)
	for range 100 {
		a, b := randomName(t), randomName(t)
		sa, sb := c.testScope(t, ScopeSpec{Tenant: a}), c.testScope(t, ScopeSpec{Tenant: b})
		wa, wb := sa.NewSealer(), sb.NewSealer()
		envA := sealOne(t, wa, "a")
		sealOne(t, wb, "b")
		if sa == sb || wa.KeyID() == wb.KeyID() {
			t.Fatalf("tenants %q and %q share a key", a, b)
		}
		if sb.Cached(wa.KeyID()) != nil {
			t.Fatalf("tenant %q finds an opener of %q", b, a)
		}
		var foreign *ForeignKeyError
		for _, blocks := range [][][]byte{nil, {wa.KeyBlock()}} { // from the store, from the record
			if _, err := sb.Opener(t.Context(), wa.KeyID(), blocks); !errors.As(err, &foreign) || foreign.Tenant != a {
				t.Fatalf("tenant %q opens a key of %q: %v", b, a, err)
			}
		}
		// A block that claims to be the other's fails at the KMS.
		relabelled := rebuild(t, wa.KeyBlock(), func(k *envelope.KeyBlock) { k.Tenant = b })
		if _, err := bare.testScope(t, ScopeSpec{Tenant: b}).Opener(t.Context(), wa.KeyID(), [][]byte{relabelled}); !errors.Is(err, kms.ErrCorrupt) {
			t.Fatalf("a relabelled block: %v", err)
		}
		if o := sb.Cached(wb.KeyID()); o == nil {
			t.Fatal("a sealer's own key is not at hand")
		} else if _, err := openWith(o, envA); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("the opener of %q takes a value of %q: %v", b, a, err)
		}
	}
}

func randomName(t testing.TB) string {
	t.Helper()
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	return fmt.Sprintf("tenant-%x", b)
}
