package census

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

const (
	topic      = "people"
	partitions = 6
	text       = `{"type": "record", "name": "Person", "namespace": "com.example", "fields": [
	  {"name": "id", "type": "long"},
	  {"name": "email", "type": "string", "confluent:tags": ["PII"]},
	  {"name": "card", "type": "bytes", "confluent:tags": ["PCI"]},
	  {"name": "note", "type": "string"}]}`
	policy = `
version: 1
dataset: people
tenant: {from: header:tenant, required: false}
keys:
  pii: {kek: "%[1]s", also: [%[3]s]}
  pci: {kek: "%[2]s", also: [%[4]s]}
rules:
  - {tag: PCI, action: encrypt, key: pci}
  - {tag: PII, action: encrypt, key: pii}
topics: [{match: "people*"}]
`
)

type person struct {
	ID    int64  `avro:"id"`
	Email string `avro:"email"`
	Card  []byte `avro:"card"`
	Note  string `avro:"note"`
}

var encoder = avro.MustParse(text)

// value encodes the n-th person.
func value(tb testing.TB, n int, note string) []byte {
	tb.Helper()
	p := person{int64(n), fmt.Sprintf("person%d@example.com", n), fmt.Appendf(nil, "4111-%08d", n), note}
	b, err := encoder.AppendEncode(binary.BigEndian.AppendUint32([]byte{0}, 1), &p)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// keks makes KEK files and returns their URIs.
func keks(t *testing.T, names ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var out []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := localkms.Create(path); err != nil {
			t.Fatal(err)
		}
		out = append(out, localkms.Scheme+":"+path)
	}
	return out
}

// policyOf spells a policy that seals under two KEKs and opens under all.
func policyOf(pii, pci string, all []string) string {
	also := func(but string) (list string) {
		for _, k := range all {
			if k != but {
				list += fmt.Sprintf("%q,", k)
			}
		}
		return list
	}
	return fmt.Sprintf(policy, pii, pci, also(pii), also(pci))
}

func engineOf(tb testing.TB, policy string, w kms.Wrapper, opts ...datakey.Option) *fieldcrypt.Engine {
	tb.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := datakey.New(w, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(schema.Static{1: {Format: schema.Avro, Schema: text}}))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func clientOf(tb testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cl.Close)
	return cl
}

func createTopic(tb testing.TB, addr, name string, n int32, configs map[string]string) {
	tb.Helper()
	c := map[string]*string{}
	for k, v := range configs {
		c[k] = &v
	}
	if _, err := kadm.NewClient(clientOf(tb, addr)).CreateTopic(tb.Context(), n, 1, c, name); err != nil {
		tb.Fatal(err)
	}
}

// wanted is a number of records to seed.
func wanted() int {
	if n, err := strconv.Atoi(os.Getenv("FIELDVEIL_CENSUS_RECORDS")); err == nil && n > 0 {
		return n
	}
	return 100_000
}

// A tally is what there is in a topic: the truth, or what a census says.
type tally struct {
	records, plain, unknown int64
	uses                    map[use]span
}

type use struct {
	id, kek, tenant string
	partition       int32
}

type span struct{ records, first, last int64 }

func tallyOf(c *keyops.Census) tally {
	out := tally{uses: map[use]span{}}
	out.records, out.plain, out.unknown = c.Records()
	for _, k := range c.Keys {
		for _, s := range k.Spans {
			out.uses[use{k.ID, k.KEK, k.Tenant, s.Partition}] = span{s.Records, s.First, s.Last}
		}
	}
	return out
}

// compare tells where two tallies differ.
func compare(t *testing.T, got, want tally) {
	t.Helper()
	if got.records != want.records || got.plain != want.plain || got.unknown != want.unknown {
		t.Errorf("%d records, %d plain, %d unknown; there are %d, %d, %d", got.records, got.plain, got.unknown, want.records, want.plain, want.unknown)
	}
	if !maps.Equal(got.uses, want.uses) {
		t.Errorf("the census has %d keys in partitions, there are %d", len(got.uses), len(want.uses))
		shown := 0
		for u, s := range want.uses {
			if got.uses[u] != s && shown < 10 {
				shown++
				t.Errorf("%+v: %+v, there are %+v", u, got.uses[u], s)
			}
		}
	}
}

// note adds a record to the truth, by what its writer knows of it.
func (w *tally) note(r *kgo.Record, headers []fieldcrypt.Header, bare bool) {
	w.records++
	for _, h := range headers {
		if h.Key != fieldcrypt.HeaderKey {
			continue
		}
		info, err := datakey.DescribeBlock(h.Value)
		if err != nil {
			panic(err)
		}
		u := use{info.ID.String(), info.KEK, info.Tenant, r.Partition}
		if bare {
			u.kek, u.tenant = "", ""
		}
		s, ok := w.uses[u]
		if !ok || r.Offset < s.first {
			s.first = r.Offset
		}
		s.records++
		s.last = max(s.last, r.Offset)
		w.uses[u] = s
	}
}

// seed writes n records as many processes would have: each has its own data keys,
// a policy of its own, several tenants; some records lose their headers, some were
// never protected, and some are damaged. It returns the truth.
func seed(t *testing.T, addr string, n int, all []string) tally {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	client := clientOf(t, addr, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(100_000))
	truth := tally{uses: map[use]span{}}
	results := make(chan func(), 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range results {
			f()
		}
	}()
	const processes = 25
	var failure error
	for process := range processes {
		pii, pci := all[rnd.IntN(len(all))], all[rnd.IntN(len(all))]
		e := engineOf(t, policyOf(pii, pci, all), localkms.New())
		for i := process; i < n; i += processes {
			rec := fieldcrypt.Record{Topic: topic, Value: value(t, i, "")}
			if tenant := []string{"", "acme", "zen"}[rnd.IntN(3)]; tenant != "" {
				rec.Headers = []fieldcrypt.Header{{Key: "tenant", Value: []byte(tenant)}}
			}
			kind := rnd.IntN(1000)
			r := &kgo.Record{Topic: topic, Partition: int32(rnd.IntN(partitions))}
			out, bare := rec, kind < 100
			switch {
			case kind < 990:
				var err error
				if out, err = e.Protect(t.Context(), rec); err != nil {
					t.Fatal(err)
				}
				r.Value = out.Value
			case kind < 995: // a tombstone
				r.Key = fmt.Appendf(nil, "%d", i)
			default:
				r.Value = rec.Value[:6]
			}
			if !bare {
				for _, h := range out.Headers {
					r.Headers = append(r.Headers, kgo.RecordHeader(h))
				}
			}
			client.Produce(t.Context(), r, func(r *kgo.Record, err error) {
				results <- func() {
					if err != nil {
						failure = err
					}
					switch {
					case kind >= 995:
						truth.unknown++
					case kind >= 990:
						truth.plain++
					}
					truth.note(r, out.Headers, bare)
				}
			})
		}
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(results)
	<-done
	if failure != nil {
		t.Fatal(failure)
	}
	return truth
}

// held reads a topic as any consumer does, and returns what is there.
func held(t *testing.T, addr, name string) []*kgo.Record {
	t.Helper()
	adm := kadm.NewClient(clientOf(t, addr))
	ends, err := adm.ListEndOffsets(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) { left[o.Partition] = o.Offset })
	client := clientOf(t, addr, kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var out []*kgo.Record
	for slices.ContainsFunc(slices.Collect(maps.Values(left)), func(n int64) bool { return n > 0 }) {
		fetches := client.PollFetches(t.Context())
		if err := context.Cause(t.Context()); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			out = append(out, r)
			if r.Offset+1 >= left[r.Partition] {
				left[r.Partition] = 0
			}
		})
	}
	return out
}
