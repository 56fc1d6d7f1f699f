// Package keystoretest is for tests of what keeps keys: [RunCatalog] is the
// suite that every [datakey.Catalog] must pass, [RunShred] that of every
// [shred.Store] and [RunLedger] that of every [shred.Ledger].
//
// It promises that the suites find an implementation that breaks a sentence of
// those interfaces: two keys for one person, a key of somebody who was
// forgotten, a mark that goes back, a ledger with a gap. Where an interface says
// nothing, such as about a block that is put under an id that has another one,
// the suites ask for no more than that nothing is lost. They cannot see whether
// something is on the disk: for that [CrashShred] and [CrashLedger] kill a process
// that writes, and look at what is left.
//
// It links package testing and is of no use outside of tests.
package keystoretest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing" //nolint:depguard // this package is made for users' tests

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// RunCatalog checks that a catalog keeps the contract of [datakey.Catalog].
//
// It calls open for every check. Each time open returns a new empty catalog, as
// one handle or more: several stand for processes that share it, and what one
// of them did, the others must see. It closes what it opened by t.Cleanup.
func RunCatalog(t *testing.T, open func(t *testing.T) []datakey.Catalog) {
	t.Helper()
	run(t, open, catalogChecks())
}

// RunShred checks that a store keeps the contract of [shred.Store]. It calls
// open as [RunCatalog] does.
//
// Of a new row it asks that the person decides first: his tombstone, then his
// row, and only then whether the key id is taken.
func RunShred(t *testing.T, open func(t *testing.T) []shred.Store) {
	t.Helper()
	run(t, open, shredChecks())
}

// RunLedger checks that a ledger keeps the contract of [shred.Ledger]. It calls
// open as [RunCatalog] does.
func RunLedger(t *testing.T, open func(t *testing.T) []shred.Ledger) {
	t.Helper()
	run(t, open, ledgerChecks())
}

// A check returns what is wrong, rather than failing a test, so that the tests
// of this package can show that it finds something. It is given the handles of
// one empty store.
type check[S any] struct {
	name string
	run  func(ctx context.Context, h handles[S]) error
}

// handles are those of one store, as of several processes.
type handles[S any] []S

// first returns a handle.
func (h handles[S]) first() S { return h[0] }

// other returns another handle than first where there is one.
func (h handles[S]) other() S { return h[len(h)-1] }

// at returns one handle after the other.
func (h handles[S]) at(i int) S { return h[i%len(h)] }

func run[S any](t *testing.T, open func(t *testing.T) []S, checks []check[S]) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if len(h) == 0 {
				t.Fatal("open returned no handle")
			}
			if err := c.run(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
}

// racers is how many callers race.
const racers = 100

// race calls f in so many goroutines at a time, and returns their errors.
func race(n int, f func(i int) error) error {
	start, errs := make(chan struct{}), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(errs...)
}

// ended returns a context that has ended.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// endedWell tells what is wrong with what a call returned whose context had
// ended: it may have done its work, and must not say anything about the store.
func endedWell(what string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return faultf("%s with an ended context fails with another error than the context's: %w", what, err)
}

// want tells what is wrong with an error that was to be target, or none.
func want(what string, err, target error) error {
	switch {
	case target == nil && err != nil:
		return faultf("%s: %w", what, err)
	case target != nil && err == nil:
		return faultf("%s succeeded, want: %w", what, target)
	case !errors.Is(err, target):
		return faultf("%s failed with %q, want: %w", what, err, target)
	}
	return nil
}

// silent tells whether the text of an error shows a secret: as it is, in hex,
// in base64 or as numbers.
func silent(what string, err error, secret []byte) error {
	if err == nil {
		return faultf("%s succeeded: there is no error to look at", what)
	}
	const part = 12 // of the secret, in bytes: more than chance has in common
	text := err.Error()
	for i := range len(secret) - part + 1 { // base64 may begin at any of three bytes
		p := secret[i : i+part]
		numbers := strings.Trim(fmt.Sprintf("%d", p), "[]")
		for form, s := range map[string]string{
			"as it is": string(p), "in hex": hex.EncodeToString(p), "in base64": base64.RawStdEncoding.EncodeToString(p),
			"in base64url": base64.RawURLEncoding.EncodeToString(p), "as numbers": numbers,
		} {
			if strings.Contains(text, s) || strings.Contains(text, strings.ToUpper(s)) {
				return faultf("the error of %s shows what it was given, %s", what, form)
			}
		}
	}
	return nil
}

// draw returns n random bytes.
func draw(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// faultf says what is wrong. Most of it begins with the name of a method.
func faultf(format string, args ...any) error { return fmt.Errorf(format, args...) }
