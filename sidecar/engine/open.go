package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/tagmemory"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/boltvault"
	"github.com/fieldveil/fieldveil/tokenize/dynamovault"
	"github.com/fieldveil/fieldveil/tokenize/pgvault"
	"github.com/fieldveil/fieldveil/tokenize/redisvault"
)

// Deps are what a Base is given, beside its configuration.
type Deps struct {
	// Kafka reaches the cluster of the key topic.
	Kafka []kgo.Opt
	// KMS wraps data keys. Nil for the services that the KEKs of the policy name.
	KMS kms.Wrapper
	// Observer is told what happens to data keys, or nil.
	Observer datakey.Observer
	// Audit writes down who gets values for tokens, and Authorize decides. Nil
	// for nobody.
	Audit     tokenize.Audit
	Authorize tokenize.Authorizer
	// Tenant refuses records of tenants for which the caller may not write, or
	// read when he asks to reveal, or nil.
	Tenant func(ctx context.Context, topic, tenant string) error
}

// A Base is what engines stand on. It is safe for concurrent use.
type Base struct {
	cfg    Config
	deps   Deps
	store  datakey.Store // nil for none
	client *registry.Client
	vaults map[string]*tokenize.Vault

	opening chan struct{} // full while somebody opens keys

	mu     sync.Mutex  // never held while something is waited for
	ends   []func()    // what Close does, the last first
	shared *sharedKeys // those of the newest engine
	closed bool
}

var errClosed = errors.New("engine: closed")

// Open opens what the configuration names. It waits, until ctx ends, for stores
// that have to be read first. The errors hold no URL and no secret.
func Open(ctx context.Context, cfg Config, deps Deps) (*Base, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Base{cfg: cfg, deps: deps, vaults: make(map[string]*tokenize.Vault), opening: make(chan struct{}, 1)}
	err := b.openSchemas()
	if err == nil {
		err = b.openStore(ctx)
	}
	if err == nil {
		err = b.openVaults(ctx)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close closes what was opened. Engines are closed before.
func (b *Base) Close() {
	b.mu.Lock()
	ends := b.ends
	b.ends, b.closed = nil, true
	b.mu.Unlock()
	for _, end := range slices.Backward(ends) {
		end()
	}
}

// Registry returns the client of the schema registry, nil without one.
func (b *Base) Registry() *registry.Client { return b.client }

func (b *Base) atEnd(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ends = append(b.ends, f)
}

func (b *Base) openStore(ctx context.Context) error {
	switch s := b.cfg.Keys.Store; {
	case s.Kafka != nil:
		topic := s.Kafka.Topic
		if topic == "" {
			topic = kgocrypt.DefaultKeyTopic
		}
		var opts []kgocrypt.KeyTopicOption
		if !s.Kafka.Create {
			opts = append(opts, kgocrypt.WithoutCreate())
		}
		if s.Kafka.Replication > 0 {
			opts = append(opts, kgocrypt.WithReplication(s.Kafka.Replication))
		}
		k, err := kgocrypt.OpenKeyTopic(ctx, topic, b.deps.Kafka, opts...)
		if err != nil {
			return fmt.Errorf("keys.store.kafka: %w", err)
		}
		b.store = k
		b.atEnd(k.Close)
	case s.Bolt != "":
		k, err := boltstore.Open(s.Bolt)
		if err != nil {
			return fmt.Errorf("keys.store.bolt: %w", err)
		}
		b.store = k
		b.atEnd(func() { _ = k.Close() }) // all was synced
	case s.Postgres.IsSet():
		url, err := s.Postgres.Read()
		if err != nil {
			return fmt.Errorf("keys.store.postgres: %w", err)
		}
		pool, err := openPool(ctx, string(url), errURL)
		if err != nil {
			return fmt.Errorf("keys.store.postgres: %w", err)
		}
		b.atEnd(pool.Close)
		k, err := pgstore.New(pool)
		if err == nil {
			err = k.Check(ctx)
		}
		if err != nil {
			return fmt.Errorf("keys.store.postgres: %w", err)
		}
		b.store = k
	}
	return nil
}

func (b *Base) openVaults(ctx context.Context) error {
	gate, err := b.gate()
	if err != nil {
		return err
	}
	for name, cfg := range b.cfg.Vaults {
		store, end, err := openVaultStore(ctx, cfg)
		if err != nil {
			return fmt.Errorf("vaults.%s: %w", name, err)
		}
		b.atEnd(end)
		b.vaults[name] = tokenize.NewVault(store, tokenize.WithGate(gate))
	}
	return nil
}

// gate returns what stands before values for tokens.
func (b *Base) gate() (*tokenize.Gate, error) {
	audit, authorize := b.deps.Audit, b.deps.Authorize
	if audit == nil || authorize == nil {
		audit, authorize = noAudit{}, func(context.Context, tokenize.Request) error { return errNobody }
	}
	d := b.cfg.Detokenize
	return tokenize.NewGate(audit, authorize, tokenize.WithBulk(d.BulkAbove, nil), tokenize.WithVolume(d.Values, d.Per))
}

var errNobody = errors.New("this sidecar gives nobody values for tokens")

// noAudit writes nothing down, where nothing can be asked for.
type noAudit struct{}

func (noAudit) Record(context.Context, tokenize.Entry) error { return errNobody }

func openVaultStore(ctx context.Context, cfg Vault) (store tokenize.Store, end func(), err error) {
	switch {
	case cfg.Bolt != "":
		s, err := boltvault.Open(cfg.Bolt)
		if err != nil {
			return nil, nil, err
		}
		return s, func() { _ = s.Close() }, nil // all was synced
	case cfg.Postgres.IsSet():
		url, err := cfg.Postgres.Read()
		if err != nil {
			return nil, nil, err
		}
		var opts []pgvault.Option
		if cfg.Table != "" {
			opts = append(opts, pgvault.WithTable(cfg.Table))
		}
		s, err := pgvault.Open(ctx, string(url), opts...)
		if err != nil {
			return nil, nil, err
		}
		return s, func() { s.Close() }, nil
	case cfg.Redis.IsSet():
		url, err := cfg.Redis.Read()
		if err != nil {
			return nil, nil, err
		}
		s, err := redisvault.Open(ctx, string(url))
		if err != nil {
			return nil, nil, err
		}
		return s, func() { _ = s.Close() }, nil
	default:
		aws, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, nil, err
		}
		s, err := dynamovault.New(dynamodb.NewFromConfig(aws), cfg.DynamoDB)
		if err != nil {
			return nil, nil, err
		}
		if err := s.Check(ctx); err != nil {
			return nil, nil, err
		}
		return s, func() {}, nil
	}
}

func (b *Base) openSchemas() error {
	s := &b.cfg.Schemas
	if r := s.Registry; r != nil {
		opts, err := registryOptions(r)
		if err != nil {
			return fmt.Errorf("schemas.registry: %w", err)
		}
		if s.Snapshot != "" {
			dir, err := registry.LoadDir(s.Snapshot)
			if err != nil {
				return fmt.Errorf("schemas.snapshot: %w", err)
			}
			opts = append(opts, registry.WithSnapshot(dir))
		}
		c, err := registry.New(r.URLs, opts...)
		if err != nil {
			return fmt.Errorf("schemas.registry: %w", err)
		}
		b.client = c
		b.atEnd(func() { _ = c.Close() })
	}
	return nil
}

func registryOptions(r *Registry) ([]registry.Option, error) {
	var opts []registry.Option
	if r.User != "" {
		password, err := r.Password.Read()
		if err != nil {
			return nil, err
		}
		opts = append(opts, registry.WithBasicAuth(r.User, string(password)))
	}
	if r.Token.IsSet() {
		// A token in a file may be renewed there.
		opts = append(opts, registry.WithBearerTokenFunc(func(context.Context) (string, error) {
			token, err := r.Token.Read()
			return string(token), err
		}))
	}
	if r.CA != "" || r.Cert != "" {
		opts = append(opts, registry.WithTLSFiles(r.CA, r.Cert, r.Key))
	}
	if r.Insecure {
		opts = append(opts, registry.WithInsecureCredentials())
	}
	if r.Timeout > 0 {
		opts = append(opts, registry.WithTimeout(r.Timeout))
	}
	return opts, nil
}

// memory opens the memory of protected fields, nil without one.
func (b *Base) memory(ctx context.Context, w kms.Wrapper) (fieldcrypt.Memory, error) {
	m := b.cfg.Schemas.Memory
	if m == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	f, err := tagmemory.Open(ctx, m.File, w, m.KEKs...)
	if err != nil {
		return nil, fmt.Errorf("schemas.memory: %w", err)
	}
	return f, nil
}

// missingVaults names the vaults of a policy that the configuration has not.
func (b *Base) missingVaults(p *fieldcrypt.Policy) error {
	var missing []string
	for _, name := range p.Vaults() {
		if b.vaults[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("vaults: the policy names %s, and the configuration does not", strings.Join(missing, ", "))
	}
	return nil
}
