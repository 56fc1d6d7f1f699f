package produce

import (
	"context"
	"time"
)

// AnyPartition lets the partitioner choose.
const AnyPartition int32 = -1

// A Record is one record as its sender gave it. What it refers to must not be
// changed until its [Result] is there, and never again when the result says that
// it is [Result.Held].
type Record struct {
	Topic     string
	Partition int32  // AnyPartition, or the one that the sender asks for
	Key       []byte // nil for none
	Value     []byte // nil for a tombstone
	Headers   []Header
	Timestamp time.Time // zero for now
}

// A Header is a header of a record. Names may repeat, and order is kept.
type Header struct {
	Key   string
	Value []byte // may be nil
}

// Size is what a record counts against limits of bytes, before it is protected:
// key, value, names and values of headers.
func (r *Record) Size() int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// A Protector protects records. It is safe for concurrent use.
type Protector interface {
	// Protect returns what may be sent in place of rec. It may append to dst,
	// and refer to it and to rec in what it returns; it changes nothing that rec
	// refers to. It waits, until ctx ends, where a key, a token or a schema must
	// be fetched. One version of the policy decides about one record.
	//
	// The error is an [*Error], with [Rejected] or [Retryable]; it holds names
	// and never data.
	Protect(ctx context.Context, dst []byte, rec *Record) (Record, error)
}
