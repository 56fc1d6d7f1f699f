package keyops_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

const kekA, kekB, kekC = "local:a", "local:b", "local:c"

// scripted is a KMS whose answers a test may replace.
type scripted struct {
	kms.ReEncrypter

	mu     sync.Mutex
	calls  int
	answer func(call int) error             // before the real one; nil for none
	wrong  func(wrapped []byte) []byte      // what is made of the answer; nil for the answer
	times  []time.Time                      // of the calls
	done   func(from, to string, at []byte) // after a call
}

func newKMS() *scripted { return &scripted{ReEncrypter: localkms.NewInMemory()} }

func (s *scripted) ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.times = append(s.times, time.Now())
	if s.answer != nil {
		if err := s.answer(s.calls); err != nil {
			return nil, err
		}
	}
	out, err := s.ReEncrypter.ReEncrypt(ctx, from, to, wrapped, ec)
	if err == nil && s.wrong != nil {
		out = s.wrong(out)
	}
	if s.done != nil {
		s.done(from, to, wrapped)
	}
	return out, err
}

func (s *scripted) block(t *testing.T, kek, tenant string) (datakey.ID, []byte) {
	t.Helper()
	b, err := datakey.CreateDomainBlock(t.Context(), s, kek, tenant)
	if err != nil {
		t.Fatal(err)
	}
	info, err := datakey.DescribeBlock(b)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID, b
}

func (s *scripted) catalog(t *testing.T, keks ...string) *datakey.MemStore {
	t.Helper()
	m := new(datakey.MemStore)
	for i, kek := range keks {
		id, b := s.block(t, kek, fmt.Sprintf("tenant-%d", i%3))
		if err := m.Put(t.Context(), id, b); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func blocks(t *testing.T, c datakey.Catalog) map[datakey.ID][]byte {
	t.Helper()
	out := map[datakey.ID][]byte{}
	if err := c.Each(t.Context(), func(id datakey.ID, b []byte) error {
		out[id] = bytes.Clone(b)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func keks(t *testing.T, c datakey.Catalog) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, b := range blocks(t, c) {
		info, err := datakey.DescribeBlock(b)
		if err != nil {
			t.Fatal(err)
		}
		out[info.KEK]++
	}
	return out
}

var fast = keyops.RewrapOptions{Rate: 1e6}

func TestRewrapMovesWhatIsUnderTheKEKAndNothingElse(t *testing.T) {
	s := newKMS()
	c := s.catalog(t, kekA, kekA, kekB, kekC, kekA)
	before := blocks(t, c)
	dry := fast
	dry.DryRun = true
	for _, tt := range []struct {
		name string
		o    keyops.RewrapOptions
		want keyops.RewrapResult
		keks map[string]int
	}{
		{"a dry run", dry, keyops.RewrapResult{Seen: 5, Moved: 3, Already: 1, Other: 1}, map[string]int{kekA: 3, kekB: 1, kekC: 1}},
		{"the first run", fast, keyops.RewrapResult{Seen: 5, Moved: 3, Already: 1, Other: 1}, map[string]int{kekB: 4, kekC: 1}},
		{"once more", fast, keyops.RewrapResult{Seen: 5, Already: 4, Other: 1}, map[string]int{kekB: 4, kekC: 1}},
	} {
		var last keyops.RewrapResult
		tt.o.Progress = func(r keyops.RewrapResult) { last = r }
		got, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, tt.o)
		if err != nil || !reflect.DeepEqual(got, tt.want) || !reflect.DeepEqual(last, got) || !maps.Equal(keks(t, c), tt.keks) {
			t.Errorf("%s: %+v, last %+v, %v, %v", tt.name, got, last, keks(t, c), err)
		}
	}
	for id, b := range blocks(t, c) {
		if !datakey.SameKey(b, before[id]) {
			t.Errorf("key %s is another one", id)
		}
		if err := datakey.ProveBlock(t.Context(), s, b); err != nil {
			t.Error(err)
		}
	}
	if s.calls != 3 {
		t.Errorf("%d calls", s.calls)
	}
}

func TestRewrapGoesOnAfterItEnded(t *testing.T) {
	s := newKMS()
	c := s.catalog(t, kekA, kekA, kekA, kekA, kekA, kekA)
	s.answer = func(call int) error {
		if call > 2 {
			return kms.ErrDisabled
		}
		return nil
	}
	one := fast
	one.Parallel = 1
	got, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, one)
	if !errors.Is(err, kms.ErrDisabled) || got.Moved != 2 || got.Failed != 1 || s.calls != 3 {
		t.Fatalf("a KEK that is disabled ends it: %+v, %d calls, %v", got, s.calls, err)
	}
	s.answer = nil
	ctx, cancel := context.WithCancel(t.Context())
	stop := one
	stop.Progress = func(r keyops.RewrapResult) {
		if r.Moved == 1 {
			cancel()
		}
	}
	if _, err := keyops.Rewrap(ctx, c, s, kekA, kekB, stop); !errors.Is(err, context.Canceled) {
		t.Fatalf("a context that ends: %v", err)
	}
	got, err = keyops.Rewrap(t.Context(), c, s, kekA, kekB, fast)
	if err != nil || got.Already < 3 || got.Moved+got.Already != 6 || keks(t, c)[kekB] != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestABlockThatFailsStaysAndIsNamed(t *testing.T) {
	s := newKMS()
	c := s.catalog(t, kekA, kekA, kekA)
	var id datakey.ID
	for i, b := range blocks(t, c) {
		id = i
		bad := bytes.Clone(b)
		bad[len(bad)-1] ^= 1
		if err := c.Replace(t.Context(), i, b, bad); err != nil {
			t.Fatal(err)
		}
		break
	}
	got, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, fast)
	if !errors.Is(err, keyops.ErrIncomplete) || got.Moved != 2 || got.Failed != 1 || len(got.Failures) != 1 || got.Failures[0].Key != id.String() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnAnswerThatHoldsAnotherKeyIsFoundWhenItIsProven(t *testing.T) {
	for _, proven := range []bool{false, true} {
		s := newKMS()
		c := s.catalog(t, kekA)
		_, other := s.block(t, kekB, "tenant-0")
		s.wrong = func([]byte) []byte { return other[len(other)-81:] } // its wrapped key
		o := fast
		if proven {
			o.Prove = s
		}
		_, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, o)
		if proven && (!errors.Is(err, keyops.ErrIncomplete) || keks(t, c)[kekA] != 1) {
			t.Errorf("proven: %v, %v", err, keks(t, c))
		}
		if !proven && err != nil {
			t.Errorf("believed: %v", err)
		}
		for _, b := range blocks(t, c) {
			if err := datakey.ProveBlock(t.Context(), s, b); (err == nil) != proven {
				t.Errorf("proven %v: the block in the catalog: %v", proven, err)
			}
		}
	}
}

func TestSomebodyWhoWasThereFirstIsNotOverwritten(t *testing.T) {
	s := newKMS()
	c := s.catalog(t, kekA)
	s.done = func(string, string, []byte) {
		for id, b := range blocks(t, c) {
			next, err := datakey.ReEncryptBlock(t.Context(), s.ReEncrypter, b, kekC)
			if err == nil {
				err = c.Replace(t.Context(), id, b, next)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	got, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, fast)
	if !errors.Is(err, keyops.ErrIncomplete) || got.Changed != 1 || keks(t, c)[kekC] != 1 {
		t.Errorf("%+v, %v, %v", got, keks(t, c), err)
	}
}

func TestRewrapKeepsToItsRateAndWaitsForAKMSThatThrottles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newKMS()
		c := s.catalog(t, slices.Repeat([]string{kekA}, 20)...)
		begin := time.Now()
		if got, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, keyops.RewrapOptions{Rate: 10}); err != nil || got.Moved != 20 {
			t.Fatalf("%+v, %v", got, err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("20 keys at 10 a second took %v", took)
		}
		s.calls = 0
		s.answer = func(call int) error {
			if call%3 != 0 {
				return fmt.Errorf("busy: %w", kms.ErrThrottled)
			}
			return nil
		}
		if got, err := keyops.Rewrap(t.Context(), c, s, kekB, kekC, keyops.RewrapOptions{Parallel: 1}); err != nil || got.Moved != 20 || s.calls != 60 {
			t.Errorf("%+v, %d calls, %v", got, s.calls, err)
		}
		s.answer = func(int) error { return kms.ErrUnavailable }
		if got, err := keyops.Rewrap(t.Context(), c, s, kekC, kekA, fast); !errors.Is(err, keyops.ErrIncomplete) || got.Failed != 20 || len(got.Failures) != keyops.MaxFailures {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestCallsThatMakeNoSenseAreRefused(t *testing.T) {
	s := newKMS()
	c := s.catalog(t, kekA)
	_, block := s.block(t, kekA, "")
	for name, f := range map[string]func() error{
		"to itself": func() error { _, err := keyops.Rewrap(t.Context(), c, s, kekA, kekA, fast); return err },
		"from none": func() error { _, err := keyops.Rewrap(t.Context(), c, s, "", kekA, fast); return err },
		"no catalog": func() error {
			_, err := keyops.Rewrap(t.Context(), nil, s, kekA, kekB, fast)
			return err
		},
		"a rate below 0": func() error {
			_, err := keyops.Rewrap(t.Context(), c, s, kekA, kekB, keyops.RewrapOptions{Rate: -1})
			return err
		},
		"a block to itself": func() error {
			_, err := keyops.RewrapBlock(t.Context(), block, s, kekA, kekA, nil)
			return err
		},
		"no store": func() error { _, err := keyops.RewrapRoots(t.Context(), nil, s, kekA, kekB, fast); return err },
	} {
		if err := f(); !errors.Is(err, keyops.ErrArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABlockOfAPolicyMoves(t *testing.T) {
	s := newKMS()
	_, block := s.block(t, kekA, "acme")
	next, err := keyops.RewrapBlock(t.Context(), block, s, kekA, kekB, s)
	if err != nil || !datakey.SameKey(block, next) {
		t.Fatal(err)
	}
	if again, err := keyops.RewrapBlock(t.Context(), next, s, kekA, kekB, s); err != nil || !bytes.Equal(again, next) {
		t.Errorf("once more: %v", err)
	}
	if _, err := keyops.RewrapBlock(t.Context(), next, s, kekA, kekC, s); !errors.Is(err, keyops.ErrOtherKEK) {
		t.Errorf("under another KEK: %v", err)
	}
	if _, err := keyops.RewrapBlock(t.Context(), []byte("x"), s, kekA, kekB, s); err == nil {
		t.Error("no block was moved")
	}
}

// rootStore has the roots of a shred store, and panics where it is asked for more.
type rootStore struct {
	shred.Store

	mu    sync.Mutex
	roots map[string][]byte
}

func (r *rootStore) EachRoot(_ context.Context, f func(string, []byte) error) error {
	r.mu.Lock()
	all := maps.Clone(r.roots)
	r.mu.Unlock()
	for _, tenant := range slices.Sorted(maps.Keys(all)) {
		if err := f(tenant, all[tenant]); err != nil {
			return err
		}
	}
	return nil
}

func (r *rootStore) ReplaceRoot(_ context.Context, tenant string, old, next []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !bytes.Equal(r.roots[tenant], old) {
		return shred.ErrChanged
	}
	r.roots[tenant] = next
	return nil
}

func TestRootsMove(t *testing.T) {
	s := newKMS()
	r := &rootStore{roots: map[string][]byte{}}
	for _, tenant := range []string{"", "acme", "zen"} {
		_, r.roots[tenant] = s.block(t, kekA, tenant)
	}
	got, err := keyops.RewrapRoots(t.Context(), r, s, kekA, kekB, fast)
	if err != nil || got.Moved != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for tenant, b := range r.roots {
		if info, err := datakey.DescribeBlock(b); err != nil || info.KEK != kekB || info.Tenant != tenant {
			t.Errorf("%+v, %v", info, err)
		}
	}
}

// clearWrapper wraps keys that it is given: in the plainest way, for a test.
type clearWrapper struct {
	kms.Wrapper

	seen [][]byte
}

func (c *clearWrapper) Wrap(_ context.Context, kek string, plain []byte, _ kms.EncryptionContext) ([]byte, error) {
	if strings.Contains(kek, "denied") {
		return nil, kms.ErrDenied
	}
	c.seen = append(c.seen, plain)
	return append([]byte(kek), plain...), nil
}

func (c *clearWrapper) Unwrap(_ context.Context, kek string, wrapped []byte, _ kms.EncryptionContext) ([]byte, error) {
	return bytes.Clone(wrapped[len(kek):]), nil
}

func TestKeysInClearAreWiped(t *testing.T) {
	s, w := newKMS(), new(clearWrapper)
	_, block := s.block(t, kekA, "acme")
	next, err := keyops.RewrapBlock(t.Context(), block, keyops.KeysInClearHere(s, w), kekA, "other:x", w)
	if err != nil || !datakey.SameKey(block, next) {
		t.Fatal(err)
	}
	if len(w.seen) != 1 || !bytes.Equal(w.seen[0], make([]byte, kms.DataKeySize)) {
		t.Error("the key stays in memory")
	}
	if _, err := keyops.RewrapBlock(t.Context(), block, keyops.KeysInClearHere(s, w), kekA, "other:denied", nil); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("%v", err)
	}
}
