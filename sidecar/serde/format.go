package serde

import (
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// A Format says how a JSON value becomes bytes.
type Format string

// The formats. The first three have no schema.
const (
	// Binary is base64, in a JSON string, of the bytes themselves.
	Binary Format = "binary"
	// JSON is any value, which is stored as JSON without white space.
	JSON Format = "json"
	// String is a JSON string, which is stored as its UTF-8 bytes.
	String Format = "string"
	// Avro is the JSON encoding of Avro, stored in its binary encoding.
	Avro Format = "avro"
	// JSONSchema is JSON that satisfies a schema.
	JSONSchema Format = "jsonschema"
	// Protobuf is the JSON mapping of Protobuf, stored in its binary encoding.
	Protobuf Format = "protobuf"
)

// ofSchema are the formats of the schema languages.
func ofSchema(f schema.Format) Format {
	switch f {
	case schema.Avro:
		return Avro
	case schema.JSONSchema:
		return JSONSchema
	case schema.Protobuf:
		return Protobuf
	default:
		return ""
	}
}

// language is the schema language of f, and empty where it has none.
func (f Format) language() schema.Format {
	switch f {
	case Avro:
		return schema.Avro
	case JSONSchema:
		return schema.JSONSchema
	case Protobuf:
		return schema.Protobuf
	case Binary, JSON, String:
	}
	return ""
}

// A Strategy names the subject that a schema belongs to.
type Strategy string

// The strategies. Empty stands for the first.
const (
	TopicName       Strategy = "TOPIC_NAME"        // "<topic>-key" or "<topic>-value"
	RecordName      Strategy = "RECORD_NAME"       // the full name of the root type
	TopicRecordName Strategy = "TOPIC_RECORD_NAME" // "<topic>-" and that name
)

// An Ask says which format and schema the keys or values of one request have.
type Ask struct {
	Topic string
	IsKey bool
	// Format may be empty where a schema is named otherwise than by its text: then
	// that schema tells it.
	Format Format
	// At most one of these three. With none of them, and a format that has schemas
	// or none at all, it is the latest version of the subject.
	SchemaText    string
	SchemaID      int
	SchemaVersion int // of the subject; -1 for the latest
	// At most one of these two. A strategy by the name of the record needs the text
	// of the schema, which is where that name stands.
	Subject  string
	Strategy Strategy
}

// subject returns the subject that the ask means. name is the full name of the
// root type, empty where it is not known.
func (a *Ask) subject(name string) (string, *Error) {
	if a.Subject != "" {
		if a.Strategy != "" {
			return "", invalidSchema("a subject and a strategy for subjects exclude each other")
		}
		return a.Subject, nil
	}
	var strategy wire.SubjectStrategy
	switch a.Strategy {
	case "", TopicName:
		return wire.TopicName(a.Topic, a.IsKey, ""), nil
	case RecordName:
		strategy = wire.RecordName
	case TopicRecordName:
		strategy = wire.TopicRecordName
	default:
		return "", invalidSchema("unknown strategy for subjects")
	}
	if name == "" {
		return "", &Error{code: CodeSchemaMissing, reason: "a subject by the name of the record needs the text of the schema"}
	}
	return strategy(a.Topic, a.IsKey, name), nil
}
