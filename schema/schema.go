// Package schema is the vocabulary of structure: which fields a record format
// has, which of them carry tags, and a compiled [Program] that rewrites chosen
// fields inside the encoded bytes without decoding the record.
//
// The package knows no format. Parsers such as schema/avro turn text into a
// [Schema]; everything above sees formats only through these interfaces.
package schema

import (
	"context"
	"errors"
	"fmt"
)

// Type is the type of a field's value as the format encodes it. It is part of
// the context that a protected value is bound to, so the names never change.
type Type string

// The types that formats know.
const (
	TypeNull    Type = "null"
	TypeBoolean Type = "boolean"
	TypeInt     Type = "int"  // Avro: 32 bits
	TypeLong    Type = "long" // Avro: 64 bits
	TypeFloat   Type = "float"
	TypeDouble  Type = "double"
	TypeString  Type = "string"
	TypeBytes   Type = "bytes"
	TypeFixed   Type = "fixed"
	TypeEnum    Type = "enum"

	// TypeInt32 and those below are number types of Protobuf, each with its own
	// encoding.
	TypeInt32    Type = "int32"
	TypeInt64    Type = "int64"
	TypeUint32   Type = "uint32"
	TypeUint64   Type = "uint64"
	TypeSint32   Type = "sint32"
	TypeSint64   Type = "sint64"
	TypeFixed32  Type = "fixed32"
	TypeFixed64  Type = "fixed64"
	TypeSfixed32 Type = "sfixed32"
	TypeSfixed64 Type = "sfixed64"

	// TypeNumber and TypeInteger are types of JSON, and TypeJSON is a value of
	// which no schema says more.
	TypeNumber  Type = "number"
	TypeInteger Type = "integer"
	TypeJSON    Type = "json"

	// TypeRecord and those below are containers, which hold fields.
	TypeRecord Type = "record" // Protobuf: message or group; JSON: object
	TypeArray  Type = "array"  // Protobuf: repeated
	TypeMap    Type = "map"
	TypeUnion  Type = "union" // of at least two branches that are not null
)

// A Field is one place of a schema that holds values: a leaf, or a container
// below the root.
type Field struct {
	// Path is canonical: slash-separated names from the root, with "[]" for the
	// items of an array and "{}" for the values of a map, such as
	// "/address/street" or "/cards/[]/pan". Union branches do not show in a
	// path, and a recursive type folds back onto its first occurrence, so that
	// a value keeps its path when a schema makes it nullable or nests it deeper.
	Path string
	// Place is the path that a value is bound to where that is not Path. In
	// Protobuf it consists of field numbers, because renaming a field leaves
	// the encoding alone. Empty where Path serves.
	Place string
	// Former holds the paths that this field had before it was renamed, as the
	// format's aliases tell. A reader accepts values sealed under them.
	Former []string
	// Type is the type of the value. A union contributes one leaf per branch,
	// all with the same Path.
	Type Type
	// Logical names what the value means or has to look like beyond its type,
	// such as "decimal" or "uuid"; empty for none. Readers may refuse other
	// content in such a field.
	Logical string
	// Nullable is true when the value can be rewritten to null or, in formats
	// where that is the same, be left out.
	Nullable bool
	// Tags are the tags of the field itself and of everything that encloses it
	// (a tag on a record, array, map or union counts for all its leaves),
	// without repeats, outermost last.
	Tags []string
	// End is the index behind the last field inside a container, and zero for
	// a leaf.
	End int
	// Wrapped is the type that the field has after [Wrap], TypeBytes or
	// TypeString. Empty where wrapping is not possible or not needed, because
	// the content itself can be replaced.
	Wrapped Type
	// Encoding names how the bytes of a whole value are to be read, for values
	// that are wrapped: it takes the place of Type in what they are bound to.
	// Two types have the same Encoding only when bytes of one are good bytes of
	// the other, with the same meaning.
	Encoding string
	// Numeric is true when [Number] fits the field.
	Numeric bool
	// Sealed is true in a derived schema: the encoded records hold the wrapped
	// form of the field, which is described as it was before.
	Sealed bool
}

// Leaf tells whether f holds no other fields.
func (f *Field) Leaf() bool { return f.End == 0 }

// A Schema is a parsed schema. It is immutable and safe for concurrent use.
type Schema interface {
	// Name is the full name of the root type. It is part of the context that a
	// protected value is bound to.
	Name() string
	// Fields lists all fields in the order in which a record encodes them, each
	// container before what it holds. The slice must not be changed.
	Fields() []Field
	// Compile returns the Program that hands the chosen fields of original
	// records to a Visitor, and writes protected ones. It fails, naming the
	// path, when an edit does not fit its field.
	Compile(edits []Edit, unknown Unknown) (Program, error)
	// Restore returns the Program of the way back: it reads what the Program of
	// the same edits writes. Edits by [Nullify] cannot be undone, and fail.
	Restore(edits []Edit, unknown Unknown) (Program, error)
	// Derive returns the schema of the records that the Program of the edits
	// writes. It is the schema itself, and changed is false, when the edits keep
	// all types. Otherwise each wrapped field has its new type and keeps the old
	// one in a property, from which a parser finds back.
	Derive(edits []Edit, from Origin) (text Text, changed bool, err error)
}

// Unknown says what a Program does with content that the schema does not
// describe: Protobuf fields of other numbers, JSON members that no keyword
// covers. In Avro there is none.
type Unknown uint8

const (
	// RejectUnknown refuses the record: a field that the schema does not tell
	// about may be the one to protect.
	RejectUnknown Unknown = iota
	// KeepUnknown copies it.
	KeepUnknown
)

// Messages is a [Schema] of a format whose framing names one of several root
// types, as that of Protobuf does. The Schema itself is the first of them.
type Messages interface {
	Schema
	// Message returns the schema of the type that the indexes lead to, the
	// outermost first. It fails when there is none.
	Message(indexes []int) (Schema, error)
}

// A Validator is a [Schema] that can tell whether a record satisfies more than
// its structure: patterns, ranges, required members. The error never holds data
// of the record.
type Validator interface {
	Validate(record []byte) error
}

// Origin identifies the schema that a derived one was made from.
type Origin struct {
	ID     int      // in the registry where it was derived; 0 for none
	Digest [32]byte // [Text.Digest] of the original
}

// Derived is a [Schema] that may have been made by Derive.
type Derived interface {
	// Origin returns what it was made from, and false for an original.
	Origin() (Origin, bool)
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
	// Wrap hands over the encoded bytes of each value as a whole, whatever its
	// type, and what the Visitor appends stands in its place as bytes or text:
	// see Field.Wrapped. A null stays null. On the way back the Visitor gets that
	// content and appends the encoded bytes, which the Program checks to be
	// exactly one value of the type.
	Wrap
	// Number hands over each value as the text of a number, whatever its
	// encoding, and encodes the number that the Visitor appends in the same type.
	// The field keeps its type, so both directions are the same. It fits only a
	// field that is Numeric.
	//
	// The text is a number as JSON writes it. Integers and decimals stand there
	// in full, a decimal with as many digits behind the point as its scale; a
	// binary fraction has its shortest text, "NaN", "Infinity" or "-Infinity";
	// a JSON number stands as the record has it; a timestamp message of Protobuf
	// is its seconds with nine digits behind the point. An answer that is no
	// number, or that the type does not hold exactly, ends the Rewrite with
	// [ErrNumber]; only binary fractions are rounded to what they can hold.
	Number
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
	// A container must not be edited together with a field inside it.
	Visit(edit int, dst, value []byte) ([]byte, error)
}

// A PlainVisitor is a [Visitor] that vouches for some of its answers. Programs of
// formats in which characters need escapes may take such answers as they are.
type PlainVisitor interface {
	Visitor
	// Plain tells that whatever Visit appends for edits[edit] is printable ASCII
	// without quotes and backslashes, as base64url is by construction.
	Plain(edit int) bool
}

// ErrKeep is returned by a Visitor on the way back, to leave a value as it
// stands. A Program fails where that cannot be, because the value has a type
// that the original does not allow.
var ErrKeep = errors.New("value stays as it is")

// ErrLook is returned by a Visitor on the way back that only looks at the values.
// The Program goes on with the next one, also where it would fail with ErrKeep.
// What Rewrite returns is then no record, and of no use.
var ErrLook = fmt.Errorf("%w: it was only looked at", ErrKeep)

// A MisfitError is an error of Compile, Restore or Derive that one field caused.
// Each format has its own.
type MisfitError interface {
	error
	// Field returns the path of the field, empty where there is no such field.
	Field() string
}

// ErrNumber means that what a Visitor appended for an edit by [Number] does not
// fit the type of the field. The text never holds the number.
var ErrNumber = errors.New("number does not fit the type of its field")

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
	// Names are the names under which the format imports the References, such
	// as the path of a .proto file; empty or as many as there are References.
	Names []string
	// Tags are tags that stand beside the text: in the metadata of a registry,
	// or in a file.
	Tags []TagRule
	// Demands are the rules beside the text that ask for encryption.
	Demands []Demand
}

// A TagRule gives tags to all fields whose name matches a pattern.
type TagRule struct {
	// Pattern is matched against the canonical path if it begins with a slash,
	// otherwise against the qualified name that the format has for fields:
	// "com.acme.Customer.email" for a field of an Avro record or of a Protobuf
	// message, "$.address.street" for a property in JSON. See [MatchName].
	Pattern string
	Tags    []string
}

// A Demand is a rule of a schema registry that asks for encryption. A policy
// must protect at least that much.
type Demand struct {
	Name string // of the rule
	// Payload is true when the record is to be encrypted as a whole.
	Payload bool
	// Tags are those of the fields to encrypt; empty for every field.
	Tags []string
}

// A Parser reads schemas of one format. It does no I/O.
type Parser func(Text) (Schema, error)

// A Source finds the schema that a record was written with. Implementations
// are safe for concurrent use and may cache for ever: an id never changes its
// meaning.
type Source interface {
	// Schema returns the text registered under id. It returns an error that
	// wraps [ErrNotFound] when there is none.
	Schema(ctx context.Context, id int) (Text, error)
}

// A GUIDSource is a [Source] that also knows the ids that hold in all
// registries.
type GUIDSource interface {
	SchemaByGUID(ctx context.Context, guid [16]byte) (Text, error)
}

// A Registrar registers derived schemas. Implementations are safe for
// concurrent use and answer the same question again without a new version.
type Registrar interface {
	// Register makes text a version of the subject, unless it is one already,
	// and returns its id.
	Register(ctx context.Context, subject string, text Text) (id int, err error)
}
