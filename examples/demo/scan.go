package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

// A finder looks for many values at once. All are at least eight bytes long.
type finder struct {
	byStart map[uint64][]string
	filter  [1 << 13]uint64 // one bit for each of 2^19 hashes of a start
}

const windowSize = 8

func newFinder(values []string) (*finder, error) {
	f := &finder{byStart: make(map[uint64][]string, len(values))}
	for _, v := range values {
		if len(v) < windowSize {
			return nil, errors.New("a value is too short to look for")
		}
		start := binary.LittleEndian.Uint64([]byte(v[:windowSize]))
		f.byStart[start] = append(f.byStart[start], v)
		h := hash(start)
		f.filter[h/64] |= 1 << (h % 64)
	}
	return f, nil
}

func hash(x uint64) uint64 { return x * 0x9E3779B97F4A7C15 >> 45 }

// count returns how often any of the values stands in b.
func (f *finder) count(b []byte) int {
	n := 0
	for i := 0; i+windowSize <= len(b); i++ {
		start := binary.LittleEndian.Uint64(b[i:])
		if h := hash(start); f.filter[h/64]>>(h%64)&1 == 0 {
			continue
		}
		for _, v := range f.byStart[start] {
			if len(v) <= len(b)-i && string(b[i:i+len(v)]) == v {
				n++
			}
		}
	}
	return n
}

// scan looks for every protected plaintext in every byte that the broker holds,
// and for a clear value, to show that it would find one.
func (s *shop) scan(ctx context.Context) error {
	s.titlef("5. Looking for plaintext in what the broker holds")
	var secret, known []string
	for _, c := range s.sent {
		for _, x := range customers.Sensitive(c) {
			secret = append(secret, x.Value)
		}
		known = append(known, c.ID)
	}
	secrets, err := newFinder(secret)
	if err != nil {
		return err
	}
	controls, err := newFinder(known)
	if err != nil {
		return err
	}
	size, parts, found, control := 0, 0, 0, 0
	look := func(_ string, b []byte) {
		size, parts = size+len(b), parts+1
		found, control = found+secrets.count(b), control+controls.count(b)
	}
	what := "files of the broker"
	if s.cluster.fake != nil {
		err = s.cluster.files(look)
	} else {
		what = "records, with keys and headers"
		err = s.allRecords(ctx, look)
	}
	if err != nil {
		return err
	}
	s.printf("%s bytes in %s %s, %s protected values:\n", thousands(size), thousands(parts), what, thousands(len(secret)))
	s.printf("  protected values found:  %s\n", s.verdict(found == 0, thousands(found)))
	s.printf("  customer ids, not protected, found:  %s (so the search works)\n", s.verdict(control >= s.records, thousands(control)))
	switch {
	case found > 0:
		return fmt.Errorf("%d protected values are on the broker in clear", found)
	case control < s.records:
		return fmt.Errorf("the search found %d of %d clear values, so it proves nothing", control, s.records)
	}
	return nil
}

// allRecords calls look with the parts of every record that a real cluster
// holds in the topic.
func (s *shop) allRecords(ctx context.Context, look func(string, []byte)) error {
	client, err := s.consumerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	for seen := 0; seen < s.records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); seen++ {
			r := it.Next()
			b := append(append([]byte(nil), r.Key...), r.Value...)
			for _, h := range r.Headers {
				b = append(append(b, h.Key...), h.Value...)
			}
			look("", b)
		}
	}
	return nil
}
