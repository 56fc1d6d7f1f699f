package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

func TestTheDefaultsAreValid(t *testing.T) {
	cfg := DefaultConfig()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFindingNamesItsKey(t *testing.T) {
	const canary = "hunter2"
	value := secret.Value(canary)
	for _, tt := range []struct {
		want   string
		change func(*Config)
	}{
		{"keys.store: ", func(c *Config) { c.Keys.Store = KeyStore{Bolt: "a", Postgres: value} }},
		{"keys.store.kafka.replication: ", func(c *Config) { c.Keys.Store.Kafka = &KeyTopic{Replication: -1} }},
		{"keys.call_timeout: ", func(c *Config) { c.Keys.CallTimeout = 0 }},
		{"keys.max_scopes: ", func(c *Config) { c.Keys.MaxScopes = 0 }},
		{"keys.max_openers: ", func(c *Config) { c.Keys.MaxOpeners = -1 }},
		{"keys.warm: ", func(c *Config) { c.Keys.Warm = []string{"a", ""} }},
		{"persons.store: ", func(c *Config) { c.Persons = &Persons{Ledger: value} }},
		{"persons.ledger: ", func(c *Config) { c.Persons = &Persons{Store: value} }},
		{"persons.poll: ", func(c *Config) { c.Persons = &Persons{Store: value, Ledger: value, Poll: time.Hour} }},
		{"persons.max: ", func(c *Config) { c.Persons = &Persons{Store: value, Ledger: value, Max: -1} }},
		{"vaults.v: ", func(c *Config) { c.Vaults = map[string]Vault{"v": {}} }},
		{"vaults.w: ", func(c *Config) { c.Vaults = map[string]Vault{"w": {Bolt: "a", Redis: value}} }},
		{"detokenize: ", func(c *Config) { c.Detokenize.Per = 0 }},
		{"schemas.registry.urls: ", func(c *Config) { c.Schemas.Registry = &Registry{} }},
		{"schemas.registry.password: ", func(c *Config) { c.Schemas.Registry = &Registry{URLs: []string{"u"}, User: "a"} }},
		{"schemas.registry.token: ", func(c *Config) {
			c.Schemas.Registry = &Registry{URLs: []string{"u"}, User: "a", Password: value, Token: value}
		}},
		{"schemas.registry.key: ", func(c *Config) { c.Schemas.Registry = &Registry{URLs: []string{"u"}, Cert: "c"} }},
		{"schemas.registry.timeout: ", func(c *Config) { c.Schemas.Registry = &Registry{URLs: []string{"u"}, Timeout: -1} }},
		{"schemas.register: ", func(c *Config) { c.Schemas.Register = true }},
		{"schemas.memory: ", func(c *Config) { c.Schemas.Memory = &Memory{File: "f"} }},
	} {
		t.Run(tt.want, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.change(&cfg)
			err := cfg.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), canary) {
				t.Errorf("%v", err)
			}
		})
	}
}
