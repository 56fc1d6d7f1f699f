package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A person is a record of the tests. Its e-mail address is protected, and no
// other record has it.
type person struct {
	ID    int    `json:"id"`
	Key   string `json:"key"`
	Seq   int    `json:"seq"` // within its key
	Email string `json:"email"`
}

func newPerson(id int, key string, seq int) person {
	return person{ID: id, Key: key, Seq: seq, Email: fmt.Sprintf("canary-%07d@example.org", id)}
}

// wireKey is the key as it stands in the topic: clients send it as JSON.
func (p person) wireKey() string { return `"` + p.Key + `"` }

// A place is where a record stands.
type place struct {
	partition int32
	offset    int64
}

// A history is what clients were told. It is safe for concurrent use.
type history struct {
	mu    sync.Mutex
	sent  map[int]person // everything that was sent at least once
	acked map[int]place  // the place that was first told
	next  int
}

func newHistory() *history {
	return &history{sent: make(map[int]person), acked: make(map[int]place)}
}

// person returns a new person, who counts as sent.
func (h *history) person(key string, seq int) person {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := newPerson(h.next, key, seq)
	h.next++
	h.sent[p.ID] = p
	return p
}

func (h *history) delivered(p person, at place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.acked[p.ID]; !ok {
		h.acked[p.ID] = at
	}
}

// A findings says what is wrong with a topic.
type findings struct {
	acked, records, duplicates            int
	missing, phantom, disordered, inClear int
}

func (f findings) String() string {
	return fmt.Sprintf("%d acknowledged, %d in the topic, %d of them again: %d missing, %d that nobody sent, %d out of order, %d in clear",
		f.acked, f.records, f.duplicates, f.missing, f.phantom, f.disordered, f.inClear)
}

func (f findings) ok() bool { return f.missing+f.phantom+f.disordered+f.inClear == 0 }

// A logged is a record of the topic.
type logged struct {
	place

	key   string
	value []byte
	extra []byte // everything else that the broker holds of it
}

// check compares the topic with the history.
func (h *history) check(log []logged) findings {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := findings{acked: len(h.acked), records: len(log)}
	at := make(map[place]person, len(log))
	seen := make(map[int]bool, len(log))
	for _, l := range log {
		if bytes.Contains(l.value, []byte("canary-")) || bytes.Contains(l.extra, []byte("canary-")) || strings.Contains(l.key, "canary-") {
			f.inClear++
		}
		var p person
		if err := json.Unmarshal(l.value, &p); err != nil {
			f.phantom++
			continue
		}
		if sent, ok := h.sent[p.ID]; !ok || sent.Key != p.Key || sent.Seq != p.Seq || l.key != p.wireKey() || !strings.HasPrefix(p.Email, "fv1:") {
			f.phantom++
			continue
		}
		if seen[p.ID] {
			f.duplicates++
		}
		seen[p.ID] = true
		at[l.place] = p
	}
	type step struct {
		seq    int
		offset int64
	}
	byKey := make(map[string]map[int]step)
	for id, where := range h.acked {
		if p, ok := at[where]; !ok || p.ID != id {
			f.missing++
			continue
		}
		p := h.sent[id]
		if byKey[p.Key] == nil {
			byKey[p.Key] = make(map[int]step)
		}
		byKey[p.Key][p.Seq] = step{p.Seq, where.offset}
	}
	for _, steps := range byKey {
		last := int64(-1)
		for seq, left := 0, len(steps); left > 0; seq++ {
			s, ok := steps[seq]
			if !ok {
				if seq > len(h.sent) {
					break
				}
				continue
			}
			left--
			if s.offset <= last {
				f.disordered++
			}
			last = s.offset
		}
	}
	return f
}

// readTopic returns all records of a topic.
func readTopic(t testing.TB, addr, topic string) []logged {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	left := make(map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var out []logged
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			l := logged{place: place{r.Partition, r.Offset}, key: string(r.Key), value: r.Value}
			for _, header := range r.Headers {
				l.extra = append(append(l.extra, header.Key...), header.Value...)
			}
			out = append(out, l)
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}
	return out
}

// The checker must find what it is for.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	one, two, three := newPerson(0, "a", 0), newPerson(1, "a", 1), newPerson(2, "b", 0)
	line := func(p person, partition int32, offset int64) logged {
		p.Email = "fv1:AAAA"
		value, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return logged{place: place{partition, offset}, key: p.wireKey(), value: value}
	}
	whole := func() (*history, []logged) {
		h := newHistory()
		h.next = 3
		for _, p := range []person{one, two, three} {
			h.sent[p.ID] = p
		}
		h.delivered(one, place{0, 0})
		h.delivered(two, place{0, 1})
		h.delivered(three, place{1, 0})
		return h, []logged{line(one, 0, 0), line(two, 0, 1), line(three, 1, 0)}
	}
	h, log := whole()
	if f := h.check(append(log, line(two, 0, 2))); !f.ok() || f.duplicates != 1 || f.acked != 3 {
		t.Errorf("a record that stands there again: %v", f)
	}
	if f := h.check(log[:2]); f.missing != 1 {
		t.Errorf("a record that is gone: %v", f)
	}
	if f := h.check([]logged{log[1], log[0], line(one, 1, 0)}); f.missing != 1 {
		t.Errorf("another record in its place: %v", f)
	}
	if f := h.check(append(log, line(newPerson(7, "a", 2), 0, 2))); f.phantom != 1 {
		t.Errorf("a record that nobody sent: %v", f)
	}
	if f := h.check(append(log, logged{place: place{2, 0}, key: `"a"`, value: []byte("?")})); f.phantom != 1 {
		t.Errorf("a record that is none: %v", f)
	}
	h, log = whole()
	h.acked[one.ID], h.acked[two.ID] = place{0, 1}, place{0, 0}
	if f := h.check([]logged{line(two, 0, 0), line(one, 0, 1), log[2]}); f.disordered != 1 {
		t.Errorf("two records the wrong way round: %v", f)
	}
	h, log = whole()
	log[2].value = bytes.Replace(log[2].value, []byte("fv1:AAAA"), []byte(three.Email), 1)
	if f := h.check(log); f.inClear != 1 {
		t.Errorf("a record in clear: %v", f)
	}
	h, log = whole()
	log[0].extra = []byte("x" + one.Email)
	if f := h.check(log); f.inClear != 1 {
		t.Errorf("a header in clear: %v", f)
	}
}
