package kms

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Mux is a Wrapper that picks the provider by the scheme of the KEK's URI, the
// part before the first colon. A program lists in it what it is built with. It
// must not be changed once it is in use.
type Mux map[string]Wrapper

// Generate calls the provider of kek's scheme.
func (m Mux) Generate(ctx context.Context, kek string, ec EncryptionContext) (plain, wrapped []byte, err error) {
	w, err := m.provider(kek)
	if err != nil {
		return nil, nil, err
	}
	return w.Generate(ctx, kek, ec)
}

// Unwrap calls the provider of kek's scheme.
func (m Mux) Unwrap(ctx context.Context, kek string, wrapped []byte, ec EncryptionContext) ([]byte, error) {
	w, err := m.provider(kek)
	if err != nil {
		return nil, err
	}
	return w.Unwrap(ctx, kek, wrapped, ec)
}

// ReEncrypt calls the provider of the scheme that both KEKs have. It fails with
// [ErrInvalid] when they have two schemes, or the provider is no [ReEncrypter]:
// moving a key then means to have it in clear, which is for the caller to decide.
func (m Mux) ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec EncryptionContext) ([]byte, error) {
	w, err := m.provider(from)
	if err != nil {
		return nil, err
	}
	scheme, _, _ := strings.Cut(from, ":")
	if other, _, _ := strings.Cut(to, ":"); other != scheme {
		return nil, fmt.Errorf("kms: no service re-encrypts from %q to %q: %w", scheme, other, ErrInvalid)
	}
	r, ok := w.(ReEncrypter)
	if !ok {
		return nil, fmt.Errorf("kms: the provider of %q cannot re-encrypt: %w", scheme, ErrInvalid)
	}
	return r.ReEncrypt(ctx, from, to, wrapped, ec)
}

func (m Mux) provider(kek string) (Wrapper, error) {
	scheme, _, ok := strings.Cut(kek, ":")
	if !ok {
		return nil, fmt.Errorf("kms: KEK URI without a scheme: %w", ErrInvalid)
	}
	w, ok := m[scheme]
	if !ok || w == nil {
		return nil, fmt.Errorf("kms: no provider for scheme %q, this program has %q: %w",
			scheme, slices.Sorted(maps.Keys(m)), ErrInvalid)
	}
	return w, nil
}
