package kmstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// An Op is one of the two calls of a [kms.Wrapper].
type Op string

// The calls.
const (
	OpGenerate Op = "generate"
	OpUnwrap   Op = "unwrap"
)

// A Fault is a way in which an answer without an error is wrong.
type Fault int

// The faults. One that does not apply to a call, such as EmptyWrapped to
// Unwrap, leaves it sound.
const (
	// Sound is no fault.
	Sound Fault = iota
	// WrongPlain answers with another key than the wrapped one: values sealed
	// with it can never be opened.
	WrongPlain
	// ShortPlain answers with a key of 31 bytes.
	ShortPlain
	// LongPlain answers with a key of 33 bytes, the right ones first.
	LongPlain
	// EmptyPlain answers with no key.
	EmptyPlain
	// EmptyWrapped generates no wrapped key.
	EmptyWrapped
	// WrongWrapped generates a wrapped key that was changed, so that it never
	// opens.
	WrongWrapped
	// HugeWrapped generates a wrapped key of 64 KiB, more than a key block
	// holds. It does not open.
	HugeWrapped
)

const hugeWrapped = 64 << 10

// maxHandedOut bounds how many keys a Fake remembers.
const maxHandedOut = 1024

// A Fake is a KMS in memory for tests. It wraps with AES-256-GCM and the
// encryption context as additional data, so it refuses what a service refuses.
// Its KEKs are random: what one Fake wrapped, no other opens.
//
// The zero value is ready, and makes a KEK for each URI that is generated
// under. A Fake is safe for concurrent use, and may be changed while calls are
// under way.
type Fake struct {
	mu sync.Mutex // guards all below, and is not held while hook runs

	fixed     bool // no other KEKs than these
	keks      map[string]*aead.GCM
	hook      func(ctx context.Context, op Op, kek string) error
	failure   error
	failNext  int
	nextError error
	faults    map[Op]Fault
	calls     map[Op]int
	handedOut [][]byte
}

var _ kms.Wrapper = (*Fake)(nil)

// NewFake returns a Fake that has KEKs of these URIs and no others; without
// any, one for each URI that is generated under.
func NewFake(keks ...string) *Fake {
	f := &Fake{fixed: len(keks) > 0}
	for _, kek := range keks {
		f.add(kek)
	}
	return f
}

// Hook has h called at the beginning of each call, after it was counted and
// without any lock held. h may block, look at or wait for ctx, and fail the
// call by an error. Nil, the default, takes it away.
func (f *Fake) Hook(h func(ctx context.Context, op Op, kek string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = h
}

// Fail fails every call with err from now on; nil ends it.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

// FailNext fails the next n calls with err, before Fail applies. A later
// FailNext takes the place of an earlier one.
func (f *Fake) FailNext(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failNext, f.nextError = n, err
}

// Corrupt gives every answer to op that fault from now on; Sound ends it.
func (f *Fake) Corrupt(op Op, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.faults == nil {
		f.faults = map[Op]Fault{}
	}
	f.faults[op] = fault
}

// Forget deletes a KEK, as its owner may: what it wrapped never opens again,
// even if a Fake that makes KEKs on demand makes one of that URI anew.
func (f *Fake) Forget(kek string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keks, kek)
}

// Calls returns how often op was called, refused and failed calls included.
func (f *Fake) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// HandedOut returns the keys in clear that the Fake returned, oldest first and
// at most the last 1024: not copies but the very slices, so that a test sees
// whether its program wiped them. Look at them only after the program is done
// with them; anything else is a data race.
func (f *Fake) HandedOut() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.handedOut)
}

// Generate returns a new data key, unless the Fake was told otherwise. Under a
// KEK that it has not, it fails with kms.ErrNotFound; under the URI that is
// empty or has no scheme, with kms.ErrInvalid.
func (f *Fake) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if err := f.begin(ctx, OpGenerate, kek); err != nil {
		return nil, nil, err
	}
	aad, err := ec.AppendCanonical(nil)
	if err != nil {
		return nil, nil, err
	}
	c, err := f.cipher(OpGenerate, kek)
	if err != nil {
		return nil, nil, err
	}
	plain = make([]byte, kms.DataKeySize)
	_, _ = rand.Read(plain) // never fails
	var nonces aead.Nonces
	wrapped, err = c.Seal(nil, plain, aad, &nonces)
	if err != nil {
		return nil, nil, fmt.Errorf("kmstest: %w", err)
	}
	plain, wrapped = f.answer(OpGenerate, plain, wrapped)
	return plain, wrapped, nil
}

// Unwrap returns the data key, unless the Fake was told otherwise.
func (f *Fake) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if err := f.begin(ctx, OpUnwrap, kek); err != nil {
		return nil, err
	}
	aad, err := ec.AppendCanonical(nil)
	if err != nil {
		return nil, err
	}
	c, err := f.cipher(OpUnwrap, kek)
	if err != nil {
		return nil, err
	}
	plain, err := c.Open(nil, wrapped, aad)
	if err != nil {
		return nil, fmt.Errorf("kmstest: unwrap under %q: %w", kek, kms.ErrCorrupt)
	}
	plain, _ = f.answer(OpUnwrap, plain, nil)
	return plain, nil
}

// begin counts a call and returns the error that it was told to fail with.
func (f *Fake) begin(ctx context.Context, op Op, kek string) error {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[Op]int{}
	}
	f.calls[op]++
	hook := f.hook
	f.mu.Unlock()

	if hook != nil {
		if err := hook(ctx, op, kek); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("kmstest: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failNext > 0 {
		f.failNext--
		return f.nextError
	}
	return f.failure
}

// cipher returns the KEK of a URI.
func (f *Fake) cipher(op Op, kek string) (*aead.GCM, error) {
	if !hasScheme(kek) {
		return nil, fmt.Errorf("kmstest: KEK URI without a scheme: %w", kms.ErrInvalid)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.keks[kek]
	if !ok && op == OpGenerate && !f.fixed {
		f.add(kek)
		c, ok = f.keks[kek]
	}
	if !ok {
		return nil, fmt.Errorf("kmstest: %q: %w", kek, kms.ErrNotFound)
	}
	return c, nil
}

// add makes a KEK. The caller holds mu.
func (f *Fake) add(kek string) {
	key := make([]byte, aead.KeySize)
	_, _ = rand.Read(key) // never fails
	defer secret.Wipe(key)
	c, err := aead.NewGCM(secret.Take(key))
	if err != nil {
		panic("kmstest: " + err.Error()) //nolint:forbidigo // the size of the key is right
	}
	if f.keks == nil {
		f.keks = map[string]*aead.GCM{}
	}
	f.keks[kek] = c
}

func hasScheme(kek string) bool { return strings.IndexByte(kek, ':') > 0 }

// answer gives a sound answer the fault that op is told to have, and remembers
// the key that goes out.
func (f *Fake) answer(op Op, plain, wrapped []byte) (p, w []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	plain, wrapped = f.faults[op].apply(plain, wrapped)
	if len(plain) == 0 {
		return plain, wrapped
	}
	if len(f.handedOut) == maxHandedOut {
		f.handedOut = slices.Delete(f.handedOut, 0, 1)
	}
	f.handedOut = append(f.handedOut, plain)
	return plain, wrapped
}

// apply gives a sound answer the fault.
func (fault Fault) apply(plain, wrapped []byte) (p, w []byte) {
	switch fault {
	case Sound:
	case WrongPlain:
		_, _ = rand.Read(plain) // never fails
	case ShortPlain:
		plain = plain[:max(0, len(plain)-1)]
	case LongPlain:
		plain = append(plain, 0)
	case EmptyPlain:
		plain = nil
	case EmptyWrapped:
		wrapped = nil
	case WrongWrapped:
		if len(wrapped) > 0 {
			wrapped[len(wrapped)-1] ^= 1
		}
	case HugeWrapped:
		wrapped = append(wrapped, make([]byte, hugeWrapped-len(wrapped))...)
	}
	return plain, wrapped
}
