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
