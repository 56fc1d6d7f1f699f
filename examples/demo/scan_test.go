package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

// noise is bytes in which no needle stands.
func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b
}

func TestTheFinderFindsEveryPlantedNeedleWhereverItStands(t *testing.T) {
	needles := []string{"exactly8", "a needle longer than a window", "exactly8 and more", "žluťoučký kůň", "exactly8"}
	hay := noise(50_000)
	for _, n := range needles {
		for _, at := range []int{0, 1, 7, 12_345, len(hay) - len(n)} {
			b := bytes.Clone(hay)
			copy(b[at:], n)
			f, err := newFinder(needles)
			if err != nil {
				t.Fatal(err)
			}
			f.look("hay", b)
			want := 0
			for _, other := range f.needles {
				want += bytes.Count(b, []byte(other))
			}
			if f.total() != want || f.total() == 0 {
				t.Errorf("%q at %d: found %d, want %d", n, at, f.total(), want)
			}
			if !strings.HasPrefix(f.first, "hay at byte ") {
				t.Errorf("%q at %d: the place is %q", n, at, f.first)
			}
		}
	}
}

func TestTheFinderFindsNothingWhereNothingIs(t *testing.T) {
	f, err := newFinder([]string{"exactly8", "a needle longer than a window"})
	if err != nil {
		t.Fatal(err)
	}
	for _, hay := range [][]byte{nil, []byte("exactly"), []byte("exactly9"), []byte("a needle longer than a windo"), noise(50_000)} {
		f.look("hay", hay)
	}
	if f.total() != 0 || f.first != "" {
		t.Errorf("found %d, the first %s", f.total(), f.first)
	}
}

func TestTheFinderCountsNeedlesAndHowOftenTheyStand(t *testing.T) {
	f, err := newFinder([]string{"needle 1", "needle 2", "needle 2", "needle 3"})
	if err != nil {
		t.Fatal(err)
	}
	f.look("a", []byte("needle 1needle 2"))
	f.look("b", []byte("needle 2"))
	if len(f.needles) != 3 || f.found(1) != 2 || f.found(2) != 1 || f.total() != 3 || f.first != "a at byte 0" {
		t.Errorf("needles %d, found once %d and twice %d, in all %d, first %s", len(f.needles), f.found(1), f.found(2), f.total(), f.first)
	}
}

func TestANeedleBelowAWindowIsRefused(t *testing.T) {
	if _, err := newFinder([]string{"short"}); err == nil {
		t.Error("it is accepted")
	}
}

// newTestShop returns a shop with n customers and an embedded broker without
// records.
func newTestShop(t *testing.T, n int, out *bytes.Buffer) *shop {
	t.Helper()
	dir := t.TempDir()
	s, err := newShop(options{out: out, width: 100, records: n, seed: 7, format: "avro"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.form, err = openForm(s.format, s.topic); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.form.close)
	if s.policy, err = loadPolicy(s.form.policy(), filepath.Join(dir, kekFile), ""); err != nil {
		t.Fatal(err)
	}
	if s.cluster, err = openCluster(nil, filepath.Join(dir, "broker")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cluster.close(false) })
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// send produces records as they are.
func send(t *testing.T, s *shop, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(append(s.cluster.opts(), kgo.DefaultProduceTopic(s.topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestTheScanFailsOnOnePlaintext(t *testing.T) {
	var out bytes.Buffer
	s := newTestShop(t, 50, &out)
	if err := s.produce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.scan(t.Context()); err != nil {
		t.Fatalf("before: %v", err)
	}
	for _, secret := range customers.Sensitive(s.sent[17]) {
		send(t, s, &kgo.Record{Key: []byte("a"), Value: []byte("." + secret.Value)})
		out.Reset()
		err := s.scan(t.Context())
		if err == nil || !strings.Contains(err.Error(), "on the broker in clear, the first in ") {
			t.Errorf("%v: got %v", secret, err)
		} else if strings.Contains(err.Error()+out.String(), secret.Value) {
			t.Errorf("%v: the find is shown", secret)
		}
	}
}

func TestTheScanFailsWhereRecordsAreMissing(t *testing.T) {
	s := newTestShop(t, 50, new(bytes.Buffer))
	values, _, err := s.generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.scan(t.Context()); err == nil || !strings.Contains(err.Error(), "proves nothing") {
		t.Errorf("an empty broker: got %v", err)
	}
	// Ids alone, in keys and values, but not the last one.
	for _, c := range s.sent[:len(values)-1] {
		send(t, s, &kgo.Record{Key: []byte(c.ID), Value: []byte(c.ID)})
	}
	if err := s.scan(t.Context()); err == nil || !strings.Contains(err.Error(), "proves nothing") {
		t.Errorf("one is missing: got %v", err)
	}
	last := s.sent[len(values)-1]
	send(t, s, &kgo.Record{Key: []byte(last.ID), Value: []byte(last.ID)})
	if err := s.scan(t.Context()); err != nil {
		t.Errorf("none is missing: got %v", err)
	}
}
