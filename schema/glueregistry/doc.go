// Package glueregistry reads and registers schemas of the AWS Glue Schema
// Registry, and reads and writes the frame that its serializers put around a
// record.
//
// # Frame
//
// A framed record begins with 18 bytes:
//
//	0     the version of the frame, 3
//	1     the compression of what follows: 0 none, 5 zlib
//	2-17  the id of the schema version, a UUID
//	18-   the record
//
// [ParseFrame] accepts that and nothing else, and a [Codec] unpacks a compressed
// record within a limit on its size and on its ratio. The record of a Protobuf
// schema begins with the index of its message as a varint, which is left to the
// caller.
//
// # Client
//
// A [Client] finds the text of a schema version by its id, as a
// [schema.GUIDSource] does. It calls Glue through the AWS SDK, which the caller
// sets up: region, credentials and retries are none of its business. A text is
// kept for as long as the process lives, because it never changes. Versions that
// are pending, failed or being deleted are refused.
//
// Glue keeps no references between schemas and no rules, so a text that has
// either cannot be registered.
//
// # Tags
//
// Tags may stand in the schema text, as the format has them, or beside it in the
// metadata of the schema version, under keys that begin with [TagKey]. See
// [AppendTagRules] for how a value holds them. The metadata of a version may
// change, so it is asked for again from time to time: a rule that comes takes
// effect, one that goes does not while the process lives.
//
// A version whose metadata cannot be read, or has a rule that cannot be
// understood, is refused: protection must not depend on what a reader may see.
// [Config.IgnoreTags] gives that up on purpose.
//
// # Errors
//
// Errors hold names, ids and the codes that AWS gives, never the messages of the
// service: those may repeat a request with its headers.
package glueregistry
