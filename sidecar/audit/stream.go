package audit

import (
	"context"
	"fmt"
	"io"
	"time"
)

// A stream is a sink that cannot be read back. Each opening begins a trail.
type stream struct {
	send func(ctx context.Context, b *batch) error
}

func (s *stream) open(_ context.Context, durable *Head) (Head, *Entry, []byte, error) {
	head := begin(newTrail())
	if durable == nil {
		return head, nil, nil, nil
	}
	return head, &Entry{
		Action: actionResumed, Outcome: Done, Reason: "the trail before could not be written",
		Target: fmt.Sprintf("%v/%d", durable.Trail, durable.Seq),
	}, nil, nil
}

func (s *stream) commit(ctx context.Context, b *batch) error { return s.send(ctx, b) }

func (s *stream) close() error { return nil }

// writerSink writes batches to w. What a failed write left of a line is ended
// before the next one.
func writerSink(w io.Writer) func(context.Context, *batch) error {
	torn := false
	return func(_ context.Context, b *batch) error {
		text := b.text
		if torn {
			text = append([]byte("\n"), text...)
		}
		n, err := w.Write(text)
		if err == nil && n < len(text) {
			err = io.ErrShortWrite
		}
		torn = err != nil && (torn || n > 0)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		return nil
	}
}

// kafkaSink sends each line as a record, whose key is the trail: so all of it is
// in one partition, in order.
func kafkaSink(p Producer, topic string, timeout time.Duration) func(context.Context, *batch) error {
	return func(ctx context.Context, b *batch) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		values := make([][]byte, 0, len(b.ends))
		start := 0
		for _, end := range b.ends {
			// Without the line feed: a record has an end of its own.
			values = append(values, b.text[start:end-1:end-1])
			start = end
		}
		if err := p.Produce(ctx, topic, b.last.Trail[:], values); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		return nil
	}
}
