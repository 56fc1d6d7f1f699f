package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

// windowSize is the length of the start by which a finder knows a needle, and
// the least length of a needle.
const windowSize = 8

// A finder looks for many needles in one pass: at each byte it looks the next
// eight up among the starts of the needles. A filter in front, of one bit for
// each of 2^19 hashes, spares it nearly all of these lookups.
type finder struct {
	needles []string
	byStart map[uint64][]int32 // indices into needles
	filter  [1 << 13]uint64
	hits    []int // how often each needle was found
	first   string
}

// newFinder returns a finder of the different ones of needles.
func newFinder(needles []string) (*finder, error) {
	f := &finder{byStart: make(map[uint64][]int32, len(needles))}
	known := make(map[string]bool, len(needles))
	for _, n := range needles {
		if len(n) < windowSize {
			return nil, errors.New("a value is too short to look for")
		}
		if known[n] {
			continue
		}
		known[n] = true
		start := binary.LittleEndian.Uint64([]byte(n[:windowSize]))
		f.byStart[start] = append(f.byStart[start], int32(len(f.needles)))
		h := hash(start)
		f.filter[h/64] |= 1 << (h % 64)
		f.needles = append(f.needles, n)
	}
	f.hits = make([]int, len(f.needles))
	return f, nil
}

func hash(x uint64) uint64 { return x * 0x9E3779B97F4A7C15 >> 45 }

// look counts the needles in hay, which came from the place named where.
func (f *finder) look(where string, hay []byte) {
	for i := 0; i+windowSize <= len(hay); i++ {
		start := binary.LittleEndian.Uint64(hay[i:])
		if h := hash(start); f.filter[h/64]>>(h%64)&1 == 0 {
			continue
		}
		for _, n := range f.byStart[start] {
			needle := f.needles[n]
			if len(needle) <= len(hay)-i && string(hay[i:i+len(needle)]) == needle {
				f.hits[n]++
				if f.first == "" {
					f.first = where + " at byte " + strconv.Itoa(i)
				}
			}
		}
	}
}

// found returns how many of the needles were found n times or more.
func (f *finder) found(n int) int {
	count := 0
	for _, h := range f.hits {
		if h >= n {
			count++
		}
	}
	return count
}

// total returns how often any needle was found.
func (f *finder) total() int {
	sum := 0
	for _, h := range f.hits {
		sum += h
	}
	return sum
}

// scan looks for every protected plaintext in what the broker holds: every byte
// of its files where it is embedded, every record where it is not.
// Two controls show that it would find them: the same search over the records
// as they were before protection, and for ids that are not protected.
func (s *shop) scan(ctx context.Context) error {
	s.titlef("5. Looking for plaintext in what the broker holds")
	secrets, control, ids, err := s.finders()
	if err != nil {
		return err
	}
	var (
		size  int
		parts = make(map[string]bool) // partitions seen
	)
	look := func(part, where string, b []byte) {
		if size += len(b); part != "" {
			parts[part] = true
		}
		secrets.look(where, b)
		ids.look(where, b)
	}
	what := "every file of the broker"
	if s.cluster.fake != nil {
		// The files hold the record batches as they came, and whatever else the
		// broker keeps. Records are in the directory of their partition.
		err = s.cluster.files(func(name string, b []byte) {
			part := ""
			if filepath.Ext(name) == ".dat" {
				part = filepath.Dir(name)
			}
			look(part, name, b)
		})
	} else {
		what = "every key, value and header of both topics"
		err = s.allRecords(ctx, look)
	}
	if err != nil {
		return err
	}
	s.printf("scanned %s bytes in %d partitions for %s protected values: %s found\n",
		thousands(size), len(parts), thousands(len(secrets.needles)), s.verdict(secrets.total() == 0, thousands(secrets.total())))
	s.printf("  That was %s.\n", what)
	s.printf("  Control: in the records before protection the search finds %s of %s.\n",
		s.verdict(control.found(1) == len(control.needles), thousands(control.found(1))), thousands(len(control.needles)))
	// An id stands in the key of its record and in the value.
	s.printf("  Control: it finds %s of %s customer ids, which stay clear,\n  such as %s.\n",
		s.verdict(ids.found(2) == s.records, thousands(ids.found(2))), thousands(s.records), ids.needles[0])
	switch {
	case secrets.total() > 0:
		return fmt.Errorf("%d protected values are on the broker in clear, the first in %s", secrets.found(1), secrets.first)
	case control.found(1) < len(control.needles) || ids.found(2) < s.records:
		return errors.New("the search does not find what is there, so it proves nothing")
	}
	return nil
}

// finders returns one of the secrets to use on the broker, one of the secrets
// that has seen the records before protection, and one of the customer ids.
func (s *shop) finders() (secrets, control, ids *finder, err error) {
	var plain, known []string
	for _, c := range s.sent {
		for _, x := range customers.Sensitive(c) {
			plain = append(plain, x.Value)
		}
		known = append(known, c.ID)
	}
	if secrets, err = newFinder(plain); err != nil {
		return nil, nil, nil, err
	}
	again := *secrets
	again.hits = make([]int, len(again.needles))
	var b []byte
	for _, c := range s.sent {
		if b, err = s.form.Encode(b[:0], c); err != nil {
			return nil, nil, nil, err
		}
		again.look("", b)
	}
	ids, err = newFinder(known)
	return secrets, &again, ids, err
}

// allRecords calls look with every record that a real cluster holds in the
// topics of the demo.
func (s *shop) allRecords(ctx context.Context, look func(part, where string, b []byte)) error {
	left, err := s.cluster.ends(ctx, s.topic, s.keyTopic)
	if err != nil {
		return err
	}
	client, err := s.consumerClient(s.topic, s.keyTopic)
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches, err := poll(ctx, client)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			part := r.Topic + "-" + strconv.Itoa(int(r.Partition))
			b := append(append([]byte(nil), r.Key...), r.Value...)
			for _, h := range r.Headers {
				b = append(append(append(b, h.Key...), ' '), h.Value...)
			}
			look(part, part+" offset "+strconv.FormatInt(r.Offset, 10), b)
			if end, ok := left[part]; ok && r.Offset+1 >= end {
				delete(left, part)
			}
		}
	}
	return nil
}
