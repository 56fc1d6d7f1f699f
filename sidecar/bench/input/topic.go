package input

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// topicTime is how long reading a topic may take.
const topicTime = 30 * time.Second

var (
	errTopicEmpty = errors.New("the topic has no records, or none that has not expired")
	errGUID       = errors.New("it names its schema by a GUID in a header, which is not read here: give the records in a file")
	errNoFrame    = errors.New("it does not begin with the id of a schema, and no schema was given")
	errNoClient   = errors.New("it names its schema by id: give --registry, or --schema")
)

// consume reads the newest records of a topic, the same number of each partition
// where it has so many. It belongs to no group and commits nothing.
func (l *loader) consume(ctx context.Context, topic string) error {
	deadline, cancel := context.WithTimeout(ctx, topicTime)
	defer cancel()
	config := l.options.Kafka()
	client, err := kafka.NewClient(&config, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer client.Close()
	from, ends, err := newest(deadline, client, topic, l.options.count())
	if ctx.Err() == nil && deadline.Err() != nil {
		return fmt.Errorf("topic %s: the brokers did not answer within %v", topic, topicTime)
	}
	if err != nil {
		return fmt.Errorf("topic %s: %w", topic, err)
	}
	offsets := make(map[int32]kgo.Offset, len(from))
	for p, at := range from {
		offsets[p] = kgo.NewOffset().At(at)
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})
	t := &topicReader{loader: l, topic: topic, ends: ends}
	l.where = func(i int) string { return t.places[i] }
	if err := t.read(deadline, client); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(l.set.Records) == 0 {
		return fmt.Errorf("topic %s: %w", topic, errTopicEmpty)
	}
	t.notes()
	return nil
}

// newest returns from where to read each partition so that there are count records
// in all, and where each ends. Partitions without records are left out.
func newest(ctx context.Context, client *kgo.Client, topic string, count int) (from, ends map[int32]int64, err error) {
	admin := kadm.NewClient(client)
	first, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return nil, nil, err
	}
	last, err := admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = last.Error()
	}
	if err != nil {
		return nil, nil, err
	}
	have := make(map[int32]int64)
	from, ends = make(map[int32]int64), make(map[int32]int64)
	last.Each(func(o kadm.ListedOffset) {
		start, ok := first.Lookup(topic, o.Partition)
		if ok && o.Offset > start.Offset {
			have[o.Partition], ends[o.Partition] = o.Offset-start.Offset, o.Offset
		}
	})
	if len(have) == 0 {
		return nil, nil, errTopicEmpty
	}
	for p, n := range shares(have, int64(count)) {
		from[p] = ends[p] - n
	}
	for p := range ends {
		if _, wanted := from[p]; !wanted {
			delete(ends, p)
		}
	}
	return from, ends, nil
}

// shares divides count among partitions: those that have less give what is missing
// to the others.
func shares(have map[int32]int64, count int64) map[int32]int64 {
	order := slices.SortedFunc(maps.Keys(have), func(a, b int32) int {
		if have[a] != have[b] {
			return int(min(max(have[a]-have[b], -1), 1))
		}
		return int(a - b)
	})
	out := make(map[int32]int64)
	for i, p := range order {
		n := min(have[p], count/int64(len(order)-i))
		if i == len(order)-1 {
			n = min(have[p], count)
		}
		if n > 0 {
			out[p] = n
		}
		count -= n
	}
	return out
}

// A topicReader takes the records of a topic.
type topicReader struct {
	*loader

	topic  string
	ends   map[int32]int64 // partitions that are not read to their end
	places []string        // of the records that were taken

	tombstones, others, unframed int
	fixed                        bool // the schema is known: others are left out
}

// read polls until all partitions are at their ends, there are enough records, or
// the time is over.
func (t *topicReader) read(ctx context.Context, client *kgo.Client) error {
	for len(t.ends) > 0 {
		fetches := client.PollRecords(ctx, 1000)
		if ctx.Err() != nil {
			t.set.notef("Reading the topic took longer than %v, and ended there.", topicTime)
			return nil //nolint:nilerr // what was read until then is enough
		}
		var failed error
		fetches.EachError(func(_ string, p int32, err error) {
			failed = fmt.Errorf("topic %s, partition %d: %w", t.topic, p, err)
		})
		if failed != nil {
			return failed
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			place := fmt.Sprintf("topic %s, partition %d, offset %d", t.topic, r.Partition, r.Offset)
			more, err := t.record(ctx, r, place)
			if err != nil {
				return fmt.Errorf("%s: %w", place, err)
			}
			if !more {
				return nil
			}
			if end, open := t.ends[r.Partition]; open && r.Offset+1 >= end {
				delete(t.ends, r.Partition)
			}
		}
	}
	return nil
}

// record takes one record, and returns false when there are enough.
func (t *topicReader) record(ctx context.Context, r *kgo.Record, place string) (more bool, err error) {
	if r.Value == nil {
		t.tombstones++
		return true, nil
	}
	out := Record{Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		if h.Key == wire.HeaderValueSchemaID {
			return false, errGUID
		}
		out.Headers = append(out.Headers, fieldcrypt.Header{Key: h.Key, Value: h.Value})
	}
	if !t.bare {
		ok, err := t.schemaOf(ctx, &out)
		if err != nil || !ok {
			return true, err
		}
	}
	t.places = append(t.places, place)
	return t.take(out), nil
}

// schemaOf sees to it that a record begins with the id of the schema of the Set. It
// returns false for records of another one.
func (t *topicReader) schemaOf(ctx context.Context, r *Record) (bool, error) {
	id, _, err := wire.ParseFrame(r.Value)
	s := t.set
	switch {
	case err != nil && s.Text.Format == "":
		return false, errNoFrame
	case err != nil:
		head, err := frame(s.SchemaID, s.Text.Format)
		if err != nil {
			return false, err
		}
		t.unframed, t.fixed = t.unframed+1, true
		r.Value = append(head, r.Value...)
		return true, nil
	case t.fixed:
		if id != s.SchemaID {
			t.others++
		}
		return id == s.SchemaID, nil
	case t.options.Schema != "":
		// The file is the schema of the records, whose first one tells its id.
		s.SchemaID, t.fixed = id, true
		return true, nil
	case t.client == nil:
		return false, errNoClient
	}
	// What the records follow counts, not the latest version.
	if s.Text, err = t.client.Schema(ctx, id); err != nil {
		return false, err
	}
	s.SchemaID, t.fixed = id, true
	parsed, err := parse(s.Text)
	if err != nil {
		return false, err
	}
	if d, ok := parsed.(schema.Derived); ok {
		if _, derived := d.Origin(); derived {
			return false, errProtected
		}
	}
	t.governed()
	return true, nil
}

// notes tells what was left out.
func (t *topicReader) notes() {
	if t.tombstones > 0 {
		t.set.notef("%d tombstones of the topic were left out: nothing in them is protected.", t.tombstones)
	}
	if t.others > 0 {
		t.set.notef("%d records of the topic follow other schemas than id %d, and were left out.", t.others, t.set.SchemaID)
	}
	if t.unframed > 0 {
		t.set.notef("%d records of the topic had no id of a schema in front, and got that of the schema given.", t.unframed)
	}
}
