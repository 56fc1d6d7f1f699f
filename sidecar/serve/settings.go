package serve

import (
	"maps"
	"slices"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// engineConfig returns what the engine is told of a configuration. Paths in it are
// relative to the file.
func engineConfig(c *config.Config) engine.Config {
	out := engine.DefaultConfig()
	k := &c.Keys
	out.Keys.CallTimeout = k.CallTimeout
	out.Keys.Warm = k.WarmTenants
	out.Keys.MaxScopes, out.Keys.MaxOpeners = k.MaxScopes, k.MaxOpeners
	out.Keys.CleartextKeysets = k.CleartextKeysets
	if k.Persist != "" {
		out.Keys.Files = c.Resolve(k.Persist)
	}
	switch k.Store.Kind {
	case config.KindKafka:
		out.Keys.Store.Kafka = &engine.KeyTopic{Topic: k.Store.Topic, Create: k.Store.Create, Replication: int16(k.Store.Replication)} //nolint:gosec // Validate bounds it
	case config.KindBolt:
		out.Keys.Store.Bolt = c.Resolve(k.Store.Path)
	case config.KindPostgres:
		out.Keys.Store.Postgres = k.Store.URL
	}
	if p := &c.Persons; p.Store.Kind != config.KindNone {
		out.Persons = &engine.Persons{Store: storeURL(c, p.Store.Kind, p.Store.Path, p.Store.URL), Ledger: storeURL(c, p.Ledger.Kind, p.Ledger.Path, p.Ledger.URL)}
	}
	if len(c.Vaults) > 0 {
		out.Vaults = make(map[string]engine.Vault, len(c.Vaults))
		for name, v := range c.Vaults {
			out.Vaults[name] = vaultOf(c, v)
		}
	}
	out.Detokenize = engine.Detokenize{BulkAbove: c.Detokenize.BulkAbove, Values: c.Detokenize.Values, Per: c.Detokenize.Per}
	out.Recheck = uint64(max(0, c.Policy.Recheck))
	s := &c.Schemas
	if r := &s.Registry; len(r.URLs) > 0 {
		out.Schemas.Registry = &engine.Registry{
			URLs: r.URLs, User: r.User, Password: r.Password, Token: r.Token, Timeout: r.Timeout, Insecure: r.Insecure,
			CA: resolve(c, r.CA), Cert: resolve(c, r.Cert), Key: resolve(c, r.Key),
		}
		out.Schemas.Register = s.RegisterDerived
		out.Schemas.Snapshot = resolve(c, s.Snapshot)
	}
	if s.Memory != "" {
		out.Schemas.Memory = &engine.Memory{File: c.Resolve(s.Memory), KEKs: s.MemoryKEKs}
	}
	return out
}

func resolve(c *config.Config, path string) string {
	if path == "" {
		return ""
	}
	return c.Resolve(path)
}

// storeURL returns where a store of persons, or the ledger, is.
func storeURL(c *config.Config, kind, path string, url secret.Secret) secret.Secret {
	if kind == config.KindPostgres {
		return url
	}
	return secret.Value(kind + ":" + c.Resolve(path))
}

func vaultOf(c *config.Config, v config.Vault) engine.Vault {
	switch v.Kind {
	case config.KindPostgres:
		return engine.Vault{Postgres: v.URL, Table: v.Table}
	case config.KindRedis:
		return engine.Vault{Redis: v.URL}
	case config.KindDynamo:
		return engine.Vault{DynamoDB: v.Table}
	default:
		return engine.Vault{Bolt: c.Resolve(v.Path)}
	}
}

// rules returns what of a configuration can change while the sidecar runs.
func rules(c *config.Config) engine.Rules {
	out := engine.Rules{Policy: c.LoadedPolicy(), FIPS: c.Policy.FIPS, Tags: resolve(c, c.Schemas.Tags)}
	for _, topic := range slices.Sorted(maps.Keys(c.Schemas.Topics)) {
		t := c.Schemas.Topics[topic]
		s := engine.TopicSchema{Topic: topic, Format: formatOf(t.Format), File: c.Resolve(t.Path)}
		for _, ref := range t.References {
			s.References = append(s.References, c.Resolve(ref))
		}
		out.Topics = append(out.Topics, s)
	}
	return out
}

// formatOf returns the format of a word that the configuration has checked.
func formatOf(word string) schema.Format {
	switch word {
	case "json":
		return schema.JSONSchema
	case "protobuf":
		return schema.Protobuf
	default:
		return schema.Avro
	}
}
