package serde

import (
	"errors"
	"fmt"
)

// A Config says what a [Serde] lets clients do.
type Config struct {
	// AutoRegister lets clients register the schemas whose text they send. Without
	// it only a text that the registry has under the subject is taken.
	AutoRegister bool `yaml:"auto_register"`
	// StrictUnions takes values of Avro unions in the form of Avro's JSON encoding
	// only: {"string": "x"}. Otherwise a bare value will do where just one branch
	// can hold it.
	StrictUnions bool `yaml:"strict_unions"`
	// FillDefaults takes the default of the schema for an Avro field that is not
	// there. Otherwise, as in Avro's own decoder of JSON, such a record is refused.
	FillDefaults bool `yaml:"fill_defaults"`
	// CachedSchemas is how many compiled schemas are kept, and how many texts whose
	// ids are known.
	CachedSchemas int `yaml:"cached_schemas"`
}

// maxCached bounds CachedSchemas: a compiled schema may take megabytes.
const maxCached = 100_000

// DefaultConfig returns the configuration of clients that know Confluent's REST
// proxy: texts are registered, unions may be bare, defaults are not filled in, and
// 1000 schemas are kept.
func DefaultConfig() Config {
	return Config{AutoRegister: true, CachedSchemas: 1000}
}

// Validate returns all that is wrong with the configuration.
func (c *Config) Validate() error {
	if c.CachedSchemas < 1 || c.CachedSchemas > maxCached {
		return errors.Join(fmt.Errorf("cached_schemas: want 1 to %d", maxCached))
	}
	return nil
}
