package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// Services lists the key management services that the sidecar is built with, by
// the schemes of their KEKs. The KEKs are those that a person or a policy has
// named: of Azure, only their vaults are ever called. With cleartext, the keysets
// of Tink need not be wrapped.
func Services(cleartext bool, keks ...string) (kms.Mux, error) {
	services := kms.Mux{
		localkms.Scheme: localkms.New(),
		awskms.Scheme:   onDemand(func(ctx context.Context) (kms.Wrapper, error) { return awskms.New(ctx) }),
		gcpkms.Scheme:   onDemand(func(ctx context.Context) (kms.Wrapper, error) { return gcpkms.New(ctx) }),
		vaultkms.Scheme: onDemand(openVault),
	}
	return services, errors.Join(addAzure(services, keks...), addTink(services, cleartext))
}

// PolicyKEKs returns the KEKs that a policy names. Those of tenants are not among
// them: a template names no KEK.
func PolicyKEKs(p *fieldcrypt.Policy) []string {
	var keks []string
	for _, k := range p.Keys() {
		for _, kek := range append(k.Also, k.KEK) {
			if !strings.Contains(kek, "{tenant}") {
				keks = append(keks, kek)
			}
		}
	}
	return keks
}

// onDemand returns a provider that is set up when a KEK of it is first used: a
// machine without credentials for a cloud has no KEK there either.
func onDemand(open func(context.Context) (kms.Wrapper, error)) kms.Wrapper {
	return &lateProvider{open: open}
}

// A lateProvider sets a provider up once, and tries again while that fails.
type lateProvider struct {
	open func(context.Context) (kms.Wrapper, error)

	mu sync.Mutex // guards w
	w  kms.Wrapper
}

var _ kms.ReEncrypter = (*lateProvider)(nil)

func (l *lateProvider) provider(ctx context.Context) (kms.Wrapper, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w != nil {
		return l.w, nil
	}
	w, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	l.w = w
	return w, nil
}

// Generate calls the provider.
func (l *lateProvider) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	w, err := l.provider(ctx)
	if err != nil {
		return nil, nil, err
	}
	return w.Generate(ctx, kek, ec)
}

// Unwrap calls the provider.
func (l *lateProvider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	w, err := l.provider(ctx)
	if err != nil {
		return nil, err
	}
	return w.Unwrap(ctx, kek, wrapped, ec)
}

// ReEncrypt calls the provider, if its service can do it.
func (l *lateProvider) ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	w, err := l.provider(ctx)
	if err != nil {
		return nil, err
	}
	r, ok := w.(kms.ReEncrypter)
	if !ok {
		return nil, fmt.Errorf("the service of this KEK cannot re-encrypt: %w", kms.ErrInvalid)
	}
	return r.ReEncrypt(ctx, from, to, wrapped, ec)
}
