package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// Deps is what the surface is wired to. Sender and Guard are needed; whoever
// wants a surface without access control says so with [Open]. All are safe for
// concurrent use.
type Deps struct {
	// Sender takes the records.
	Sender produce.Sender
	// Guard decides who may do what.
	Guard Guard
	// Encoders turns JSON into the formats of a schema registry. Without it such
	// formats are refused.
	Encoders Encoders
	// Cluster answers the reads. Without it they are answered with 404.
	Cluster Cluster
	// Observer hears of requests and receipts. It may be nil.
	Observer Observer
	// Challenges are sent as WWW-Authenticate with each 401. Default "Bearer".
	Challenges []string
}

// An Operation is what a [Guard] decides about.
type Operation string

const (
	// OpNone is what everybody may do whom the listener is for at all: see the
	// description of the surface.
	OpNone Operation = ""
	// OpProduce is a record for a topic.
	OpProduce Operation = "produce"
	// OpDescribe is a read about one topic.
	OpDescribe Operation = "describe"
	// OpList is a read about the cluster and the names of its topics.
	OpList Operation = "list"
)

// A Guard decides who may do what. topic is "" for [OpList]
// and [OpNone]. It returns nil, an
// error that is [ErrUnauthenticated], [ErrDenied], [ErrHost] or [ErrOrigin], or
// another error when it cannot decide, which refuses the request too, with 503.
// It is asked before any of the body is read, also about [OpNone].
type Guard interface {
	Authorize(ctx context.Context, r *http.Request, op Operation, topic string) error
}

// What a [Guard] says.
var (
	ErrUnauthenticated = errors.New("rest: not authenticated")
	ErrDenied          = errors.New("rest: not allowed")
	ErrHost            = errors.New("rest: for another host")
	ErrOrigin          = errors.New("rest: from a page of another origin")
)

// Open is a Guard that lets everybody do everything.
type Open struct{}

// Authorize implements [Guard].
func (Open) Authorize(context.Context, *http.Request, Operation, string) error { return nil }

// An Ask names what encodes a key or a value. At most one of SchemaText,
// SchemaID, SchemaVersion is set, and at most one of Subject and Strategy; with
// none of them it is the latest schema of the topic's subject.
type Ask struct {
	Topic         string
	IsKey         bool
	Format        string // avro, jsonschema, protobuf, or "" for that of the schema
	SchemaText    string
	SchemaID      int // 0 for none
	SchemaVersion int // 0 for none
	Subject       string
	Strategy      string // TOPIC_NAME, RECORD_NAME, TOPIC_RECORD_NAME
}

// Encoders finds what encodes JSON by a schema. Its errors are those of
// [EncodeError].
type Encoders interface {
	Encoder(ctx context.Context, ask Ask) (Encoder, error)
}

// An Encoder encodes JSON by one schema.
type Encoder interface {
	// ID is the id of the schema in its registry.
	ID() int
	// Format is avro, jsonschema or protobuf.
	Format() string
	// Append appends the framed bytes of a JSON value that has been checked.
	Append(dst, jsonValue []byte) ([]byte, error)
	// AdmitsNull says whether null is a value of the schema.
	AdmitsNull() bool
}

// An EncodeError is an error of [Encoders] and [Encoder]. Code is one of
// json_invalid, base64_invalid, schema_invalid, schema_missing,
// schema_not_found, registry_unavailable, value_unfit, union_ambiguous and
// internal; Path is a path within the value, without data. What the error prints
// is not used.
type EncodeError interface {
	error
	Code() string
	Path() string
	Retryable() bool
}

// An Observer hears what happened, for logs and metrics. No call may block. Its
// words are of closed sets, except Topic, which exists.
type Observer interface {
	// Request is called once for each request, after its answer, with the context
	// of the request.
	Request(ctx context.Context, r RequestInfo)
	// Record is called once for each record that got an answer of its own, be it
	// in a body or as a receipt.
	Record(r RecordInfo)
	// Panicked is called when a handler panicked. The stack holds no data.
	Panicked(route string, stack []byte)
}

// A RequestInfo is one request.
type RequestInfo struct {
	Route    string // such as "POST /topics/{topic}"
	Method   string // a known method, or "OTHER"
	Status   int    // of the answer
	Code     int    // error_code of the whole request, 0 for none
	Reason   string // of the whole request, such as "json_invalid"; "" for none
	Topic    string // "" unless a record of it was delivered or its metadata read
	Records  int    // that got an answer
	Failed   int    // of these
	Unknown  int    // of those that failed: they may have been delivered
	First    string // the reason of the first that failed, "" for none
	BytesIn  int64  // of the body as it came
	BytesOut int64  // of the answer
	Duration time.Duration
}

// A RecordInfo is the answer to one record.
type RecordInfo struct {
	Route   string
	Code    int // error_code of the record: 200 of version 3, 0 of others for success
	Reason  string
	Outcome produce.Outcome
}
