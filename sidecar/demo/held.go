package demo

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A held record is one as the broker holds it.
type held struct {
	topic      string
	key, value []byte
	headers    []string // their names
	record     *kgo.Record
}

// message returns the record as the proto file of the sidecar has it in JSON.
func (h *held) message() map[string]any {
	type header struct {
		Name  string `json:"name"`
		Value []byte `json:"value"`
	}
	headers := make([]header, len(h.record.Headers))
	for i, x := range h.record.Headers {
		headers[i] = header{x.Key, x.Value}
	}
	out := map[string]any{"topic": h.topic, "value": h.value, "headers": headers}
	if h.key != nil {
		out["key"] = h.key
	}
	return out
}

// next reads the first record of a topic, and remembers it.
func (t *teller) next(ctx context.Context, topic string) (*held, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(t.broker.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for {
		fetches := client.PollRecords(ctx, 1)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read topic %s: %w", topic, err)
		}
		for _, r := range fetches.Records() {
			h := &held{topic: topic, key: r.Key, value: r.Value, record: r}
			for _, x := range r.Headers {
				h.headers = append(h.headers, x.Key)
			}
			t.held = append(t.held, h)
			return h, nil
		}
	}
}
