package kgocrypt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

const (
	kekA    = "local:test"
	kekB    = "local:next"
	policyB = `
version: 1
keys: {pii: {kek: "local:next", also: ["local:test"]}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics: [{match: "users*"}]
`
)

// send produces records, protected by an engine of its own and so under one data
// key of its own, into partitions in turn. change may spoil them.
func (b *bench) send(n int, change func(*kgo.Record)) datakey.ID {
	b.t.Helper()
	e := b.engine(nil)
	cl := b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	parts := int32(0)
	for b.cluster.PartitionInfo(topic, parts) != nil {
		parts++
	}
	var id datakey.ID
	for i := range n {
		out, err := e.Protect(b.t.Context(), fieldcrypt.Record{Topic: topic, Value: value(b.t, i)})
		if err != nil {
			b.t.Fatal(err)
		}
		if id, err = datakey.CheckBlock(keyHeader(b.t, out)); err != nil {
			b.t.Fatal(err)
		}
		r := &kgo.Record{Topic: topic, Value: out.Value, Partition: int32(i) % parts}
		for _, h := range out.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader(h))
		}
		if change != nil {
			change(r)
		}
		if err := cl.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
	return id
}

func bare(r *kgo.Record) { r.Headers = nil }

func (b *bench) census(o kgocrypt.CensusOptions) *keyops.Census {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	c, err := kgocrypt.TakeCensus(ctx, b.opts(), b.engine(nil), []string{topic}, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// sums are the records by key id and KEK.
func sums(c *keyops.Census) map[string]int64 {
	out := map[string]int64{}
	for _, k := range c.Keys {
		out[k.ID+" "+k.KEK] += k.Records
	}
	return out
}

func TestACensusCountsWhatRecordsNeed(t *testing.T) {
	b := newBench(t, 3)
	one := b.send(7, nil)
	two := b.send(5, bare)
	b.policy = policyB
	three := b.send(4, nil)
	cl := b.client()
	for _, r := range []*kgo.Record{
		{Topic: topic, Key: []byte("k")},
		{Topic: topic, Value: []byte("no framing")},
	} {
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var last kgocrypt.CensusProgress
	c := b.census(kgocrypt.CensusOptions{Progress: func(p kgocrypt.CensusProgress) { last = p }})
	want := map[string]int64{one.String() + " " + kekA: 7, two.String() + " ": 5, three.String() + " " + kekB: 4}
	if got := sums(c); !reflect.DeepEqual(got, want) {
		t.Errorf("counted %v\nwant    %v", got, want)
	}
	if all, plain, unknown := c.Records(); all != 18 || plain != 1 || unknown != 1 || !c.Complete {
		t.Errorf("%d records, %d plain, %d unknown, complete: %v", all, plain, unknown, c.Complete)
	}
	if p := c.Places(); len(p) != 1 || p[0].Reason != string(fieldcrypt.CodeMalformed) {
		t.Errorf("%v", p)
	}
	if !last.Done || last.Offsets != 18 || last.Total != 18 || last.Records != 18 || last.Spans != 9 {
		t.Errorf("%+v", last)
	}
	for _, k := range c.Keys {
		for _, s := range k.Spans {
			if s.First > s.Last || s.FirstTime.After(s.LastTime) || s.FirstTime.IsZero() || s.Records > s.Last-s.First+1 {
				t.Errorf("%+v", s)
			}
		}
	}
	var text strings.Builder
	if err := c.WriteText(&text, 2); err != nil || !strings.Contains(text.String(), kekB) || !strings.Contains(text.String(), "and 1 more") {
		t.Errorf("%v\n%s", err, &text)
	}
}

// What a transaction took back needs no key, and what it has not decided may.
func TestACensusReadsCommittedRecords(t *testing.T) {
	b := newBench(t, 1)
	b.send(2, nil)
	cl := b.client(kgo.TransactionalID("somebody"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	begin := func() {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	open := b.census(kgocrypt.CensusOptions{})
	if p := open.Partitions[0]; p.Records != 2 || p.Open != 1 || p.Unknown.Records != 0 {
		t.Errorf("while it is open: %+v", p)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	aborted := b.census(kgocrypt.CensusOptions{})
	if p := aborted.Partitions[0]; p.Records != 2 || p.Open != 0 || p.Unknown.Records != 0 || p.Next != p.End {
		t.Errorf("after it was aborted: %+v", p)
	}
	begin()
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if p := b.census(kgocrypt.CensusOptions{}).Partitions[0]; p.Records != 3 || p.Unknown.Records != 1 {
		t.Errorf("after one was committed: %+v", p)
	}
}

func TestACensusIsContinuedWithoutCountingTwice(t *testing.T) {
	b := newBench(t, 2)
	state := filepath.Join(t.TempDir(), "census.json")
	one := b.send(6, nil)
	o := kgocrypt.CensusOptions{StateFile: state, Every: 1}
	// A context that ends with the first progress: the rest is for the next run.
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(kgocrypt.CensusProgress) { cancel() }
	if _, err := kgocrypt.TakeCensus(ctx, b.opts(), b.engine(nil), []string{topic}, o); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Progress = nil
	for range 2 {
		c := b.census(o)
		if got := sums(c); got[one.String()+" "+kekA] != 6 || len(got) != 1 {
			t.Fatalf("%v", got)
		}
	}
	two := b.send(5, nil)
	c := b.census(o)
	if got := sums(c); got[one.String()+" "+kekA] != 6 || got[two.String()+" "+kekA] != 5 {
		t.Errorf("%v", got)
	}
	fresh := b.census(kgocrypt.CensusOptions{})
	c.Started, c.Updated, fresh.Started, fresh.Updated = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	x, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if y, err := json.Marshal(fresh); err != nil || !bytes.Equal(x, y) {
		t.Errorf("continued %s\nat once   %s\n%v", x, y, err)
	}
	// What the log has lost is forgotten.
	for p := range int32(2) {
		if err := b.cluster.DeleteRecords(topic, p, 3); err != nil {
			t.Fatal(err)
		}
	}
	if got := sums(b.census(o)); len(got) != 1 || got[two.String()+" "+kekA] != 5 {
		t.Errorf("after the log was cut: %v", got)
	}
	b.policy = policyB
	if _, err := kgocrypt.TakeCensus(t.Context(), b.opts(), b.engine(nil), []string{topic}, o); !errors.Is(err, keyops.ErrState) {
		t.Errorf("under another policy: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(state))
	if err != nil || len(entries) != 1 {
		t.Errorf("files are left: %v, %v", entries, err)
	}
}

func TestACensusHasBoundsAndSaysSo(t *testing.T) {
	b := newBench(t, 2)
	for range 3 {
		b.send(2, nil)
	}
	_, err := kgocrypt.TakeCensus(t.Context(), b.opts(), b.engine(nil), []string{topic}, kgocrypt.CensusOptions{MaxSpans: 5})
	if !errors.Is(err, kgocrypt.ErrTooManyKeys) {
		t.Errorf("%v", err)
	}
	b.census(kgocrypt.CensusOptions{MaxSpans: 6})
	if _, err := kgocrypt.TakeCensus(t.Context(), b.opts(), b.engine(nil), []string{"absent"}, kgocrypt.CensusOptions{}); err == nil {
		t.Error("a topic that is not there was counted")
	}
	if _, err := kgocrypt.TakeCensus(t.Context(), b.opts(), b.engine(nil), nil, kgocrypt.CensusOptions{}); err == nil {
		t.Error("no topics were counted")
	}
}

// A partition that compaction left with nothing before its end is done.
func TestWhatIsGoneIsNotWaitedFor(t *testing.T) {
	b := newBench(t, 1)
	b.send(3, nil)
	for _, tt := range []struct {
		next, end int64
		want      bool
	}{{3, 3, true}, {2, 3, false}, {0, 3, false}, {3, 4, false}} {
		got, err := kgocrypt.NothingLeft(t.Context(), b.opts(), topic, tt.next, tt.end)
		if err != nil || got != tt.want {
			t.Errorf("at %d of %d: %v, %v", tt.next, tt.end, got, err)
		}
	}
}

// The whole way from one KEK to the next.
func TestAKEKIsRetiredOnceNothingNeedsIt(t *testing.T) {
	b := newBench(t, 2)
	k := b.keyTopic()
	e := b.engine(k)
	p, err := kgocrypt.NewProducer(b.client(), e)
	if err != nil {
		t.Fatal(err)
	}
	produce := func(n int) {
		t.Helper()
		for i := range n {
			if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value(t, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(4)
	dir := t.TempDir()
	states := map[string]string{policyText: filepath.Join(dir, "before.json"), policyB: filepath.Join(dir, "after.json")}
	retire := func(in keyops.Retirement) (*keyops.Evidence, *keyops.NeededError) {
		t.Helper()
		in.KEK, in.Catalog, in.Prove = kekA, k, b.kms
		// A census belongs to a policy.
		evidence, err := kgocrypt.Retire(t.Context(), b.opts(), b.engine(nil), []string{topic}, kgocrypt.CensusOptions{StateFile: states[b.policy]}, in)
		needed, ok := errors.AsType[*keyops.NeededError](err)
		if err != nil && !ok {
			t.Fatal(err)
		}
		return evidence, needed
	}
	if _, no := retire(keyops.Retirement{}); no == nil || no.Records != 4 || no.Keys != 1 || no.Blocks != 1 || !slices.Equal(no.Policy, []string{"pii"}) || len(no.First) == 0 {
		t.Fatalf("before anything was done: %+v", no)
	}
	b.policy = policyB
	if _, no := retire(keyops.Retirement{}); no == nil || no.Records != 4 || no.Blocks != 1 || no.Policy != nil {
		t.Fatalf("with the new policy: %+v", no)
	}
	r, ok := b.kms.(kms.ReEncrypter)
	if !ok {
		t.Fatal("the KMS cannot re-encrypt")
	}
	for i, want := range []keyops.RewrapResult{{Seen: 1, Moved: 1}, {Seen: 1, Already: 1}} {
		if got, err := keyops.Rewrap(t.Context(), k, r, kekA, kekB, keyops.RewrapOptions{Prove: b.kms}); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("rewrap %d: %+v, %v", i, got, err)
		}
	}
	evidence, no := retire(keyops.Retirement{})
	if no != nil || evidence.Check() != nil || evidence.Records != 4 || evidence.Rewrapped != 1 || !evidence.Proven || evidence.Catalog != 1 {
		t.Fatalf("%+v, %+v", evidence, no)
	}
	// With the KEK gone, the records open by the store.
	b.kms = without{b.kms, kekA}
	var emails []string
	for _, r := range b.read(4, b.keyTopic()) {
		for i := range 4 {
			if bytes.Equal(r.Value, value(t, i)) {
				emails = append(emails, email(i))
			}
		}
	}
	if len(emails) != 4 {
		t.Errorf("opened %q", emails)
	}
	// A producer with the old policy spoils it.
	b.kms = b.kms.(without).Wrapper //nolint:forcetypeassert,errcheck // it was put there
	b.policy = policyText
	b.send(1, nil)
	b.policy = policyB
	if _, no := retire(keyops.Retirement{}); no == nil || no.Records != 1 {
		t.Errorf("after one more record: %+v", no)
	}
}

// without is a KMS that has disabled one KEK.
type without struct {
	kms.Wrapper

	kek string
}

func (w without) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if kek == w.kek {
		return nil, kms.ErrDisabled
	}
	return w.Wrapper.Unwrap(ctx, kek, wrapped, ec)
}

// Keys of persons are as many as there are people: they are counted as one.
func TestTheCensusCountsValuesOfPersonsAndNotTheirKeys(t *testing.T) {
	b := newBench(t, 1)
	policy, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: web
persons: {kek: "local:test", by: /user}
keys: {pii: {kek: "local:test"}}
topics:
  - match: "users*"
    format: json
    fields: [{path: /name, action: encrypt, mode: person}, {path: /mail, action: encrypt, key: pii}]
`))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(b.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	persons, err := datakey.OpenPersons(t.Context(), keys, new(shred.MemStore), new(shred.MemLedger))
	if err != nil {
		t.Fatal(err)
	}
	e, err := fieldcrypt.New(policy, keys, fieldcrypt.WithPersons(persons))
	if err != nil {
		t.Fatal(err)
	}
	cl := b.client()
	for i := range 30 {
		text := fmt.Sprintf(`{"user":"u-%d","name":"Ada","mail":"ada@example.com"}`, i)
		if i%3 == 0 {
			text = `{"mail":"ada@example.com"}`
		}
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		r := &kgo.Record{Topic: topic, Value: out.Value}
		for _, h := range out.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader(h))
		}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := kgocrypt.TakeCensus(ctx, b.opts(), e, []string{topic}, kgocrypt.CensusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := c.PersonRecords(); n != 20 || len(c.Keys) != 1 || c.Keys[0].Records != 30 {
		t.Errorf("%d records of persons, keys %+v", n, c.Keys)
	}
}
