package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

func (s *shop) consumerClient() (*kgo.Client, error) {
	return kgo.NewClient(append(s.cluster.opts(),
		kgo.ConsumeTopics(s.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
}

// shown is the customer that the demo shows: the first who has everything.
func (s *shop) shown() customers.Customer {
	for _, c := range s.sent {
		if c.Notes != nil && c.Phone != nil && len(c.Emails) > 0 {
			return c
		}
	}
	return s.sent[0]
}

// find returns the record of a customer as it is in Kafka. Its key is clear.
func (s *shop) find(ctx context.Context, id string) (*kgo.Record, error) {
	client, err := s.consumerClient()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if r := it.Next(); string(r.Key) == id {
				return r, nil
			}
		}
	}
}

var parsed = sync.OnceValues(func() (*avro.Schema, error) { return avro.Parse(customers.Schema()) })

// decode reads a customer as any Avro consumer does.
func decode(b []byte, c *customers.Customer) error {
	s, err := parsed()
	if err != nil {
		return err
	}
	rest, err := s.Decode(b, c)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes are left", len(rest))
	}
	return err
}

// compare counts the encrypted values of a customer, and those that differ.
func (s *shop) compare(want, got customers.Customer) (values, different int) {
	w, g := customers.Sensitive(want), customers.Sensitive(got)
	back := make(map[string][]string)
	for _, x := range g {
		back[x.Path] = append(back[x.Path], x.Value)
	}
	for _, x := range w {
		if s.actions[x.Path].Action != "encrypt" {
			continue
		}
		values++
		if left := back[x.Path]; len(left) > 0 && left[0] == x.Value {
			back[x.Path] = left[1:]
		} else {
			different++
		}
	}
	return values, different
}
