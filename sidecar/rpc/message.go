package rpc

import (
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A kind is the form of a message on the wire.
type kind uint8

const (
	kindProduce kind = iota
	kindCheck
	kindProtect
	kindReveal
	kindStream
)

// A request is a message from a client. Each protocol's codec fills it; what is
// wrong with the message is in fault, so that the answer has details, which no
// codec can give.
//
// Records refer to the message they came in. buf holds it when it is of a pool,
// and goes back there in release, once every record has its result.
type request struct {
	kind kind
	lim  *limits

	fault    *failure
	open     bool // of a stream: the message opens it
	mode     produce.Mode
	topic    string // of records that name none
	sequence uint64
	purpose  string
	recs     []produce.Record
	size     int // sum of the sizes of recs

	buf     mem.Buffer
	headers []produce.Header  // room for the headers of recs
	names   map[string]string // names of headers that were seen
	total   int               // headers of all records
}

// limits are those of a [Config] that the decoder keeps.
type limits struct {
	records int
	headers int
}

// maxNames bounds how many names a pooled request remembers.
const maxNames = 64

// maxKeptRecords bounds what a pooled request keeps for the next message.
const maxKeptRecords = 1024

var requests = sync.Pool{New: func() any { return &request{names: map[string]string{}} }} //nolint:gochecknoglobals // a pool has to be shared

func newRequest(k kind, lim *limits) *request {
	r, _ := requests.Get().(*request)
	r.kind, r.lim = k, lim
	return r
}

// release gives the message back. Nothing may refer to the records any more.
func (r *request) release() {
	if r.buf != nil {
		r.buf.Free()
	}
	clear(r.recs)
	clear(r.headers)
	recs, headers, names := r.recs[:0], r.headers[:0], r.names
	if cap(recs) > maxKeptRecords {
		recs = nil
	}
	if cap(headers) > maxKeptRecords {
		headers = nil
	}
	*r = request{recs: recs, headers: headers, names: names}
	requests.Put(r)
}

// A response is a message to a client.
type response struct {
	kind     kind
	results  []produce.Result
	rec      produce.Record // Protect and Reveal
	opened   bool           // of a stream: the answer to open
	sequence uint64
	records  int // window
	bytes    int // window

	// from is what a unary response answers. It is released by the codec, because
	// a protected record may refer to it.
	from *request
}

func (r *response) release() {
	if r.from != nil {
		r.from.release()
		r.from = nil
	}
}
