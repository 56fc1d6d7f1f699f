package engine

import (
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/tokenize"
)

var _ produce.Protector = (*Engine)(nil)

// Protect implements [produce.Protector].
func (e *Engine) Protect(ctx context.Context, dst []byte, rec *produce.Record) (produce.Record, error) {
	in := fieldcrypt.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value}
	if len(rec.Headers) > 0 {
		in.Headers = make([]fieldcrypt.Header, len(rec.Headers))
		for i, h := range rec.Headers {
			in.Headers[i] = fieldcrypt.Header(h)
		}
	}
	out, err := e.crypt.AppendProtected(ctx, dst, in)
	if err != nil {
		return produce.Record{}, refusal(err)
	}
	return result(rec, &out), nil
}

// Reveal returns rec as it was before it was protected, in the name of a reader
// who may have it and for whom that was written down. Tokens stay tokens without
// an access.
func (e *Engine) Reveal(ctx context.Context, rec *produce.Record, access tokenize.Access) (produce.Record, error) {
	in := fieldcrypt.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value, Headers: make([]fieldcrypt.Header, len(rec.Headers))}
	for i, h := range rec.Headers {
		in.Headers[i] = fieldcrypt.Header(h)
	}
	if access != (tokenize.Access{}) {
		ctx = tokenize.ContextWithAccess(ctx, access)
	}
	out, err := e.crypt.Reveal(ctx, in)
	if err != nil {
		return produce.Record{}, refusal(err)
	}
	return result(rec, &out), nil
}

func result(rec *produce.Record, out *fieldcrypt.Record) produce.Record {
	res := produce.Record{Topic: rec.Topic, Partition: rec.Partition, Key: out.Key, Value: out.Value, Timestamp: rec.Timestamp}
	if len(out.Headers) > 0 {
		res.Headers = make([]produce.Header, len(out.Headers))
		for i, h := range out.Headers {
			res.Headers[i] = produce.Header(h)
		}
	}
	return res
}

// refusal turns an error of the engine into one of the pipeline.
func refusal(err error) error {
	f, ok := errors.AsType[*fieldcrypt.Error](err)
	if !ok {
		return &produce.Error{Code: produce.CodeInternal, Outcome: produce.Rejected}
	}
	out := &produce.Error{Code: produce.Code(f.Code), Outcome: produce.Rejected, Path: f.Path, Tag: f.Tag, Action: f.Action}
	if f.Code == fieldcrypt.CodeCanceled {
		out.Code = produce.CodeCanceled
	}
	if f.Retryable() || f.Code == fieldcrypt.CodeCanceled {
		out.Outcome = produce.Retryable
	}
	return out
}
