// Package formats holds what is true of all formats: the same policy over Avro,
// JSON Schema, JSON and Protobuf, through the engine, with the records that
// independent encoders of each format make. It has tests only.
package formats
