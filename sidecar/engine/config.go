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
	Keys    Keys             `yaml:"keys"`
	Persons *Persons         `yaml:"persons,omitempty"`
	Vaults  map[string]Vault `yaml:"vaults,omitempty"`
	Schemas Schemas          `yaml:"schemas"`
	// Detokenize bounds who gets values for tokens, and how many.
	Detokenize Detokenize `yaml:"detokenize"`
	// Recheck reveals every n-th record again before it is sent. 0 is never.
	Recheck uint64 `yaml:"recheck"`
}

// Keys says how data keys are made and kept.
type Keys struct {
	// Store keeps wrapped data keys, so that records stay readable that lost
	// their headers.
	Store KeyStore `yaml:"store"`
	// Files is a directory of this process alone for keys with persist: true, so
	// that it can start while the KMS makes no keys.
	Files string `yaml:"files"`
	// Warm are the tenants whose keys are fetched before the sidecar is ready, and
	// kept. A policy without tenants is always warm.
	Warm []string `yaml:"warm,flow"`
	// CallTimeout bounds one call to a KMS, FanOut how many run at once.
	CallTimeout time.Duration `yaml:"call_timeout"`
	FanOut      int           `yaml:"fan_out"`
	// MaxScopes and MaxOpeners bound how many keys are held.
	MaxScopes  int `yaml:"max_scopes"`
	MaxOpeners int `yaml:"max_openers"`
	// CleartextKeysets lets KEKs stand in Tink keyset files that are not wrapped.
	CleartextKeysets bool `yaml:"cleartext_keysets"`
}

// A KeyStore is one of its fields, or none of them.
type KeyStore struct {
	Kafka    *KeyTopic     `yaml:"kafka,omitempty"`
	Bolt     string        `yaml:"bolt,omitempty"` // path of a file
	Postgres secret.Secret `yaml:"postgres,omitempty"`
}

// A KeyTopic is a compacted topic of the cluster to which records go.
type KeyTopic struct {
	Topic string `yaml:"topic"`
	// Create makes the topic when it is missing, with Replication copies.
	Create      bool  `yaml:"create"`
	Replication int16 `yaml:"replication"`
}

// Persons says where the keys of persons are, and the ledger of those who were
// forgotten. Both are bolt:PATH and file:PATH, or postgres://….
type Persons struct {
	Store  secret.Secret `yaml:"store"`
	Ledger secret.Secret `yaml:"ledger"`
	// Poll is how often the ledger is read, and Max how many keys are held.
	Poll time.Duration `yaml:"poll"`
	Max  int           `yaml:"max"`
}

// A Vault is one of its fields.
type Vault struct {
	Bolt     string        `yaml:"bolt,omitempty"` // path of a file
	Postgres secret.Secret `yaml:"postgres,omitempty"`
	Redis    secret.Secret `yaml:"redis,omitempty"`
	DynamoDB string        `yaml:"dynamodb,omitempty"` // name of a table
}

// Detokenize bounds who gets values for tokens.
type Detokenize struct {
	// BulkAbove is the number of tokens of one record above which nobody gets
	// their values.
	BulkAbove int `yaml:"bulk_above"`
	// Values is how many a caller gets in the time Per.
	Values int           `yaml:"values"`
	Per    time.Duration `yaml:"per"`
}

// Schemas says where schemas are found.
type Schemas struct {
	Registry *Registry `yaml:"registry,omitempty"`
	// Tags is a file with tags for schemas that cannot be changed, and Snapshot a
	// directory of schemas that serves while the registry does not answer.
	Tags     string `yaml:"tags"`
	Snapshot string `yaml:"snapshot"`
	// Register has the schemas of fields that change their type by protection
	// registered.
	Register bool `yaml:"register"`
	// Topics are the schemas of topics whose records carry no schema id.
	Topics []TopicSchema `yaml:"topics,omitempty"`
	// Memory remembers which fields were protected, in a signed file.
	Memory *Memory `yaml:"memory,omitempty"`
}

// A Registry is a schema registry that speaks Confluent's interface.
type Registry struct {
	URLs     []string      `yaml:"urls,flow"`
	User     string        `yaml:"user,omitempty"`
	Password secret.Secret `yaml:"password,omitempty"`
	Token    secret.Secret `yaml:"token,omitempty"`
	CA       string        `yaml:"ca,omitempty"`
	Cert     string        `yaml:"cert,omitempty"`
	Key      string        `yaml:"key,omitempty"`
	Timeout  time.Duration `yaml:"timeout,omitempty"`
}

// A TopicSchema is the schema of a topic, in a file.
type TopicSchema struct {
	Topic  string `yaml:"topic"`
	Format string `yaml:"format"` // avro, jsonschema or protobuf
	File   string `yaml:"file"`
}

// A Memory is the file of what was protected, made by "fieldveil policy remember",
// and the KEKs under which its key may stand.
type Memory struct {
	File string   `yaml:"file"`
	KEKs []string `yaml:"keks,flow"`
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
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
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
	for i, t := range s.Topics {
		if t.Topic == "" || t.File == "" {
			bad("schemas.topics[%d]: topic and file must be there", i)
		}
		if _, ok := formats()[t.Format]; !ok {
			bad("schemas.topics[%d].format: is one of avro, jsonschema and protobuf", i)
		}
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
