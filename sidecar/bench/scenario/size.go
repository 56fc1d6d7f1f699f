package scenario

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// defaultCodec shows what encryption takes from compression, where the settings
// name no codec.
const defaultCodec = "zstd"

// sizes returns how large records are before and after, in bytes for each, and how
// large when batches of them are compressed as a client of Kafka does.
func sizes(ctx context.Context, r *rig, p *Params) (*report.Size, error) {
	word := p.Compression
	if word == "" || word == "none" {
		word = defaultCodec
	}
	cc, err := codec(word)
	if err != nil {
		return nil, err
	}
	compress, err := kgo.DefaultCompressor(cc)
	if err != nil {
		return nil, err
	}
	out := &report.Size{Codec: word}
	var before, after []byte
	count := 0.0
	flush := func() {
		out.CompressedBefore += compressed(compress, before)
		out.CompressedAfter += compressed(compress, after)
		before, after = before[:0], after[:0]
	}
	// As many records as a batch has, also where there are few distinct ones; the
	// last batch is as full as the others, or small batches would compress worse.
	batch := p.batch()
	for n := range max(batch, len(r.records)/batch*batch) {
		rec := r.records[n%len(r.records)]
		sealed, err := r.engine.Protect(ctx, rec)
		if err != nil {
			return nil, err
		}
		b, a := whole(rec), whole(sealed)
		out.Before += float64(b)
		out.After += float64(a)
		before, after = appendRecord(before, rec), appendRecord(after, sealed)
		count++
		if n%batch == batch-1 {
			flush()
		}
	}
	out.Before /= count
	out.After /= count
	out.CompressedBefore /= count
	out.CompressedAfter /= count
	return out, nil
}

// whole is the size of a record with key and headers.
func whole(r fieldcrypt.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

func appendRecord(dst []byte, r fieldcrypt.Record) []byte {
	dst = append(append(dst, r.Key...), r.Value...)
	for _, h := range r.Headers {
		dst = append(append(dst, h.Key...), h.Value...)
	}
	return dst
}

func compressed(c kgo.Compressor, b []byte) float64 {
	out, _ := c.Compress(new(bytes.Buffer), b)
	return float64(len(out))
}
