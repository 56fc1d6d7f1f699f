package datakey

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

func TestAPersonsValuesOpenInEveryProcess(t *testing.T) {
	w := newPersonWorld()
	a, b := w.process(t).of(t, "acme"), w.process(t).of(t, "acme")
	ann, bob := sealFor(t, a, "ann", "Ann Lee"), sealFor(t, a, "bob", "Bob Ray")
	again := sealFor(t, b, "ann", "Ann Lee")
	if keyIDOf(t, ann) != keyIDOf(t, again) {
		t.Error("a person has two keys")
	}
	if keyIDOf(t, ann) == keyIDOf(t, bob) {
		t.Error("two persons have one key")
	}
	for _, s := range []*PersonScope{a, b} {
		for want, env := range map[string][]byte{"Ann Lee": ann, "Bob Ray": bob} {
			if got, err := openFor(t.Context(), t, s, env); err != nil || got != want {
				t.Errorf("opened %q, %v", got, err)
			}
		}
	}
	if n := w.store.count("create"); n != 2 {
		t.Errorf("%d keys were made for 2 persons", n)
	}
	if _, err := openFor(t.Context(), t, w.process(t).of(t, "other"), ann); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another tenant: %v", err)
	}
}

// FV-100: a person's key is for suite 2, and the envelope says so.
func TestFV100PersonKeysSealWithXAES(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "")
	env := sealFor(t, s, "ann", "x")
	h, _, _, err := envelope.Parse(env)
	if err != nil || h.Suite != envelope.XAES256GCM || h.Context != testPlace {
		t.Fatalf("header %+v, %v", h, err)
	}
	o, err := s.Opener(t.Context(), ID(h.Key))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []envelope.Suite{envelope.AES256GCM, envelope.AES256SIV} {
		forged := bytes.Clone(env)
		forged[1] = byte(other)
		v, err := ParseValue(forged)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Append(nil, &v); !errors.Is(err, envelope.ErrSuite) {
			t.Errorf("suite %d: %v", other, err)
		}
	}
}

// FV-101 and FV-102: what stands in the store.
func TestFV101FV102TheStoreHoldsTheKeyBeforeTheFirstValueAndNoIdentifier(t *testing.T) {
	w := newPersonWorld()
	const who = "ann.lee@example.com"
	p := w.process(t)
	s := p.of(t, "acme")
	w.store.script(func(op string) error {
		if op == "create" {
			return errors.New("disk full")
		}
		return nil
	}, nil)
	if err := s.NewSealer().Load(t.Context(), []byte(who)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("a store that cannot keep the key: %v", err)
	}
	if p.Len() != 0 {
		t.Error("a key that no store has is in use")
	}
	w.store.script(nil, nil)
	env := sealFor(t, s, who, "x")
	r, err := w.store.ByKey(t.Context(), "acme", shred.KeyID(keyIDOf(t, env)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.ID(t.Context(), []byte(who))
	if err != nil || r.Person != id || len(r.Sealed) != personRowSize {
		t.Errorf("row %+v, id %s, %v", r, id, err)
	}
	for name, b := range map[string][]byte{"person id": r.Person[:], "row": r.Sealed, "key id": r.Key[:]} {
		if bytes.Contains(b, []byte(who[:4])) {
			t.Errorf("the %s holds the identifier", name)
		}
	}
	other := w.process(t).of(t, "umbrella")
	if oid, err := other.ID(t.Context(), []byte(who)); err != nil || oid == id {
		t.Errorf("the id in another tenant is %s, %v", oid, err)
	}
}

func TestFV101OfRacingProcessesOneMakesTheKey(t *testing.T) {
	w := newPersonWorld()
	const processes, persons = 10, 5
	var (
		mu  sync.Mutex
		ids = map[string]map[ID]bool{}
		wg  sync.WaitGroup
	)
	for range processes {
		s := w.process(t).of(t, "acme")
		for range 10 {
			wg.Go(func() {
				for n := range persons {
					who := fmt.Sprint("person ", n)
					wr := s.NewSealer()
					if err := wr.Load(t.Context(), []byte(who)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if ids[who] == nil {
						ids[who] = map[ID]bool{}
					}
					ids[who][wr.KeyID()] = true
					mu.Unlock()
					wr.Done()
				}
			})
		}
	}
	wg.Wait()
	for who, keys := range ids {
		if len(keys) != 1 {
			t.Errorf("%s has %d keys", who, len(keys))
		}
	}
	if g := w.fake.Calls(kmstest.OpGenerate); g > processes {
		t.Errorf("%d root keys were made", g)
	}
}

func TestFV102ARowOpensInItsPlaceOnly(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	env := sealFor(t, s, "ann", "x")
	key := shred.KeyID(keyIDOf(t, env))
	good, err := w.store.ByKey(t.Context(), "acme", key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.open(&good); err != nil {
		t.Fatal(err)
	}
	refused := func(name string, change func(*shred.Row)) {
		r := good
		r.Sealed = bytes.Clone(good.Sealed)
		change(&r)
		if _, err := root.open(&r); !errors.Is(err, errPersonRow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range good.Sealed {
		refused(fmt.Sprint("bit of byte ", i), func(r *shred.Row) { r.Sealed[i] ^= 1 << (i % 8) })
		refused(fmt.Sprint("cut at ", i), func(r *shred.Row) { r.Sealed = r.Sealed[:i] })
	}
	refused("another person", func(r *shred.Row) { r.Person[0] ^= 1 })
	refused("another tenant", func(r *shred.Row) { r.Tenant = "acmf" })
	refused("another key id", func(r *shred.Row) { r.Key[0] ^= 1 })
	refused("a byte more", func(r *shred.Row) { r.Sealed = append(r.Sealed, 0) })
}

// FV-103: the first half of the nonces is one per load, and no two are equal.
func TestFV103NoncesBeginAlikeWithinALoadAndNeverRepeat(t *testing.T) {
	w := newPersonWorld()
	begin := func(env []byte) string { return hex.EncodeToString(env[envelope.HeaderSize : envelope.HeaderSize+12]) }
	seen := map[string]bool{}
	halves := map[string]bool{}
	for range 3 {
		s := w.process(t).of(t, "acme")
		wr := s.NewSealer()
		mine := ""
		for range 50 {
			if err := wr.Load(t.Context(), []byte("ann")); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				env, err := wr.Append(nil, []byte("x"), testPlace)
				if err != nil {
					t.Fatal(err)
				}
				nonce := string(env[envelope.HeaderSize : envelope.HeaderSize+24])
				if seen[nonce] {
					t.Fatal("a nonce came twice")
				}
				seen[nonce] = true
				if mine == "" {
					mine = begin(env)
				}
				if begin(env) != mine {
					t.Fatal("the first half changed within a load")
				}
			}
			wr.Done()
		}
		if halves[mine] {
			t.Error("two loads have the same first half")
		}
		halves[mine] = true
	}
}

func TestFV103AfterItsLimitARunBeginsAnew(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	first := sealFor(t, s, "ann", "x")
	wr := s.NewSealer()
	if err := wr.Load(t.Context(), []byte("ann")); err != nil {
		t.Fatal(err)
	}
	wr.key.seals.Store(maxRun - 1)
	if _, err := wr.Append(nil, []byte("x"), testPlace); err != nil {
		t.Fatalf("the last value of a run: %v", err)
	}
	if _, err := wr.Append(nil, []byte("x"), testPlace); !errors.Is(err, ErrExhausted) {
		t.Fatalf("beyond the limit: %v", err)
	}
	wr.Done()
	next := sealFor(t, s, "ann", "y")
	if keyIDOf(t, first) != keyIDOf(t, next) {
		t.Error("the person has another key")
	}
	if bytes.Equal(first[envelope.HeaderSize:envelope.HeaderSize+12], next[envelope.HeaderSize:envelope.HeaderSize+12]) {
		t.Error("the first half of the nonce was not drawn anew")
	}
	for want, env := range map[string][]byte{"x": first, "y": next} {
		if got, err := openFor(t.Context(), t, s, env); err != nil || got != want {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

func TestTheRootKeyEndsWithTheKMS(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		w := newPersonWorld()
		p := w.process(t)
		defer p.Close()
		s := p.of(t, "acme")
		env := sealFor(t, s, "ann", "x")
		start := time.Now()
		w.fake.Fail(kms.ErrUnavailable)
		for d := time.Minute; d < 59*time.Minute; d += time.Minute {
			at(start, d)
			if _, err := openFor(t.Context(), t, s, env); err != nil {
				t.Fatalf("after %v: %v", d, err)
			}
		}
		at(start, 61*time.Minute)
		if p.Len() != 0 {
			t.Errorf("%d keys in memory after the root key expired", p.Len())
		}
		if _, err := openFor(t.Context(), t, s, env); !errors.Is(err, ErrUnavailable) || !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("after an hour: %v", err)
		}
		w.fake.Fail(nil)
		at(start, 61*time.Minute+5*time.Second)
		if got, err := openFor(t.Context(), t, s, env); err != nil || got != "x" {
			t.Errorf("when the KMS is back: %q, %v", got, err)
		}
	})
}

// turnedKMS is a KMS of which one KEK can be disabled.
type turnedKMS struct {
	kms.ReEncrypter

	mu  sync.Mutex
	off string
}

func (k *turnedKMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	k.mu.Lock()
	off := k.off
	k.mu.Unlock()
	if kek == off {
		return nil, kms.ErrDisabled
	}
	return k.ReEncrypter.Unwrap(ctx, kek, wrapped, ec)
}

func TestARootThatWasMovedToAnotherKEKIsFound(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		service := &turnedKMS{ReEncrypter: localkms.NewInMemory()}
		store, ledger := new(shred.MemStore), new(shred.MemLedger)
		p, err := OpenPersons(t.Context(), newCache(t, service), store, ledger)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		s, err := p.Scope(PersonSpec{Tenant: "acme", KEKs: []string{"local:old", "local:new"}})
		if err != nil {
			t.Fatal(err)
		}
		env := sealFor(t, s, "ann", "x")
		old, err := store.Root(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		kb, err := envelope.ParseKeyBlock(old)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := service.Generate(t.Context(), "local:new", nil); err != nil {
			t.Fatal(err)
		}
		kb.Wrapped, err = service.ReEncrypt(t.Context(), "local:old", "local:new", kb.Wrapped, encryptionContext("acme"))
		if err != nil {
			t.Fatal(err)
		}
		kb.KEK = "local:new"
		next, err := kb.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.ReplaceRoot(t.Context(), "acme", old, next); err != nil {
			t.Fatal(err)
		}
		service.mu.Lock()
		service.off = "local:old"
		service.mu.Unlock()
		start := time.Now()
		for d := time.Minute; d < 3*time.Hour; d += time.Minute {
			at(start, d)
			if got, err := openFor(t.Context(), t, s, env); err != nil || got != "x" {
				t.Fatalf("after %v: %q, %v", d, got, err)
			}
		}
	})
}
