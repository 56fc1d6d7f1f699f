package kgocrypt

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
)

// Defaults of CensusOptions.
const (
	DefaultCensusEvery = 5 * time.Second
	DefaultMaxSpans    = 500_000
)

// CensusOptions change [TakeCensus] and [Retire]. The zero value is ready.
type CensusOptions struct {
	// StateFile, if not empty, is where the census stands while it is taken. One
	// that is there is continued: every record is counted once, however often the
	// process was killed in between. It must be of the same policy.
	StateFile string
	// Every is how often the state file is written, DefaultCensusEvery when it is
	// 0. Writing waits for its turn: it takes a tenth of the time at most.
	Every time.Duration
	// Parallel is how many partitions are counted at a time, GOMAXPROCS when it is 0.
	Parallel int
	// MaxSpans bounds what is remembered: each data key takes one span of some 200
	// bytes for each partition in which it is used. DefaultMaxSpans when it is 0;
	// beyond it the census ends with [ErrTooManyKeys].
	MaxSpans int
	// Progress, if not nil, is called now and then, by one goroutine.
	Progress func(CensusProgress)
}

// CensusProgress is how far a census is.
type CensusProgress struct {
	Offsets, Total int64 // read and to be read, from the starts of the logs on
	Records        int64
	Spans          int
	Done           bool
}

var (
	// ErrTooManyKeys means that a census would remember more than it may.
	ErrTooManyKeys = errors.New("more data keys and partitions than the census may remember")
	errNoTopics    = errors.New("a census needs topics")
)

// TakeCensus reads topics from the start of their logs to the ends that they have
// now, and tells which data keys their records need, under which KEKs. It opens
// nothing: the engine's KMS is never called. It connects with opts.
//
// It sees what a reader of committed records sees: what a transaction has aborted
// does not count, and one that is still open shows in the census as such. A record
// that compaction or retention has taken out is not there and does not count; of
// records that go while the census is continued over days, some may still count.
//
// The context ends it between two batches, with what was found in the state file.
func TakeCensus(ctx context.Context, opts []kgo.Opt, engine *fieldcrypt.Engine, topics []string, o CensusOptions) (*keyops.Census, error) {
	c := &census{engine: engine, topics: topics, o: o, opts: opts}
	found, err := c.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("kgocrypt: census: %w", err)
	}
	return found, nil
}

// Retire brings a census of the topics up to their ends and asks [keyops.Retire]
// whether the KEK that in names can go. The engine gives in its Policy where it
// has none. With a state file, the census in it is continued.
func Retire(ctx context.Context, opts []kgo.Opt, engine *fieldcrypt.Engine, topics []string, o CensusOptions, in keyops.Retirement) (*keyops.Evidence, error) {
	found, err := TakeCensus(ctx, opts, engine, topics, o)
	if err != nil {
		return nil, err
	}
	in.Census = found
	if in.Policy == nil {
		for _, k := range engine.Policy().Keys() {
			in.Policy = append(in.Policy, keyops.SealingKey{Name: k.Name, KEK: k.KEK, Versions: k.Versions})
		}
	}
	evidence, err := keyops.Retire(ctx, in)
	if o.StateFile != "" && in.RemoveKeys {
		// It remembers since when keys have had no record.
		err = errors.Join(err, found.Save(o.StateFile))
	}
	return evidence, err
}

// census is one run.
type census struct {
	engine *fieldcrypt.Engine
	topics []string
	o      CensusOptions
	opts   []kgo.Opt

	adm     *kadm.Client
	started time.Time
	kept    *keyops.Census // what was loaded, for what is not counted here
	parts   map[string]map[int32]*counted
	open    int // partitions that are not at their end
}

// counted is one partition. One goroutine at a time has it.
type counted struct {
	keyops.Partition

	spans map[spanKey]*keyops.Span
	last  spanKey // of the record before, which is that of most
	at    *keyops.Span
	rec   fieldcrypt.Record // room for headers
}

type spanKey struct {
	id          [12]byte
	kek, tenant string
	domain      bool
}

func (c *census) take(ctx context.Context) (*keyops.Census, error) {
	if len(c.topics) == 0 || c.engine == nil {
		return nil, errNoTopics
	}
	if c.o.Every <= 0 {
		c.o.Every = DefaultCensusEvery
	}
	if c.o.Parallel <= 0 {
		c.o.Parallel = runtime.GOMAXPROCS(0)
	}
	if c.o.MaxSpans <= 0 {
		c.o.MaxSpans = DefaultMaxSpans
	}
	asker, err := kgo.NewClient(c.opts...)
	if err != nil {
		return nil, err
	}
	defer asker.Close()
	c.adm = kadm.NewClient(asker)
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	if err := c.ends(ctx); err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{}
	for _, p := range c.each() {
		if p.Next >= p.End {
			continue
		}
		if from[p.Topic] == nil {
			from[p.Topic] = map[int32]kgo.Offset{}
		}
		from[p.Topic][p.Partition.Partition] = kgo.NewOffset().At(p.Next)
		c.open++
	}
	// A client that is told later what to read waits for its next look at the
	// cluster, which takes seconds.
	client, err := kgo.NewClient(append(slices.Clone(c.opts),
		kgo.ConsumePartitions(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// The marks of transactions take offsets, and the end is one of them at times.
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(4<<20),
	)...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := c.read(ctx, client); err != nil {
		// What was found so far is worth keeping, whatever ended it.
		return nil, errors.Join(err, c.save(c.result(false)))
	}
	out := c.result(true)
	return out, c.save(out)
}

// begin loads the state, or starts anew.
func (c *census) begin(ctx context.Context) error {
	c.started, c.parts = time.Now().UTC().Truncate(time.Second), map[string]map[int32]*counted{}
	c.kept = &keyops.Census{}
	if c.o.StateFile == "" {
		return nil
	}
	kept, err := keyops.LoadCensus(c.o.StateFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case kept.Policy != c.policy():
		return fmt.Errorf("state file %s was begun under another policy, so move it away to begin anew: %w", c.o.StateFile, keyops.ErrState)
	}
	ids, err := c.topicIDs(ctx)
	if err != nil {
		return err
	}
	c.kept, c.started = kept, kept.Started
	for _, p := range kept.Partitions {
		// A topic of the same name that was made anew has other records.
		if id, ok := ids[p.Topic]; ok && id == p.TopicID {
			c.part(p.Topic, p.Partition).Partition = p
		}
	}
	for i := range kept.Keys {
		k := &kept.Keys[i]
		id, err := hex.DecodeString(k.ID)
		if err != nil || len(id) != len(spanKey{}.id) {
			return fmt.Errorf("state file %s: a key id: %w", c.o.StateFile, keyops.ErrState)
		}
		for _, s := range k.Spans {
			if p := c.parts[s.Topic][s.Partition]; p != nil {
				p.spans[spanKey{[12]byte(id), k.KEK, k.Tenant, k.Domain}] = &s
			}
		}
	}
	return nil
}

func (c *census) policy() string {
	d := c.engine.Policy().Digest()
	return hex.EncodeToString(d[:])
}

func (c *census) part(topic string, partition int32) *counted {
	if c.parts[topic] == nil {
		c.parts[topic] = map[int32]*counted{}
	}
	p := c.parts[topic][partition]
	if p == nil {
		p = &counted{Partition: keyops.Partition{Topic: topic, Partition: partition}, spans: map[spanKey]*keyops.Span{}}
		c.parts[topic][partition] = p
	}
	return p
}

// each returns all partitions, in order.
func (c *census) each() []*counted {
	var out []*counted
	for _, topic := range slices.Sorted(maps.Keys(c.parts)) {
		for _, n := range slices.Sorted(maps.Keys(c.parts[topic])) {
			out = append(out, c.parts[topic][n])
		}
	}
	return out
}

func (c *census) topicIDs(ctx context.Context) (map[string]string, error) {
	details, err := c.adm.ListTopics(ctx, c.topics...)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, topic := range c.topics {
		d, ok := details[topic]
		if !ok || d.Err != nil {
			return nil, fmt.Errorf("topic %q: %w", topic, errors.Join(d.Err, errNoTopic))
		}
		ids[topic] = d.ID.String()
	}
	return ids, nil
}

// ends looks up from where to where each partition is read.
func (c *census) ends(ctx context.Context) error {
	ids, err := c.topicIDs(ctx)
	if err != nil {
		return err
	}
	// In this order, an end is never before what it is compared with.
	starts, err := c.list(ctx, c.adm.ListStartOffsets)
	if err != nil {
		return err
	}
	stable, err := c.list(ctx, c.adm.ListCommittedOffsets)
	if err != nil {
		return err
	}
	high, err := c.list(ctx, c.adm.ListEndOffsets)
	if err != nil {
		return err
	}
	var failure error
	stable.Each(func(o kadm.ListedOffset) {
		start, ok := starts.Lookup(o.Topic, o.Partition)
		end, also := high.Lookup(o.Topic, o.Partition)
		if !ok || !also {
			failure = fmt.Errorf("topic %q has changed its partitions meanwhile: %w", o.Topic, keyops.ErrState)
			return
		}
		p := c.part(o.Topic, o.Partition)
		p.TopicID, p.Start, p.End, p.Open = ids[o.Topic], start.Offset, o.Offset, end.Offset-o.Offset
		p.Next = max(p.Next, p.Start)
		if p.Next > p.End {
			failure = fmt.Errorf("partition %s/%d was read to %d and ends at %d now, so move the state file away to begin anew: %w",
				p.Topic, p.Partition.Partition, p.Next, p.End, keyops.ErrState)
		}
	})
	return failure
}

func (c *census) list(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
	all, err := list(ctx, c.topics...)
	if err == nil {
		err = all.Error()
	}
	return all, err
}

// quietTime is how long nothing may come before the brokers are asked whether
// there is anything left.
const quietTime = 3 * time.Second

func (c *census) read(ctx context.Context, client *kgo.Client) error {
	saved, took := time.Now(), time.Duration(0)
	for c.open > 0 {
		wait, cancel := context.WithTimeout(ctx, quietTime)
		fetches := client.PollRecords(wait, 100_000)
		cancel()
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		for _, e := range fetches.Errors() {
			// Others mend themselves: the client tries again.
			if ke, ok := errors.AsType[*kerr.Error](e.Err); ok && !ke.Retriable {
				return fmt.Errorf("fetch %s/%d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		if fetches.NumRecords() == 0 {
			if err := c.gaps(ctx); err != nil {
				return err
			}
		}
		if err := c.look(ctx, fetches, client); err != nil {
			return err
		}
		now := time.Now()
		if c.o.Progress != nil {
			c.o.Progress(c.progress())
		}
		if c.o.StateFile != "" && now.Sub(saved) > max(c.o.Every, 9*took) {
			if err := c.save(c.result(false)); err != nil {
				return err
			}
			saved = time.Now()
			took = saved.Sub(now)
		}
	}
	if c.o.Progress != nil {
		p := c.progress()
		p.Done = true
		c.o.Progress(p)
	}
	return nil
}

// look counts the records of one poll, several partitions at a time. It returns
// when all are counted, so that the state is always that of whole batches.
func (c *census) look(ctx context.Context, fetches kgo.Fetches, client *kgo.Client) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, c.o.Parallel)
	var done []*counted
	var mu sync.Mutex
	var failure error
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		p := c.parts[fp.Topic][fp.Partition]
		if p == nil || p.Next >= p.End || len(fp.Records) == 0 {
			return
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := p.count(ctx, c.engine, fp.Records)
			mu.Lock()
			defer mu.Unlock()
			failure = errors.Join(failure, err)
			if p.Next >= p.End {
				done = append(done, p)
			}
		})
	})
	wg.Wait()
	if failure != nil {
		return failure
	}
	for _, p := range done {
		c.open--
		client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition.Partition}})
	}
	if n := c.spans(); n > c.o.MaxSpans {
		return fmt.Errorf("%d of at most %d: %w", n, c.o.MaxSpans, ErrTooManyKeys)
	}
	return nil
}

func (c *census) spans() (n int) {
	for _, p := range c.each() {
		n += len(p.spans)
	}
	return n
}

func (c *census) progress() CensusProgress {
	p := CensusProgress{Spans: c.spans()}
	for _, n := range c.each() {
		p.Offsets += n.Next - n.Start
		p.Total += n.End - n.Start
		p.Records += n.Records
	}
	return p
}

// count takes the records of one fetch over. Those that were counted before, or
// lie behind the end, are left out.
func (p *counted) count(ctx context.Context, engine *fieldcrypt.Engine, records []*kgo.Record) error {
	for _, r := range records {
		if r.Offset < p.Next {
			continue
		}
		if r.Offset >= p.End {
			p.Next = p.End
			return nil
		}
		if !r.Attrs.IsControl() {
			if err := p.record(ctx, engine, r); err != nil {
				return err
			}
		}
		p.Next = r.Offset + 1
	}
	return nil
}

func (p *counted) record(ctx context.Context, engine *fieldcrypt.Engine, r *kgo.Record) error {
	p.rec.Topic, p.rec.Key, p.rec.Value, p.rec.Headers = r.Topic, r.Key, r.Value, p.rec.Headers[:0]
	for _, h := range r.Headers {
		p.rec.Headers = append(p.rec.Headers, fieldcrypt.Header(h))
	}
	uses, err := engine.KeysOf(ctx, p.rec)
	if err != nil {
		f, ok := errors.AsType[*fieldcrypt.Error](err)
		if ok && f.Retryable() {
			// It says nothing about the record: with a registry that is away, all of
			// them would count as unknown.
			return fmt.Errorf("%s/%d@%d: %w", p.Topic, r.Partition, r.Offset, err)
		}
		p.unknown(r, f)
	}
	p.Records++
	if len(uses) == 0 && err == nil {
		p.Plain++
	}
	ofPersons := false
	for i := range uses {
		u := &uses[i]
		if u.Person && u.KEK == "" {
			// There may be as many keys as people.
			ofPersons = true
			continue
		}
		key := spanKey{[12]byte(u.ID), u.KEK, u.Tenant, u.Domain}
		if u.KEK != "" {
			key.domain = false
		}
		p.use(key, r)
	}
	if ofPersons {
		p.Persons.Records++
		p.Persons.Last = r.Offset
	}
	return nil
}

func (p *counted) unknown(r *kgo.Record, f *fieldcrypt.Error) {
	p.Unknown.Records++
	p.Unknown.Last = r.Offset
	if len(p.Unknown.First) < keyops.MaxPlaces {
		place := keyops.Place{Topic: p.Topic, Partition: r.Partition, Offset: r.Offset}
		if f != nil {
			place.Reason = string(f.Code)
		}
		p.Unknown.First = append(p.Unknown.First, place)
	}
}

func (p *counted) use(key spanKey, r *kgo.Record) {
	s := p.at
	if s == nil || p.last != key {
		s = p.spans[key]
		if s == nil {
			s = &keyops.Span{Topic: p.Topic, Partition: r.Partition, First: r.Offset, FirstTime: r.Timestamp.UTC(), LastTime: r.Timestamp.UTC()}
			p.spans[key] = s
		}
		p.last, p.at = key, s
	}
	s.Records++
	s.Last = r.Offset
	if r.Timestamp.Before(s.FirstTime) {
		s.FirstTime = r.Timestamp.UTC()
	}
	if r.Timestamp.After(s.LastTime) {
		s.LastTime = r.Timestamp.UTC()
	}
}

// result puts together what was found.
func (c *census) result(complete bool) *keyops.Census {
	out := &keyops.Census{
		Version: keyops.CensusVersion, Started: c.started, Updated: time.Now().UTC().Truncate(time.Second),
		Policy: c.policy(), Complete: complete, Unnamed: c.kept.Unnamed,
	}
	keys := map[spanKey]int{}
	for _, p := range c.each() {
		out.Partitions = append(out.Partitions, p.Partition)
		for key, s := range p.spans {
			i, ok := keys[key]
			if !ok {
				i = len(out.Keys)
				keys[key] = i
				out.Keys = append(out.Keys, keyops.Key{ID: hex.EncodeToString(key.id[:]), KEK: key.kek, Tenant: key.tenant, Domain: key.domain})
			}
			out.Keys[i].Records += s.Records
			out.Keys[i].Spans = append(out.Keys[i].Spans, *s)
		}
	}
	out.Prune()
	out.Sort()
	return out
}

func (c *census) save(found *keyops.Census) error {
	if c.o.StateFile == "" {
		return nil
	}
	return found.Save(c.o.StateFile)
}
