package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// An Observer hears of calls of ProduceService and ProtectService. It is safe for
// concurrent use, and called by the goroutine of the call.
type Observer interface {
	// Called is called once for each call and stream that has ended, refused ones
	// too. The context is that of [Guard.Authenticate], or of the transport when the
	// caller was not let in.
	Called(ctx context.Context, c Call)
}

// A Call is what an [Observer] hears of one call or stream. It holds names and
// numbers, and no data.
type Call struct {
	// Protocol is "grpc", "grpc-web" or "connect".
	Protocol string
	// Procedure is one of [Procedures].
	Procedure string
	// Topic is empty unless all records are of one topic and one of them at least
	// was taken: what else stands there is what a caller wrote.
	Topic string
	// Request is what [Deps.RequestID] says.
	Request string
	// Status is that of the call.
	Status codes.Code
	// Code is the reason why the call failed, or else the [produce.Code] of the
	// first record that did, and empty where all is well.
	Code string
	// Records were answered, Failed of them with an error, of which Unknown may
	// have been delivered. BytesIn is the size of their keys, values and headers.
	Records, Failed, Unknown, BytesIn int
	Took                              time.Duration
}

// Procedures are the methods of which an [Observer] hears.
func Procedures() []string {
	return []string{
		v1.ProduceService_Produce_FullMethodName, v1.ProduceService_Check_FullMethodName, v1.ProduceService_ProduceStream_FullMethodName,
		v1.ProtectService_Protect_FullMethodName, v1.ProtectService_Reveal_FullMethodName,
	}
}

// A tally gathers what is to be told of a call. Its methods may be called on nil,
// and by the goroutine of the call only.
type tally struct {
	call  Call
	fault *failure
	ended bool // the handler came to an end by itself
	begun time.Time
	mixed bool            // records of several topics
	named context.Context //nolint:containedctx // of the Guard; the tally ends with the call
}

type tallyKey struct{}

// observed returns a context whose call is counted, and what tells of its end. Both
// cost nothing without an [Observer].
// given are the values of the header x-request-id.
func (s *Server) observed(ctx context.Context, protocol, procedure string, given []string) (counted context.Context, t *tally, done func()) {
	if s.deps.Observer == nil {
		return ctx, nil, func() {}
	}
	t = &tally{call: Call{Protocol: protocol, Procedure: procedure}, begun: time.Now(), named: ctx}
	if s.deps.RequestID != nil {
		t.call.Request = s.deps.RequestID(given)
	}
	return context.WithValue(ctx, tallyKey{}, t), t, func() {
		c := t.call
		c.Took = time.Since(t.begun)
		if c.Failed >= c.Records {
			c.Topic = ""
		}
		switch {
		case t.fault != nil:
			c.Status, c.Code = t.fault.code, t.fault.reason
		case !t.ended:
			// Its message could not be read, so nobody was called.
			c.Status, c.Code = codes.InvalidArgument, string(produce.CodeInvalid)
		}
		s.deps.Observer.Called(t.named, c)
	}
}

func tallyOf(ctx context.Context) *tally {
	t, _ := ctx.Value(tallyKey{}).(*tally)
	return t
}

// authenticated notes the context of a caller who was let in.
func (t *tally) authenticated(ctx context.Context) {
	if t != nil {
		t.named = ctx
	}
}

// fail notes why the call failed, and returns it.
func (t *tally) fail(f *failure) *failure {
	if t != nil && f != nil {
		t.fault = f
	}
	return f
}

// end notes that the handler returned without a failure.
func (t *tally) end() {
	if t != nil {
		t.ended = true
	}
}

// asked counts the records of a message. Names of topics are copied: the message
// is used again.
func (t *tally) asked(r *request) {
	if t == nil {
		return
	}
	t.call.BytesIn += r.size
	t.call.Records += len(r.recs)
	for i := range r.recs {
		switch topic := r.recs[i].Topic; {
		case t.mixed || topic == t.call.Topic:
		case t.call.Topic == "":
			t.call.Topic = strings.Clone(topic)
		default:
			t.call.Topic, t.mixed = "", true
		}
	}
}

// answered counts results.
func (t *tally) answered(results []produce.Result) {
	if t == nil {
		return
	}
	for i := range results {
		res := &results[i]
		if res.Err == nil {
			continue
		}
		t.call.Failed++
		if res.Outcome == produce.Unknown {
			t.call.Unknown++
		}
		if t.call.Code == "" {
			t.call.Code = string(res.Err.Code)
		}
	}
}
