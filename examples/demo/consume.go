package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
)

// look consumes everything as a consumer does who knows nothing of protection.
func (s *shop) look(ctx context.Context) error {
	s.titlef("3. What a consumer without the key sees")
	client, err := s.consumerClient(s.topic)
	if err != nil {
		return err
	}
	defer client.Close()
	want := s.sent[s.shown]
	var shown customers.Customer
	seen := make(map[string]bool, s.records)
	for len(seen) < s.records {
		fetches, err := poll(ctx, client)
		if err != nil {
			return fmt.Errorf("after %d of %d records: %w", len(seen), s.records, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			c, err := s.form.decode(r.Value)
			if err != nil {
				return fmt.Errorf("a protected record is no valid record of its schema: %w", err)
			}
			if seen[c.ID] = true; c.ID == want.ID {
				shown, s.held = c, r
			}
		}
	}
	if s.held == nil {
		return errors.New("the broker holds another record in the place of one that was sent")
	}
	s.sideBySide("sent by the service", want, "held by the broker", shown, rows(want))
	s.printf("\n%s records are still valid %s.\n", thousands(len(seen)), s.form.title())
	return nil
}

// readBack consumes everything with the key, and compares it with what was sent.
func (s *shop) readBack(ctx context.Context) error {
	s.titlef("4. What a consumer with the key sees")
	before := s.kms.unwrapped.Load()
	p, err := s.newProcess(ctx, true)
	if err != nil {
		return err
	}
	defer p.close()
	client, err := s.consumerClient(s.topic)
	if err != nil {
		return err
	}
	defer client.Close()
	consumer, err := kgocrypt.NewConsumer(client, p.Engine)
	if err != nil {
		return err
	}
	var (
		t     tally
		shown customers.Customer
		seen  = make(map[string]bool, s.records)
		start = time.Now()
	)
	for len(seen) < s.records {
		pctx, cancel := context.WithTimeout(ctx, patience)
		batch := consumer.Poll(pctx, 0)
		held := batch.Fetches.Records()
		for r, err := range batch.All() {
			if err != nil {
				cancel()
				return fmt.Errorf("after %d of %d records: %w", len(seen), s.records, err)
			}
			id, revealed, err := s.compare(&t, held[0].Value, r.Value)
			if err != nil {
				cancel()
				return err
			}
			if held, seen[id] = held[1:], true; id == s.sent[s.shown].ID {
				shown = revealed
			}
		}
		cancel()
	}
	took := time.Since(start)
	want := s.sent[s.shown]
	governed := slices.DeleteFunc(rows(want), func(r row) bool { return s.actions[r.path].Action == "" })
	s.sideBySide("sent by the service", want, "revealed by the consumer", shown, governed)
	s.printf("\n%s records in %v, KMS calls: %d.\n",
		thousands(len(seen)), took.Round(time.Millisecond), s.kms.unwrapped.Load()-before)
	s.printf("%s encrypted values revealed and compared with the original: %s differences.\n",
		thousands(t.encrypted), s.verdict(t.different == 0, thousands(t.different)))
	s.printf("%s values that were masked, replaced or dropped stay so.\n", thousands(t.oneWay))
	return t.err()
}

// loseHeader reveals a record that lost the header with its wrapped data key,
// as sinks and stream jobs do to records.
func (s *shop) loseHeader(ctx context.Context) error {
	rec := fieldcrypt.Record{Topic: s.held.Topic, Key: s.held.Key, Value: s.held.Value}
	for _, h := range s.held.Headers {
		if h.Key != fieldcrypt.HeaderKey {
			rec.Headers = append(rec.Headers, fieldcrypt.Header(h))
		}
	}
	if len(rec.Headers) == len(s.held.Headers) {
		return fmt.Errorf("the record has no header %s to lose", fieldcrypt.HeaderKey)
	}
	with, err := s.newProcess(ctx, true)
	if err != nil {
		return err
	}
	defer with.close()
	out, err := with.Reveal(ctx, rec)
	if err != nil {
		return fmt.Errorf("a record without its header %s: %w", fieldcrypt.HeaderKey, err)
	}
	var t tally
	if _, _, err := s.compare(&t, rec.Value, out.Value); err != nil {
		return err
	}
	if err := t.err(); err != nil {
		return fmt.Errorf("a record without its header %s: %w", fieldcrypt.HeaderKey, err)
	}
	s.printf("\nA record that lost its header %s opens too: the key topic has its data key.\n", fieldcrypt.HeaderKey)

	// The control: it is the key topic that opened it.
	without, err := s.newProcess(ctx, false)
	if err != nil {
		return err
	}
	defer without.close()
	switch _, err := without.Reveal(ctx, rec); {
	case err == nil:
		return errors.New("a record opens without header and key topic")
	case !errors.Is(err, datakey.ErrUnknownKey):
		return fmt.Errorf("a record without header and key topic: %w", err)
	}
	s.printf("Without header and key topic it stays closed: %v.\n", datakey.ErrUnknownKey)
	return nil
}

func (s *shop) consumerClient(topics ...string) (*kgo.Client, error) {
	return kgo.NewClient(append(s.cluster.opts(),
		kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
}

// poll waits for records, but not forever.
func poll(ctx context.Context, client *kgo.Client) (kgo.Fetches, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fetches := client.PollFetches(ctx)
	return fetches, fetches.Err()
}

// A tally counts what became of values.
type tally struct {
	encrypted, oneWay, different int
	first                        string // where the first difference is
}

func (t *tally) differ(id, where string) {
	if t.different == 0 {
		t.first = where + " of customer " + id
	}
	t.different++
}

func (t *tally) err() error {
	if t.different == 0 {
		return nil
	}
	return fmt.Errorf("%d values are not what they should be, the first is %s", t.different, t.first)
}

// compare holds one record, as the broker has it and as it was revealed, against
// what was sent: what was encrypted must be an envelope and come back, what was
// taken must stay so, and all else must be untouched throughout.
func (s *shop) compare(t *tally, heldValue, revealedValue []byte) (id string, revealed customers.Customer, err error) {
	held, err := s.form.decode(heldValue)
	if err != nil {
		return "", revealed, fmt.Errorf("held record: %w", err)
	}
	if revealed, err = s.form.decode(revealedValue); err != nil {
		return "", revealed, fmt.Errorf("revealed record: %w", err)
	}
	id = revealed.ID
	i, ok := s.byID[id]
	if !ok || held.ID != id {
		return "", revealed, errors.New("a record that nobody sent")
	}
	sent := s.sent[i]
	was, is, now := byPath(sent), byPath(held), byPath(revealed)
	for path, values := range was {
		switch s.actions[path].Action {
		case "encrypt":
			t.encrypted += len(values)
			if !slices.Equal(values, now[path]) || len(is[path]) != len(values) {
				t.differ(id, path)
			}
			for _, v := range is[path] {
				if !strings.HasPrefix(v, "fv1:") {
					t.differ(id, path)
				}
			}
		case "mask", "constant", "drop":
			t.oneWay += len(values)
			if !slices.Equal(is[path], now[path]) {
				t.differ(id, path)
			}
		default:
			return "", revealed, fmt.Errorf("no action for %s", path)
		}
	}
	want, err := untagged(sent)
	if err != nil {
		return "", revealed, err
	}
	for _, c := range []customers.Customer{held, revealed} {
		if b, err := untagged(c); err != nil || !bytes.Equal(b, want) {
			t.differ(id, "a field without a tag")
		}
	}
	return id, revealed, nil
}

func byPath(c customers.Customer) map[string][]string {
	out := make(map[string][]string)
	for _, x := range customers.Sensitive(c) {
		out[x.Path] = append(out[x.Path], x.Value)
	}
	return out
}

// untagged returns the encoded customer without all that has a tag.
func untagged(c customers.Customer) ([]byte, error) {
	c.FullName, c.DateOfBirth, c.NationalID, c.CardNumber = "", "", "", ""
	c.Emails, c.Phone, c.Notes = nil, nil, nil
	c.Address.Street = ""
	if c.ShippingAddress != nil {
		a := *c.ShippingAddress
		a.Street = ""
		c.ShippingAddress = &a
	}
	return customers.Encode(nil, c)
}
