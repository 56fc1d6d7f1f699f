package rpc

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// maxMargin is the most that a call ends before its caller stops waiting.
const maxMargin = 100 * time.Millisecond

// call does what a unary request asks for. ctx is that of [Guard.Authenticate].
// The response keeps r until it is encoded.
func (s *Server) call(ctx context.Context, r *request) (*response, *failure) {
	t := tallyOf(ctx)
	if r.fault != nil {
		return nil, t.fail(r.fault)
	}
	t.asked(r)
	out, fault := s.answer(ctx, r)
	if fault != nil {
		if t != nil {
			t.call.Failed = len(r.recs)
		}
		return nil, t.fail(fault)
	}
	t.answered(out.results)
	t.end()
	return out, nil
}

func (s *Server) answer(ctx context.Context, r *request) (*response, *failure) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if fault := s.authorize(ctx, r); fault != nil {
		return nil, fault
	}
	release, err := s.deps.Sender.Admit(len(r.recs), r.size)
	if err != nil {
		return nil, s.recordFailure(err, "")
	}
	defer release()

	out := &response{kind: r.kind, from: r}
	switch r.kind {
	case kindProduce:
		out.results = s.send(ctx, r)
	case kindCheck:
		out.results = make([]produce.Result, len(r.recs))
		for i := range r.recs {
			out.results[i] = s.deps.Sender.Check(ctx, r.recs[i])
		}
	case kindProtect:
		rec, err := s.deps.Protector.Protect(ctx, r.recs[0])
		if err != nil {
			return nil, s.recordFailure(err, r.recs[0].Topic)
		}
		out.rec = rec
	case kindReveal:
		var fault *failure
		if out.rec, fault = s.reveal(ctx, r); fault != nil {
			return nil, fault
		}
	default:
		return nil, internal()
	}
	return out, nil
}

// deadline bounds a call, and lets it end a little before its caller stops
// waiting: an outcome that is not known is a result too, and has to arrive.
func (s *Server) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(s.cfg.MaxCallTime)
	if d, ok := ctx.Deadline(); ok {
		d = d.Add(-min(maxMargin, time.Until(d)/10))
		if d.Before(end) {
			end = d
		}
	}
	return context.WithDeadline(ctx, end)
}

// operation is what a request asks the [Guard] for.
func (k kind) operation() Operation {
	switch k {
	case kindCheck:
		return OpCheck
	case kindProtect:
		return OpProtect
	case kindReveal:
		return OpReveal
	case kindProduce, kindStream:
	}
	return OpProduce
}

// authorize asks once for each topic of r. One that is refused refuses all.
func (s *Server) authorize(ctx context.Context, r *request) *failure {
	var some [8]string
	asked := some[:0]
	for i := range r.recs {
		topic := r.recs[i].Topic
		if slices.Contains(asked, topic) {
			continue
		}
		if err := s.deps.Guard.Authorize(ctx, r.kind.operation(), topic, r.purpose); err != nil {
			if r.kind == kindReveal && errors.Is(err, ErrDenied) {
				if fault := s.audit(ctx, r, reasonDenied); fault != nil {
					return fault
				}
			}
			return s.guardFailure(err, topic)
		}
		// A batch of very many topics asks again for some, and is still right.
		if len(asked) == cap(asked) {
			asked = asked[:0]
		}
		asked = append(asked, topic)
	}
	return nil
}

// send produces a batch. Results that are not one for each record say nothing of
// any of them.
func (s *Server) send(ctx context.Context, r *request) []produce.Result {
	results := s.deps.Sender.Produce(ctx, r.recs, r.mode)
	if len(results) == len(r.recs) {
		return results
	}
	return fill(nil, len(r.recs), unknown())
}

// unknown is the result of a record after a fault: it may have been handed over.
func unknown() produce.Result {
	return produce.Result{
		Outcome: produce.Unknown, Partition: -1, Offset: -1, KeySize: -1, ValueSize: -1,
		Err: &produce.Error{Code: produce.CodeInternal, Outcome: produce.Unknown},
	}
}

// fill appends n equal results.
func fill(dst []produce.Result, n int, res produce.Result) []produce.Result {
	for range n {
		dst = append(dst, res)
	}
	return dst
}

// reveal opens a record. The line of the audit log is durable before anything
// leaves.
func (s *Server) reveal(ctx context.Context, r *request) (produce.Record, *failure) {
	rec, err := s.deps.Protector.Reveal(ctx, r.recs[0], r.purpose)
	if err != nil {
		fault := s.recordFailure(err, r.recs[0].Topic)
		if again := s.audit(ctx, r, fault.reason); again != nil {
			return produce.Record{}, again
		}
		return produce.Record{}, fault
	}
	if fault := s.audit(ctx, r, "revealed"); fault != nil {
		return produce.Record{}, fault
	}
	return rec, nil
}

// audit writes a line, also when the caller has hung up.
func (s *Server) audit(ctx context.Context, r *request, outcome string) *failure {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.MaxCallTime)
	defer cancel()
	line := Reveal{Topic: r.recs[0].Topic, Purpose: r.purpose, Outcome: outcome}
	if err := s.deps.Audit.Revealed(ctx, line); err != nil {
		return &failure{
			code: codes.Unavailable, reason: reasonAudit, words: "the audit log cannot be written now",
			topic: line.Topic, retry: s.cfg.RetryAfter,
		}
	}
	return nil
}
