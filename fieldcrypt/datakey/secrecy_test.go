package datakey

import (
	"bytes"
	"context"
	"crypto/aes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

func TestEveryKeyInClearIsWiped(t *testing.T) {
	for _, op := range []kmstest.Op{kmstest.OpGenerate, kmstest.OpUnwrap} {
		for _, fault := range []kmstest.Fault{
			kmstest.Sound, kmstest.WrongPlain, kmstest.ShortPlain, kmstest.LongPlain, kmstest.EmptyPlain,
			kmstest.EmptyWrapped, kmstest.WrongWrapped, kmstest.HugeWrapped,
		} {
			t.Run(fmt.Sprint(op, " with fault ", fault), func(t *testing.T) {
				noFIPS(t)
				synctest.Test(t, func(t *testing.T) {
					writer := kmstest.NewFake()
					val := write(t, writer, ScopeSpec{}, "jane")

					fake := kmstest.NewFake()
					fake.Corrupt(op, fault)
					err := newCache(t, fake).testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1)
					if sound := fault == kmstest.Sound || op == kmstest.OpUnwrap && fault >= kmstest.EmptyWrapped; (err == nil) != sound {
						t.Errorf("err = %v", err)
					}
					if op != kmstest.OpGenerate || fault != kmstest.EmptyPlain {
						checkWiped(t, fake) // there was a key
					}

					writer.Corrupt(op, fault)
					_, _ = newCache(t, writer).testScope(t, ScopeSpec{}).Opener(t.Context(), val.id, val.blocks())
					checkWiped(t, writer)
				})
			})
		}
	}
	t.Run("a store that fails", func(t *testing.T) {
		noFIPS(t)
		synctest.Test(t, func(t *testing.T) {
			fake := kmstest.NewFake()
			store := &scriptStore{put: func(context.Context, ID, []byte) error { return errors.New("disk full") }}
			if err := newCache(t, fake, WithStore(store)).testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1); err == nil {
				t.Error("no error")
			}
			checkWiped(t, fake)
		})
	})
	t.Run("a block with another commitment", func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		wrong := rebuild(t, val.block, func(k *envelope.KeyBlock) { k.Commitment[31] ^= 1 })
		if _, err := newCache(t, fake).testScope(t, ScopeSpec{}).Opener(t.Context(), val.id, [][]byte{wrong}); !errors.Is(err, ErrCommitment) {
			t.Errorf("err = %v", err)
		}
		checkWiped(t, fake)
	})
}

func checkWiped(t *testing.T, fake *kmstest.Fake) {
	t.Helper()
	keys := fake.HandedOut()
	if len(keys) == 0 {
		t.Error("the KMS handed out no key")
	}
	for i, k := range keys {
		if !bytes.Equal(k, make([]byte, len(k))) {
			t.Errorf("key %d of %d is still in memory", i, len(keys))
		}
	}
}

// A canary is a secret in the forms in which it may slip out.
type canary []byte

func (c canary) in(text string) bool {
	decimals := strings.Trim(fmt.Sprintf("%d", []byte(c)), "[]")
	commas := strings.ReplaceAll(decimals, " ", ",")
	goBytes := fmt.Sprintf("%#v", []byte(c))
	goBytes = goBytes[strings.Index(goBytes, "{")+1 : len(goBytes)-1]
	for _, form := range []string{
		string(c), strconvQuoted(c), hex.EncodeToString(c), strings.ToUpper(hex.EncodeToString(c)),
		base64.StdEncoding.EncodeToString(c), base64.RawURLEncoding.EncodeToString(c),
		decimals, commas, goBytes,
	} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func strconvQuoted(c canary) string {
	q := fmt.Sprintf("%q", []byte(c))
	return q[1 : len(q)-1]
}

// renderings returns v in every way in which a program may show it.
func renderings(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	if b, err := json.Marshal(v); err == nil {
		out["JSON"] = string(b)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("event", "value", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("event", "value", v)
	out["log"] = log.String()
	return out
}

func TestACanaryIsFoundInEveryRendering(t *testing.T) {
	secret := []byte("\x00\x01\xfe canary of thirty-two bytes \xff")
	c := canary(secret)
	leaky := struct{ Key []byte }{secret}
	for how, text := range renderings(t, leaky) {
		if !c.in(text) {
			t.Errorf("%s hides it from the test: %s", how, text)
		}
	}
	if c.in("nothing to see here") {
		t.Error("found where it is not")
	}
}

func TestNothingShowsAKey(t *testing.T) {
	k := &seeingKMS{}
	c := newCache(t, k)
	s := c.testScope(t, ScopeSpec{Tenant: "acme"})
	x := c.testScope(t, ScopeSpec{Name: "x", Suite: XAES256GCM})
	canaries := []canary{canary("plaintext canary")}
	subjects := map[string]any{"cache": c, "scope": s, "spec": s.spec}
	for name, scope := range map[string]*Scope{"GCM": s, "XAES": x} {
		w := scope.NewSealer()
		env := sealOne(t, w, "plaintext canary")
		o := scope.Cached(w.KeyID())
		v, err := ParseValue(env)
		if err != nil {
			t.Fatal(err)
		}
		h := w.Head(testPlace)
		for k, v := range map[string]any{
			"sealer": w, "opener": o, "head": h, "value": v, "values": []any{w, o, h, &v},
			"struct": struct {
				W *Sealer
				O *Opener
				H *Head
				S *Scope
				C *Cache
			}{w, o, h, scope, c},
			"head by value": *h,
		} {
			subjects[name+" "+k] = v
		}
	}
	for _, key := range k.keys() { // each was generated and verified
		one, two := mustHKDF(t, key, "fieldveil/1 seal \x01"), mustHKDF(t, key, "fieldveil/1 seal \x02")
		canaries = append(canaries, key, one, two, subkey(t, two))
	}
	if len(canaries) != 1+4*4 {
		t.Fatalf("%d canaries", len(canaries))
	}
	for name, v := range subjects {
		for how, text := range renderings(t, v) {
			for i, c := range canaries {
				if c.in(text) {
					t.Errorf("%s as %s shows secret %d", name, how, i)
				}
			}
		}
	}
}

// subkey returns what XAES derives from its key and keeps: AES of zero, doubled.
func subkey(t *testing.T, key []byte) canary {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	l := make([]byte, aes.BlockSize)
	block.Encrypt(l, l)
	n := new(big.Int).SetBytes(l)
	n.Lsh(n, 1)
	if n.Bit(128) == 1 {
		n.SetBit(n, 128, 0).Xor(n, big.NewInt(0x87))
	}
	return n.FillBytes(l)
}

func TestNoErrorShowsAKeyOrAValue(t *testing.T) {
	var errs []error
	var canaries []canary
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		for _, op := range []kmstest.Op{kmstest.OpGenerate, kmstest.OpUnwrap} {
			for fault := kmstest.WrongPlain; fault <= kmstest.HugeWrapped; fault++ {
				k := &seeingKMS{}
				k.Corrupt(op, fault)
				err := newCache(t, k).testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1)
				errs, canaries = append(errs, err), append(canaries, k.keys()...)
			}
		}
	})
	k := &seeingKMS{}
	val := write(t, k, ScopeSpec{}, "plaintext canary")
	s := newCache(t, k).testScope(t, ScopeSpec{Limits: Limits{Seals: 1}})
	for _, change := range []func(*envelope.KeyBlock){
		func(k *envelope.KeyBlock) { k.Commitment[31] ^= 1 },
		func(k *envelope.KeyBlock) { k.Wrapped[0] ^= 1 },
		func(k *envelope.KeyBlock) { k.Tenant = "globex" },
	} {
		_, err := s.Opener(t.Context(), val.id, [][]byte{rebuild(t, val.block, change)})
		errs = append(errs, err)
	}
	o, err := s.Opener(t.Context(), val.id, val.blocks())
	if err != nil {
		t.Fatal(err)
	}
	val.env[len(val.env)-1] ^= 1
	_, err = openWith(o, val.env)
	errs = append(errs, err)
	w := s.NewSealer()
	sealOne(t, w, "x")
	_, err = w.Append(nil, []byte("plaintext canary"), w.Head(testPlace))
	errs = append(errs, err)

	canaries = append(append(canaries, k.keys()...), canary("plaintext canary"))
	if len(canaries) < 20 {
		t.Fatalf("%d canaries", len(canaries))
	}
	failed := 0
	for _, err := range errs {
		if err == nil {
			continue // a fault that does not apply to the call
		}
		failed++
		for how, text := range renderings(t, err) {
			for _, c := range canaries {
				if len(c) > 0 && c.in(text) {
					t.Errorf("%q as %s shows a secret", err, how)
				}
			}
		}
	}
	if failed != 16 {
		t.Errorf("%d errors were looked at, want 16", failed)
	}
}
