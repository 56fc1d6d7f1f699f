package fieldcrypt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

var errWarmTenants = errors.New("the policy takes tenants from the records: Warm needs their names")

// Warm gets all keys that the policy names, before the first record needs them,
// and keeps them warm: see [datakey.Cache.Warm], which says when it returns.
// tenants are those whose keys are needed; without any it is the tenant that the
// policy fixes, or nobody in particular. The error is an [*Error], retryable
// when the KMS may answer later: then the keys are still asked for in the
// background, and Ready tells when they are there.
func (e *Engine) Warm(ctx context.Context, tenants ...string) error {
	doc := &e.policy.doc
	if len(tenants) == 0 {
		if doc.tenant.required && doc.tenant.fixed == "" {
			return &Error{Op: opWarm, Code: CodeTenant, Err: errWarmTenants}
		}
		tenants = []string{doc.tenant.fixed}
	}
	var scopes []datakey.ScopeSpec
	var domains []datakey.DomainSpec
	for _, tenant := range tenants {
		for _, name := range slices.Sorted(maps.Keys(doc.keys)) {
			spec := scopeSpec(doc.keys[name])
			spec.Tenant = tenant
			var err error
			if spec.KEKs, err = keksOf(spec.KEKs, tenant); err != nil {
				return &Error{Op: opWarm, Code: CodeTenant, Err: err}
			}
			scopes = append(scopes, spec)
		}
		for _, name := range slices.Sorted(maps.Keys(doc.domainKeys)) {
			k := doc.domainKeys[name]
			spec := datakey.DomainSpec{Name: k.name, Tenant: tenant, KEKs: append([]string{k.kek}, k.also...)}
			for _, block := range k.blocks {
				if kb, err := envelope.ParseKeyBlock(block); err == nil && kb.Tenant == tenant {
					spec.Blocks = append(spec.Blocks, block)
				}
			}
			// A tenant without a version of a key has no records that need it.
			if len(spec.Blocks) > 0 {
				var err error
				if spec.KEKs, err = keksOf(spec.KEKs, tenant); err != nil {
					return &Error{Op: opWarm, Code: CodeTenant, Err: err}
				}
				domains = append(domains, spec)
			}
		}
	}
	err := errors.Join(e.keys.Warm(ctx, scopes...), e.keys.WarmDomains(ctx, domains...))
	if err == nil {
		return nil
	}
	code := codeOf(err)
	if errors.Is(err, datakey.ErrUnavailable) && !errors.Is(err, datakey.ErrUnusable) {
		code = CodeKeyUnavailable
	}
	return &Error{Op: opWarm, Code: code, Err: fmt.Errorf("keys of the policy: %w", err)}
}

// Ready returns nil when the keys that are kept warm are there: see
// [datakey.Cache.Ready], whose answer it is, about all engines of the cache.
func (e *Engine) Ready() error { return e.keys.Ready() }

const opWarm = "warm"
