package rpc

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// An answer is a result in the words of the API. A result that contradicts
// itself is a fault and never reads as delivered.
func answer(res *produce.Result) (v1.Outcome, *produce.Error) {
	if res.Outcome == produce.Delivered && res.Err == nil {
		return v1.Outcome_OUTCOME_DELIVERED, nil
	}
	err := res.Err
	if err == nil {
		err = &produce.Error{Code: produce.CodeInternal}
	}
	switch res.Outcome {
	case produce.Rejected:
		return v1.Outcome_OUTCOME_REJECTED, err
	case produce.Retryable:
		return v1.Outcome_OUTCOME_RETRYABLE, err
	default:
		return v1.Outcome_OUTCOME_UNKNOWN, err
	}
}

// encode appends the message that r is.
func (r *response) encode(dst []byte) []byte {
	switch r.kind {
	case kindProduce:
		return appendResults(dst, 1, r.results)
	case kindCheck:
		for i := range r.results {
			var at int
			dst, at = open(dst, 1)
			dst = shut(appendCheck(dst, &r.results[i]), at)
		}
		return dst
	case kindProtect, kindReveal:
		dst, at := open(dst, 1)
		return shut(appendRecord(dst, &r.rec), at)
	case kindStream:
	}
	if r.opened {
		dst, at := open(dst, 1)
		dst = appendUint(dst, 1, uint64(r.records)) //nolint:gosec // Validate allows no negative window
		dst = appendUint(dst, 2, uint64(r.bytes))   //nolint:gosec // as above
		return shut(dst, at)
	}
	dst, at := open(dst, 2)
	dst = appendUint(dst, 1, r.sequence)
	return shut(appendResults(dst, 2, r.results), at)
}

// open begins a field that is a message, with one byte for its length. shut
// fills that in and moves the message on where one byte does not hold it.
func open(dst []byte, num protowire.Number) ([]byte, int) {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return append(dst, 0), len(dst)
}

func shut(dst []byte, at int) []byte {
	n := uint64(len(dst) - at - 1) //nolint:gosec // the message begins behind at
	if n < 0x80 {
		dst[at] = byte(n)
		return dst
	}
	end := len(dst)
	dst = append(dst, make([]byte, protowire.SizeVarint(n)-1)...)
	copy(dst[at+protowire.SizeVarint(n):], dst[at+1:end])
	protowire.AppendVarint(dst[:at], n)
	return dst
}

func appendResults(dst []byte, num protowire.Number, results []produce.Result) []byte {
	for i := range results {
		var at int
		dst, at = open(dst, num)
		dst = shut(appendResult(dst, &results[i]), at)
	}
	return dst
}

func appendResult(dst []byte, res *produce.Result) []byte {
	outcome, err := answer(res)
	dst = appendUint(dst, 1, uint64(outcome)) //nolint:gosec // an enum of small numbers
	if err != nil {
		dst = appendText(dst, 2, string(err.Code))
		dst = appendText(dst, 3, err.Path)
		dst = appendText(dst, 7, err.Tag)
		dst = appendText(dst, 8, err.Action)
		return appendUint(dst, 9, uint64(err.Kafka)) //nolint:gosec // negative numbers are written as protocol buffers do
	}
	dst = protowire.AppendTag(dst, 4, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(res.Partition)) //nolint:gosec // as above
	dst = protowire.AppendTag(dst, 5, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(res.Offset)) //nolint:gosec // as above
	return appendTime(dst, 6, res.Timestamp)
}

func appendCheck(dst []byte, res *produce.Result) []byte {
	if accepted(res) {
		dst = appendUint(dst, 1, 1)
		dst = appendSize(dst, 7, res.KeySize)
		return appendSize(dst, 8, res.ValueSize)
	}
	outcome, err := answer(res)
	dst = appendUint(dst, 2, uint64(outcome)) //nolint:gosec // an enum of small numbers
	dst = appendText(dst, 3, string(err.Code))
	dst = appendText(dst, 4, err.Path)
	dst = appendText(dst, 5, err.Tag)
	return appendText(dst, 6, err.Action)
}

// accepted says whether a Check found nothing against a record.
func accepted(res *produce.Result) bool { return res.Err == nil }

func appendRecord(dst []byte, rec *produce.Record) []byte {
	dst = appendText(dst, 1, rec.Topic)
	if rec.Partition >= 0 {
		dst = protowire.AppendTag(dst, 2, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(rec.Partition))
	}
	dst = appendBytes(dst, 3, rec.Key)
	dst = appendBytes(dst, 4, rec.Value)
	for i := range rec.Headers {
		var at int
		dst, at = open(dst, 5)
		dst = appendText(dst, 1, rec.Headers[i].Key)
		dst = shut(appendBytes(dst, 2, rec.Headers[i].Value), at)
	}
	return appendTime(dst, 6, rec.Timestamp)
}

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

// appendSize writes a size, and nothing for a null.
func appendSize(dst []byte, num protowire.Number, n int) []byte {
	if n < 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, uint64(n))
}

func appendText(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

// appendBytes writes bytes that may be null.
func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	if b == nil {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}

func appendTime(dst []byte, num protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	dst, at := open(dst, num)
	dst = appendUint(dst, 1, uint64(t.Unix()))       //nolint:gosec // negative numbers are written as protocol buffers do
	dst = appendUint(dst, 2, uint64(t.Nanosecond())) //nolint:gosec // never negative
	return shut(dst, at)
}
