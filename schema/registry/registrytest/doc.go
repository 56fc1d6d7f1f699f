// Package registrytest is a schema registry that lives inside a test or a demo.
//
// A [Server] speaks the HTTP interface of Confluent Schema Registry: subjects,
// versions, references, metadata, rule sets, compatibility, modes and contexts,
// with the same status and error codes. It keeps everything in memory and
// starts nothing but its own listener.
//
//	registry, err := registrytest.Start()
//	...
//	defer registry.Close()
//	client := New(registry.URL())
//
// Tests can script faults with [Server.Fail], hold requests with [Server.Hold]
// and see what was asked with [Server.Calls].
//
// # Compatibility checks
//
// A subject has the level BACKWARD unless told otherwise, as a new registry
// has. Avro schemas are checked by the rules of schema resolution. JSON schemas
// are checked by a conservative rule: see [JSONChecker]. This module has no
// Protobuf parser: without a [Checker] from [WithChecker], the server takes any
// text as the first version of a subject, and any text under the level NONE,
// but answers a further version under another level with status 422 and code
// 42205, since it cannot tell and does not guess.
//
// # Differences from a real registry
//
//   - Texts of Avro and JSON schemas come back without insignificant white
//     space, but in the order in which they were given. A real registry may
//     also reorder keys. Protobuf texts come back as they were given, and the
//     parameter "format" is ignored.
//   - A GUID is a hash of text, references, metadata and rule set, as it should
//     be, but not the hash that a real registry computes.
//   - Ids count up from 1 in each context, without gaps.
//   - The configuration values alias, validateFields, validateNewSchemas,
//     validateRules and compatibilityPolicy are stored and have no effect.
//   - A registry without the rules extension drops rule sets. This one keeps
//     them.
package registrytest
