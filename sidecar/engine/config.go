package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// A Config says where keys, tokens and schemas are. What is done with them says
// the policy.
type Config struct {
	Keys    Keys
	Persons *Persons
	Vaults  map[string]Vault
	Schemas Schemas
	// Detokenize bounds who gets values for tokens, and how many.
	Detokenize Detokenize
	// Recheck reveals every n-th record again before it is sent. 0 is never.
	Recheck uint64
}

// Keys says how data keys are made and kept.
type Keys struct {
	// Store keeps wrapped data keys, so that records stay readable that lost
	// their headers.
	Store KeyStore
	// Files is a directory of this process alone for keys with persist: true, so
	// that it can start while the KMS makes no keys.
	Files string
	// Warm are the tenants whose keys are fetched before the sidecar is ready, and
	// kept. A policy without tenants is always warm.
	Warm []string
	// CallTimeout bounds one call to a KMS, FanOut how many run at once.
	CallTimeout time.Duration
	FanOut      int
	// MaxScopes and MaxOpeners bound how many keys are held.
	MaxScopes  int
	MaxOpeners int
	// CleartextKeysets lets KEKs stand in Tink keyset files that are not wrapped.
	CleartextKeysets bool
}

// A KeyStore is one of its fields, or none of them.
type KeyStore struct {
	Kafka    *KeyTopic
	Bolt     string // path of a file
	Postgres secret.Secret
}

// A KeyTopic is a compacted topic of the cluster to which records go.
type KeyTopic struct {
	Topic string
	// Create makes the topic when it is missing, with Replication copies.
	Create      bool
	Replication int16
}

// Persons says where the keys of persons are, and the ledger of those who were
// forgotten. Both are bolt:PATH and file:PATH, or postgres://….
type Persons struct {
	Store  secret.Secret
	Ledger secret.Secret
	// Poll is how often the ledger is read, and Max how many keys are held.
	Poll time.Duration
	Max  int
}

// A Vault is one of its fields.
type Vault struct {
	Bolt     string // path of a file
	Postgres secret.Secret
	Redis    secret.Secret
	DynamoDB string // name of a table
	Table    string // of PostgreSQL, "" for the usual one
}

// Detokenize bounds who gets values for tokens.
type Detokenize struct {
	// BulkAbove is the number of tokens of one record above which nobody gets
	// their values.
	BulkAbove int
	// Values is how many a caller gets in the time Per.
	Values int
	Per    time.Duration
}

// Schemas says where schemas are found.
type Schemas struct {
	Registry *Registry
	// Snapshot is a directory of schemas that serves while the registry does not
	// answer.
	Snapshot string
	// Register has the schemas of fields that change their type by protection
	// registered.
	Register bool
	// Memory remembers which fields were protected, in a signed file.
	Memory *Memory
}

// A Registry is a schema registry that speaks Confluent's interface.
type Registry struct {
	URLs     []string
	User     string
	Password secret.Secret
	Token    secret.Secret
	CA       string
	Cert     string
	Key      string
	Timeout  time.Duration
	// Insecure lets credentials go over plain http.
	Insecure bool
}

// A Memory is the file of what was protected, made by "fieldveil policy remember",
// and the KEKs under which its key may stand.
type Memory struct {
	File string
	KEKs []string
}

// DefaultConfig returns the configuration with nothing set.
func DefaultConfig() Config {
	return Config{
		Keys:       Keys{CallTimeout: 10 * time.Second, FanOut: 20, MaxScopes: 10_000, MaxOpeners: 10_000},
		Detokenize: Detokenize{BulkAbove: 100, Values: 10_000, Per: time.Hour},
	}
}

// Validate returns all that makes no sense, each with the key that says it.
func (c *Config) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	s := &c.Keys.Store
	if n := count(s.Kafka != nil, s.Bolt != "", s.Postgres.IsSet()); n > 1 {
		bad("keys.store: %d of kafka, bolt and postgres, of which there can be one", n)
	}
	if s.Kafka != nil && s.Kafka.Replication < 0 {
		bad("keys.store.kafka.replication: must not be negative")
	}
	if c.Keys.CallTimeout <= 0 {
		bad("keys.call_timeout: must be longer than nothing")
	}
	for name, n := range map[string]int{"fan_out": c.Keys.FanOut, "max_scopes": c.Keys.MaxScopes, "max_openers": c.Keys.MaxOpeners} {
		if n < 1 {
			bad("keys.%s: must be 1 at least", name)
		}
	}
	if slices.Contains(c.Keys.Warm, "") {
		bad("keys.warm: a tenant has a name")
	}
	if p := c.Persons; p != nil {
		if !p.Store.IsSet() {
			bad("persons.store: must say where the keys of persons are")
		}
		if !p.Ledger.IsSet() {
			bad("persons.ledger: must say where the ledger is")
		}
		if p.Poll < 0 || p.Poll > time.Minute {
			bad("persons.poll: 0 for the default, or up to a minute")
		}
		if p.Max < 0 {
			bad("persons.max: must not be negative")
		}
	}
	for name, v := range c.Vaults {
		if count(v.Bolt != "", v.Postgres.IsSet(), v.Redis.IsSet(), v.DynamoDB != "") != 1 {
			bad("vaults.%s: is one of bolt, postgres, redis and dynamodb", name)
		}
	}
	if d := c.Detokenize; d.BulkAbove < 1 || d.Values < 1 || d.Per <= 0 {
		bad("detokenize: bulk_above, values and per must be above 0")
	}
	all = append(all, c.Schemas.validate()...)
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(all...)
}

func (s *Schemas) validate() []error {
	var all []error
	bad := func(text string) { all = append(all, errors.New(text)) }
	if r := s.Registry; r != nil {
		if len(r.URLs) == 0 {
			bad("schemas.registry.urls: must name one at least")
		}
		if (r.User != "") != r.Password.IsSet() {
			bad("schemas.registry.password: user and password go together")
		}
		if r.Token.IsSet() && r.User != "" {
			bad("schemas.registry.token: there is a user already")
		}
		if (r.Cert != "") != (r.Key != "") {
			bad("schemas.registry.key: cert and key go together")
		}
		if r.Timeout < 0 {
			bad("schemas.registry.timeout: must not be negative")
		}
	} else if s.Register {
		bad("schemas.register: there is no registry")
	}
	if m := s.Memory; m != nil && (m.File == "" || len(m.KEKs) == 0) {
		bad("schemas.memory: file and keks must be there")
	}
	return all
}

func count(set ...bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}
