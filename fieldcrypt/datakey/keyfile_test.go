package datakey

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// noGenerate fails the making of keys and leaves unwrapping alone.
func noGenerate(err error) func(context.Context, kmstest.Op, string) error {
	return func(_ context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpGenerate {
			return err
		}
		return nil
	}
}

// run is one process with key files.
func run(t testing.TB, w kms.Wrapper, dir string, spec ScopeSpec) (*Cache, *Scope) {
	t.Helper()
	spec.Persist = true
	c := newCache(t, w, WithKeyFiles(dir), drawing(lateDraw))
	s := c.testScope(t, spec)
	return c, s
}

func keyFilesIn(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+keyFileSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAProcessStartsWithAnUnwrapAlone(t *testing.T) {
	for _, class := range []error{kms.ErrThrottled, kms.ErrUnavailable, kms.ErrDenied} {
		t.Run(class.Error(), func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake, dir := kmstest.NewFake(), t.TempDir()
				c, s := run(t, fake, dir, ScopeSpec{Tenant: "acme"})
				start := time.Now()
				w := s.NewSealer()
				sealOne(t, w, "x")
				first := w.KeyID()
				c.Close()
				pass(10 * time.Minute)

				fake.Hook(noGenerate(class))
				calls := unwraps(fake)
				c, s = run(t, fake, dir, ScopeSpec{Tenant: "acme"})
				w = s.NewSealer()
				env := sealOne(t, w, "x")
				if w.KeyID() != first || calls() != 1 {
					t.Errorf("key %s after %d calls, want %s after one", w.KeyID(), calls(), first)
				}
				if got, err := openWith(s.Cached(first), env); err != nil || got != "x" {
					t.Errorf("%q, %v", got, err)
				}
				// The hour counts from the making of the key, over all runs.
				if !errors.Is(class, kms.ErrDenied) {
					at(start, DefaultExpire-time.Minute)
					sealOne(t, w, "x")
				}
				at(start, DefaultExpire)
				if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, class) {
					t.Errorf("after an hour: %v", err)
				}
				c.Close()
				_, s = run(t, fake, dir, ScopeSpec{Tenant: "acme"})
				if err := s.NewSealer().Reserve(t.Context(), 1, 1); err == nil {
					t.Error("an expired key starts a process")
				}
			})
		})
	}
}

// FV-9: the runs of a key stay within its limit together, wherever they end.
func TestFV9AllRunsTogetherStayWithinTheLimit(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		const limit = 4096
		fake, dir := kmstest.NewFake(), t.TempDir()
		sealed := map[ID]int{}
		nonces := map[string]bool{}
		total := 0
		var first ID
		for n := range 200 {
			c, s := run(t, fake, dir, ScopeSpec{Limits: Limits{Seals: limit}})
			w := s.NewSealer()
			for {
				if err := w.Reserve(t.Context(), 1, 1); err != nil {
					break
				}
				if n == 0 {
					first = w.KeyID()
					fake.Hook(noGenerate(kms.ErrUnavailable))
				}
				env, err := w.Append(nil, []byte("x"), w.Head(testPlace))
				if err != nil {
					t.Fatal(err)
				}
				sealed[w.KeyID()]++
				nonces[string(env[22:34])] = true
				total++
			}
			c.Close()
		}
		if len(sealed) != 1 || sealed[first] > limit || len(nonces) != total {
			t.Errorf("%d keys, %d seals under the first, %d of %d nonces are different", len(sealed), sealed[first], len(nonces), total)
		}
		if sealed[first] < limit*9/10 {
			t.Errorf("%d of %d seals could be used", sealed[first], limit)
		}
	})
}

func TestFV9TheShareIsDurableBeforeTheFirstSeal(t *testing.T) {
	fake, dir := kmstest.NewFake(), t.TempDir()
	c, s := run(t, fake, dir, ScopeSpec{})
	sealOne(t, s.NewSealer(), "x")
	read := func() keyFile {
		t.Helper()
		k, err := c.files.read(s)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if k := read(); k.seals != DefaultSeals/2 || k.bytes != DefaultBytes/2 {
		t.Errorf("the first run has %d seals and %d bytes", k.seals, k.bytes)
	}
	if k := current(s); k.limits.Seals != DefaultSeals/2 || k.limits.Bytes != DefaultBytes/2 {
		t.Errorf("and uses %+v", k.limits)
	}
	c.Close()
	c, s = run(t, fake, dir, ScopeSpec{})
	sealOne(t, s.NewSealer(), "x")
	if k := read(); k.seals != DefaultSeals/2+DefaultSeals/32 || k.bytes != DefaultBytes/2+DefaultBytes/32 {
		t.Errorf("after a restart %d seals and %d bytes are given out", k.seals, k.bytes)
	}
	if k := current(s); k.limits.Seals != DefaultSeals/32 || k.limits.Bytes != DefaultBytes/32 {
		t.Errorf("the restart uses %+v", k.limits)
	}
	c.Close()
	// What cannot be written is not used.
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700) //nolint:errcheck // so that it can be removed
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere: the rest was not tested")
	}
	fake.Hook(noGenerate(kms.ErrDenied))
	_, s = run(t, fake, dir, ScopeSpec{})
	if err := s.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("err = %v", err)
	}
}

func TestFV9ADirectoryIsOfOneProcess(t *testing.T) {
	fake, dir := kmstest.NewFake(), t.TempDir()
	one, s := run(t, fake, dir, ScopeSpec{})
	w := s.NewSealer()
	sealOne(t, w, "x")
	first := w.KeyID()
	two, s := run(t, fake, dir, ScopeSpec{})
	w = s.NewSealer()
	sealOne(t, w, "x")
	if w.KeyID() == first || two.Stats().Keys[0].PersistFailures == 0 {
		t.Error("two processes share a key file")
	}
	two.Close()
	one.Close()
	_, s = run(t, fake, dir, ScopeSpec{})
	w = s.NewSealer()
	sealOne(t, w, "x")
	if w.KeyID() != first {
		t.Error("the second process wrote the file of the first")
	}
}

func TestAKeyFileHoldsNoKeyInClearAndIsOfItsOwnerAlone(t *testing.T) {
	k, dir := &seeingKMS{}, filepath.Join(t.TempDir(), "made")
	_, s := run(t, k, dir, ScopeSpec{Tenant: "acme/../../x"})
	sealOne(t, s.NewSealer(), "x")
	files := keyFilesIn(t, dir)
	if len(files) != 1 {
		t.Fatalf("files: %q", files)
	}
	for path, want := range map[string]fs.FileMode{files[0]: 0o600, dir: 0o700 | fs.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range k.keys() {
		for _, c := range []canary{key, mustHKDF(t, key, "fieldveil/1 seal \x01"), mustHKDF(t, key, "fieldveil/1 seal \x02")} {
			if c.in(string(content)) {
				t.Error("a key stands in the file")
			}
		}
	}
}

// A file that is no good is as none: the process asks for a new key.
func TestABadKeyFileIsNotUsed(t *testing.T) {
	tests := map[string]func(t *testing.T, path string, b []byte){
		"cut":       replace(0o600, func(b []byte) []byte { return b[:len(b)-1] }),
		"empty":     replace(0o600, func([]byte) []byte { return nil }),
		"flipped":   replace(0o600, func(b []byte) []byte { b[40] ^= 1; return b }),
		"too long":  replace(0o600, func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }),
		"readable":  replace(0o644, func(b []byte) []byte { return b }),
		"used up":   edit(func(k *keyFile) { k.seals = DefaultSeals }),
		"overdrawn": edit(func(k *keyFile) { k.seals = 1 << 63 }),
		"no bytes":  edit(func(k *keyFile) { k.bytes = DefaultBytes }),
		"too old":   edit(func(k *keyFile) { k.born = k.born.Add(-DefaultExpire) }),
		"tomorrow":  edit(func(k *keyFile) { k.born = k.born.Add(time.Hour) }),
		"another tenant": edit(func(k *keyFile) {
			kb, _ := envelope.ParseKeyBlock(k.block)
			kb.Tenant = "globex"
			k.block, _ = kb.Append(nil)
		}),
		"another key": edit(func(k *keyFile) {
			kb, _ := envelope.ParseKeyBlock(k.block)
			kb.Commitment[31] ^= 1
			k.block, _ = kb.Append(nil)
		}),
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			fake, dir := kmstest.NewFake(), t.TempDir()
			c, s := run(t, fake, dir, ScopeSpec{})
			w := s.NewSealer()
			sealOne(t, w, "x")
			first := w.KeyID()
			c.Close()
			path := keyFilesIn(t, dir)[0]
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, path, b)
			_, s = run(t, fake, dir, ScopeSpec{})
			w = s.NewSealer()
			sealOne(t, w, "x")
			if w.KeyID() == first {
				t.Error("it was used")
			}
			checkWiped(t, fake)
		})
	}
}

func put(t *testing.T, path string, b []byte, mode fs.FileMode) {
	t.Helper()
	_ = os.Remove(path)
	if err := os.WriteFile(path, b, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func replace(mode fs.FileMode, change func([]byte) []byte) func(t *testing.T, path string, b []byte) {
	return func(t *testing.T, path string, b []byte) {
		t.Helper()
		put(t, path, change(b), mode)
	}
}

func edit(change func(*keyFile)) func(t *testing.T, path string, b []byte) {
	return func(t *testing.T, path string, b []byte) {
		t.Helper()
		k, err := parseKeyFile(b)
		if err != nil {
			t.Fatal(err)
		}
		change(&k)
		put(t, path, k.encode(), 0o600)
	}
}

func TestADirectoryThatCannotBeUsedDoesNotStopAnything(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, nil, 0o600)
	c, s := run(t, kmstest.NewFake(), filepath.Join(file, "under"), ScopeSpec{})
	sealOne(t, s.NewSealer(), "x")
	if n := c.Stats().Keys[0].PersistFailures; n == 0 {
		t.Error("nobody is told")
	}
}

func TestAKeyThatPersistsNeedsADirectoryAndASmallLimit(t *testing.T) {
	c := newCache(t, kmstest.NewFake())
	if _, err := c.Scope(ScopeSpec{Name: "x", KEKs: []string{testKEK}, Persist: true}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("err = %v", err)
	}
	c = newCache(t, kmstest.NewFake(), WithKeyFiles(t.TempDir()))
	spec := ScopeSpec{Name: "x", KEKs: []string{testKEK}, Persist: true, Limits: Limits{Seals: maxPersistSeals + 1}}
	if _, err := c.Scope(spec); err == nil {
		t.Error("copies of the file could pass 2^32 seals")
	}
	spec.Suite = XAES256GCM
	if _, err := c.Scope(spec); err != nil {
		t.Error(err)
	}
}

func TestARecordThatTheFirstShareCannotHoldIsRefused(t *testing.T) {
	fake := kmstest.NewFake()
	_, s := run(t, fake, t.TempDir(), ScopeSpec{Limits: Limits{Seals: 100}})
	if err := s.NewSealer().Reserve(t.Context(), 51, 1); !errors.Is(err, ErrUnusable) || fake.Calls(kmstest.OpGenerate) != 0 {
		t.Errorf("err = %v after %d calls", err, fake.Calls(kmstest.OpGenerate))
	}
	if err := s.NewSealer().Reserve(t.Context(), 50, 1); err != nil {
		t.Error(err)
	}
}

func FuzzParseKeyFile(f *testing.F) {
	block := newBlock(f, kmstest.NewFake(), "acme")
	f.Add(keyFile{born: time.UnixMilli(1_700_000_000_000), seals: 1 << 27, bytes: 1 << 30, block: block}.encode())
	f.Add([]byte(keyFileMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKeyFile(b)
		if err != nil {
			if !errors.Is(err, errKeyFile) {
				t.Fatalf("err = %v", err)
			}
			return
		}
		if !bytes.Equal(k.encode(), b) {
			t.Fatal("what was accepted encodes to other bytes")
		}
	})
}
