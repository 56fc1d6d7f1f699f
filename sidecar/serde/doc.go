// Package serde turns the JSON that clients send into the bytes of a record:
// base64, text, compact JSON, or Avro, JSON Schema and Protobuf behind the framing
// that names their schema in a registry.
//
// A [Serde] finds the schema that an [Ask] means, once per request, and hands out
// an [Encoder], which does no I/O. It promises:
//
//   - Strictness. JSON is one value that every reader reads in the same way: no
//     member twice, no invalid UTF-8, nothing before or behind it. A member that
//     the schema does not have is refused, because it may be a misspelt field that
//     was to be protected.
//   - What is encoded under an id follows the schema that the registry holds under
//     it, and never one that a client says it is.
//   - An [Error] names a place of the schema and says fixed words. It never holds
//     a value, or a name that the schema does not have.
//
// Nothing here protects a record. The bytes go to the sidecar's pipeline, which
// does, and which refuses what it cannot protect.
package serde
