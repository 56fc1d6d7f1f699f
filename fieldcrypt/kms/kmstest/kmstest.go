// Package kmstest is for tests of what uses a key management service and of
// what implements one: [Run] is the suite that every [kms.Wrapper] must pass,
// [Fake] a KMS in memory that fails, waits and lies as a test tells it to.
// [VaultServer] speaks the protocol of a service, for tests with a real client.
//
// It promises that the fake wraps with a real cipher, so that a wrong key, a
// wrong KEK or a wrong encryption context fails in a test as it fails at a
// service. It links package testing and is of no use outside of tests.
package kmstest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing" //nolint:depguard // this package is made for users' tests

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An Option changes what [Run] expects.
type Option func(*config)

type config struct {
	unknown  string
	onDemand bool
	joined   bool
}

// WithUnknownKEK names a KEK that the provider understands and that does not
// exist. The default is the first KEK's URI with "-unknown" at its end.
func WithUnknownKEK(uri string) Option { return func(c *config) { c.unknown = uri } }

// WithKEKsOnDemand is for a provider that makes a KEK when it is first asked to
// generate under it: only Unwrap is then expected to refuse an unknown one. By
// default both are.
func WithKEKsOnDemand() Option { return func(c *config) { c.onDemand = true } }

// WithJoinedContext is for a service that joins the names and values of an
// encryption context without their lengths, as emulators do: a context whose
// letters are the same in another division is then not expected to be refused.
// By default it is, and no service for real data may do without.
func WithJoinedContext() Option { return func(c *config) { c.joined = true } }

// Run checks that a provider keeps the contract of [kms.Wrapper]. It calls open
// for every check; open returns a Wrapper and the URIs of two KEKs that exist
// and are not the same. It may return the same Wrapper each time.
//
// A run makes some 120 calls, so it also suits a real service.
func Run(t *testing.T, open func(t *testing.T) (w kms.Wrapper, kek, otherKEK string), opts ...Option) {
	t.Helper()
	var cfg config
	for _, o := range opts {
		o(&cfg)
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			w, kek, other := open(t)
			s := subject{Wrapper: w, kek: kek, other: other, unknown: cfg.unknown, onDemand: cfg.onDemand, joined: cfg.joined}
			if s.unknown == "" {
				s.unknown = kek + "-unknown"
			}
			if err := c.run(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

// A subject is what a check looks at.
type subject struct {
	kms.Wrapper

	kek, other, unknown string
	onDemand, joined    bool
}

// A check returns what is wrong, rather than failing a test, so that the tests
// of this package can show that it finds something.
type check struct {
	name string
	run  func(ctx context.Context, s subject) error
}

//nolint:gochecknoglobals // a table that nothing changes
var checks = []check{
	{"a generated key opens again", checkRoundTrip},
	{"a key stays with its caller", checkOwnership},
	{"no two keys are equal", checkFresh},
	{"another encryption context is refused", checkContext},
	{"a changed wrapped key is refused", checkChanged},
	{"a cut or extended wrapped key is refused", checkCut},
	{"another KEK is refused", checkOtherKEK},
	{"an unknown KEK is not found", checkUnknownKEK},
	{"a URI of another scheme is refused", checkForeignURI},
	{"an ended context ends the call", checkEndedContext},
	{"concurrent calls do not mix", checkConcurrent},
}

// maxWrapped is what a key block has room for beside the names.
const maxWrapped = 12 << 10

// contextOf is the encryption context of a tenant's data keys.
func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func generate(ctx context.Context, s subject, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	plain, wrapped, err = s.Generate(ctx, kek, ec)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("Generate: %w", err)
	case len(plain) != kms.DataKeySize:
		return nil, nil, fmt.Errorf("Generate returned a key of %d bytes, want %d", len(plain), kms.DataKeySize)
	case len(wrapped) == 0:
		return nil, nil, errors.New("Generate returned an empty wrapped key")
	case len(wrapped) > maxWrapped:
		return nil, nil, fmt.Errorf("Generate returned a wrapped key of %d bytes, which no key block has room for", len(wrapped))
	case bytes.Contains(wrapped, plain):
		return nil, nil, errors.New("the wrapped key holds the key in clear")
	case bytes.Equal(plain, make([]byte, len(plain))):
		return nil, nil, errors.New("Generate returned a key of zeros")
	}
	return plain, wrapped, nil
}

// opens checks that wrapped unwraps to plain.
func opens(ctx context.Context, s subject, kek string, wrapped []byte, ec kms.EncryptionContext, plain []byte) error {
	got, err := s.Unwrap(ctx, kek, wrapped, ec)
	if err != nil {
		return fmt.Errorf("Unwrap: %w", err)
	}
	if !bytes.Equal(got, plain) {
		return errors.New("Unwrap returned another key than Generate")
	}
	return nil
}

// refused checks that Unwrap fails, with one of the classes, and shows nothing
// of the key plain.
func refused(ctx context.Context, s subject, what, kek string, wrapped []byte, ec kms.EncryptionContext, plain []byte, classes ...error) error {
	got, err := s.Unwrap(ctx, kek, wrapped, ec)
	if err == nil {
		return fmt.Errorf("Unwrap accepted %s", what)
	}
	if got != nil {
		return fmt.Errorf("Unwrap of %s returned an error and also %d bytes", what, len(got))
	}
	return classified("Unwrap of "+what, err, plain, classes...)
}

func classified(what string, err error, plain []byte, classes ...error) error {
	if len(plain) > 0 {
		shown := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, form := range []string{
			string(plain), hex.EncodeToString(plain), strings.ToUpper(hex.EncodeToString(plain)),
			base64.StdEncoding.EncodeToString(plain), base64.RawURLEncoding.EncodeToString(plain),
			strings.Trim(fmt.Sprintf("%d", plain), "[]"),
		} {
			if strings.Contains(shown, form) {
				return fmt.Errorf("%s: the error holds the key", what)
			}
		}
	}
	for _, class := range classes {
		if errors.Is(err, class) {
			return nil
		}
	}
	return fmt.Errorf("%s: the error is of none of the classes %q: %w", what, classes, err)
}

func checkRoundTrip(ctx context.Context, s subject) error {
	for _, ec := range []kms.EncryptionContext{
		{"fieldveil:purpose": "data-key"},
		contextOf("acme"),
		contextOf("acme GmbH/eu-1:prod"),
	} {
		plain, wrapped, err := generate(ctx, s, s.kek, ec)
		if err != nil {
			return err
		}
		// Twice: an unwrapped key is no used one.
		for range 2 {
			if err := opens(ctx, s, s.kek, wrapped, ec, plain); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOwnership overwrites all that it was given, as the contract allows it.
func checkOwnership(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	want, keep, pairs := bytes.Clone(plain), bytes.Clone(wrapped), maps.Clone(ec)
	clear(plain)
	again, err := s.Unwrap(ctx, s.kek, wrapped, ec)
	if err != nil {
		return fmt.Errorf("Unwrap after the key was wiped: %w", err)
	}
	if !bytes.Equal(again, want) {
		return errors.New("wiping the key that Generate returned changed what Unwrap returns")
	}
	if !bytes.Equal(wrapped, keep) || !maps.Equal(ec, pairs) {
		return errors.New("Unwrap changed what it was given")
	}
	clear(again)
	clear(wrapped)
	clear(ec)
	return opens(ctx, s, s.kek, keep, pairs, want)
}

func checkFresh(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plains, wrappeds := map[string]bool{}, map[string]bool{}
	for range 4 {
		plain, wrapped, err := generate(ctx, s, s.kek, ec)
		if err != nil {
			return err
		}
		if plains[string(plain)] || wrappeds[string(wrapped)] {
			return errors.New("Generate returned the same key twice")
		}
		plains[string(plain)], wrappeds[string(wrapped)] = true, true
	}
	return nil
}

func checkContext(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	with := func(k, v string) kms.EncryptionContext {
		changed := maps.Clone(ec)
		changed[k] = v
		return changed
	}
	for _, other := range []struct {
		what string
		ec   kms.EncryptionContext
	}{
		{"a context with a changed value", with("fieldveil:tenant", "other")},
		{"a context with a value that is a prefix", with("fieldveil:tenant", "acm")},
		{"a context with a value in other letters", with("fieldveil:tenant", "Acme")},
		{"a context with an extra pair", with("extra", "pair")},
		{"a context with a missing pair", kms.EncryptionContext{"fieldveil:purpose": "data-key"}},
		{"a context with a changed name", kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenanu": "acme"}},
		{"a context with two values swapped", kms.EncryptionContext{"fieldveil:purpose": "acme", "fieldveil:tenant": "data-key"}},
	} {
		if err := refused(ctx, s, other.what, s.kek, wrapped, other.ec, plain, kms.ErrCorrupt, kms.ErrDenied); err != nil {
			return err
		}
	}
	if !s.joined {
		moved := kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenanta": "cme"}
		if err := refused(ctx, s, "a context with a letter moved from value to name", s.kek, wrapped, moved, plain, kms.ErrCorrupt, kms.ErrDenied); err != nil {
			return err
		}
	}
	// A service may also call a request without any context a wrong one.
	return refused(ctx, s, "no context at all", s.kek, wrapped, nil, plain, kms.ErrCorrupt, kms.ErrDenied, kms.ErrInvalid)
}

func checkChanged(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	// The ends and 16 places between them: a call may cost money.
	step := max(1, len(wrapped)/16)
	places := []int{len(wrapped) - 1}
	for i := 0; i < len(wrapped)-1; i += step {
		places = append(places, i)
	}
	for _, i := range places {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 1
		what := fmt.Sprintf("a wrapped key changed at byte %d", i)
		if err := refused(ctx, s, what, s.kek, changed, ec, plain, kms.ErrCorrupt, kms.ErrDenied); err != nil {
			return err
		}
	}
	return opens(ctx, s, s.kek, wrapped, ec, plain)
}

func checkCut(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	for _, n := range []int{0, 1, len(wrapped) / 2, len(wrapped) - 1} {
		what := fmt.Sprintf("a wrapped key cut to %d bytes", n)
		// A service may call an empty or odd request a wrong one.
		if err := refused(ctx, s, what, s.kek, wrapped[:n:n], ec, plain, kms.ErrCorrupt, kms.ErrDenied, kms.ErrInvalid); err != nil {
			return err
		}
	}
	longer := append(bytes.Clone(wrapped), 'A')
	return refused(ctx, s, "a wrapped key with a byte more", s.kek, longer, ec, plain, kms.ErrCorrupt, kms.ErrDenied, kms.ErrInvalid)
}

func checkOtherKEK(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	// The other KEK must be there, or the refusal says nothing.
	otherPlain, otherWrapped, err := generate(ctx, s, s.other, ec)
	if err != nil {
		return fmt.Errorf("the other KEK: %w", err)
	}
	if bytes.Equal(plain, otherPlain) {
		return errors.New("two KEKs generated the same key")
	}
	if err := refused(ctx, s, "a key of the first KEK under the other", s.other, wrapped, ec, plain, kms.ErrCorrupt, kms.ErrDenied); err != nil {
		return err
	}
	return refused(ctx, s, "a key of the other KEK under the first", s.kek, otherWrapped, ec, otherPlain, kms.ErrCorrupt, kms.ErrDenied)
}

func checkUnknownKEK(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	if err := refused(ctx, s, "a key under an unknown KEK", s.unknown, wrapped, ec, plain, kms.ErrNotFound); err != nil {
		return err
	}
	if s.onDemand {
		return nil
	}
	p, w, err := s.Generate(ctx, s.unknown, ec)
	if err == nil {
		return errors.New("Generate made a key under an unknown KEK")
	}
	if p != nil || w != nil {
		return errors.New("Generate returned an error and also a key")
	}
	return classified("Generate under an unknown KEK", err, nil, kms.ErrNotFound)
}

func checkForeignURI(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	for _, uri := range []string{"", "no-such-provider:x", ":x"} {
		if _, _, err := s.Generate(ctx, uri, ec); err == nil {
			return fmt.Errorf("Generate accepted the KEK %q", uri)
		} else if err := classified(fmt.Sprintf("Generate under %q", uri), err, nil, kms.ErrInvalid, kms.ErrNotFound); err != nil {
			return err
		}
		if err := refused(ctx, s, fmt.Sprintf("a key under the KEK %q", uri), uri, wrapped, ec, plain, kms.ErrInvalid, kms.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

func checkEndedContext(ctx context.Context, s subject) error {
	ec := contextOf("acme")
	plain, wrapped, err := generate(ctx, s, s.kek, ec)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	p, w, err := s.Generate(ended, s.kek, ec)
	if err == nil {
		return errors.New("Generate ignored that its context was cancelled")
	}
	if p != nil || w != nil {
		return errors.New("Generate returned an error and also a key")
	}
	if err := classified("Generate with a cancelled context", err, nil, context.Canceled, kms.ErrUnavailable); err != nil {
		return err
	}
	if err := refused(ended, s, "a key with a cancelled context", s.kek, wrapped, ec, plain, context.Canceled, kms.ErrUnavailable); err != nil {
		return err
	}
	late, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	<-late.Done()
	return refused(late, s, "a key after the deadline", s.kek, wrapped, ec, plain, context.DeadlineExceeded, kms.ErrUnavailable)
}

func checkConcurrent(ctx context.Context, s subject) error {
	const workers, rounds = 8, 2
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			ec, kek := contextOf(fmt.Sprintf("tenant-%d", i)), s.kek
			if i%2 == 1 {
				kek = s.other
			}
			for range rounds {
				plain, wrapped, err := generate(ctx, s, kek, ec)
				if err == nil {
					err = opens(ctx, s, kek, wrapped, ec, plain)
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
