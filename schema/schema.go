// Package schema is the vocabulary of structure: which fields a record format
// has, which of them carry tags, and a compiled [Program] that rewrites chosen
// fields inside the encoded bytes without decoding the record.
//
// The package knows no format. Parsers such as schema/avro turn text into a
// [Schema]; everything above sees formats only through these interfaces.
package schema

import "context"

// Type is the type of a field's value as the format encodes it. It is part of
// the context that a protected value is bound to, so the names never change.
type Type string

// The types that formats know. A container type never holds a value of its
// own; it appears when a field as a whole is named.
const (
	TypeNull    Type = "null"
	TypeBoolean Type = "boolean"
	TypeInt     Type = "int"
	TypeLong    Type = "long"
	TypeFloat   Type = "float"
	TypeDouble  Type = "double"
	TypeString  Type = "string"
	TypeBytes   Type = "bytes"
	TypeFixed   Type = "fixed"
	TypeEnum    Type = "enum"
)

// A Field is one leaf of a schema: a place that holds values which are not
// themselves made of fields.
type Field struct {
	// Path is canonical: slash-separated names from the root, with "[]" for the
	// items of an array and "{}" for the values of a map, such as
	// "/address/street" or "/cards/[]/pan". Union branches do not show in a
	// path, and a recursive type folds back onto its first occurrence, so that
	// a value keeps its path when a schema makes it nullable or nests it deeper.
	Path string
	// Former holds the paths that this field had before it was renamed, as the
	// format's aliases tell. A reader accepts values sealed under them.
	Former []string
	// Type is the type of the value. A union contributes one Field per branch,
	// all with the same Path.
	Type Type
	// Logical names what the value means beyond its type, such as "decimal" or
	// "uuid"; empty for none. Readers may refuse other content in such a field.
	Logical string
	// Nullable is true when the value stands in a union that also has a null
	// branch, so that it can be rewritten to null.
	Nullable bool
	// Tags are the tags of the field itself and of everything that encloses it
	// below the root (a tag on a record, array, map or union counts for all its
	// leaves), without repeats, outermost last.
	Tags []string
}

// A Schema is a parsed schema. It is immutable and safe for concurrent use.
type Schema interface {
	// Name is the full name of the root type. It is part of the context that a
	// protected value is bound to.
	Name() string
	// Fields lists all leaves in the order in which a record encodes them. The
	// slice must not be changed.
	Fields() []Field
	// Compile returns the Program that hands the chosen fields to a Visitor. It
	// fails, naming the path, when an edit does not fit its field.
	Compile(edits []Edit) (Program, error)
}

// Op says what an [Edit] does to a field.
type Op uint8

const (
	// Replace hands each value to the Visitor, which appends the new content.
	// The field keeps its type, so it fits only string and bytes.
	Replace Op = iota + 1
	// Nullify turns each value into null without showing it to anyone. It fits
	// only a field that is Nullable.
	Nullify
)

// An Edit selects one field of a schema for rewriting.
type Edit struct {
	Field int // index into Schema.Fields
	Op    Op
}

// A Program rewrites encoded records. It is immutable and safe for concurrent
// use.
type Program interface {
	// Rewrite appends the rewritten form of src, which must be exactly one
	// encoded record, to dst. Bytes that no edit covers are copied as they are.
	// src is only read, and never kept. On an error the returned slice is dst
	// as it was, which may have been overwritten behind its length.
	//
	// The work is bounded by the size of src and by what the visitor does.
	// Malformed input gives a [*MalformedError]; an error of the visitor is
	// returned as it is.
	Rewrite(dst, src []byte, v Visitor) ([]byte, error)
}

// A Visitor rewrites the values that a Program meets, in encoding order.
type Visitor interface {
	// Visit appends the new content of one value of edits[edit] to dst. value
	// is the content without length or framing; it must not be changed or kept.
	Visit(edit int, dst, value []byte) ([]byte, error)
}

// A MalformedError says that a record does not follow its schema. It holds the
// place and the fault, never data.
type MalformedError struct {
	// Offset is the position in the encoded record where the fault was found.
	Offset int
	// Reason is a fixed text, such as "truncated" or "union index out of range".
	Reason string
}

func (e *MalformedError) Error() string { return "malformed record: " + e.Reason }

// Format names a schema language.
type Format string

// The schema languages. The names are those of a schema registry.
const (
	Avro       Format = "AVRO"
	JSONSchema Format = "JSON"
	Protobuf   Format = "PROTOBUF"
)

// Text is a schema as it was written, before parsing.
type Text struct {
	Format Format
	// Schema is the schema text itself.
	Schema string
	// References are the texts of schemas that Schema names, in dependency
	// order: a text may refer to those before it.
	References []string
}

// A Source finds the schema that a record was written with. Implementations
// are safe for concurrent use and may cache for ever: an id never changes its
// meaning.
type Source interface {
	// Schema returns the text registered under id. It returns an error that
	// wraps [ErrNotFound] when there is none.
	Schema(ctx context.Context, id int) (Text, error)
}
