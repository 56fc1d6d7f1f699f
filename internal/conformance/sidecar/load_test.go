package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A load is a number of clients that produce until they are told to stop, and
// repeat what they were not told is delivered. Of three of them, one uses HTTP, one
// calls of gRPC, and one streams of gRPC.
type load struct {
	url     string // of the sidecar
	grpc    string // its address
	topic   string
	history *history
	clients int
	batch   int

	// Requests that were answered with 200, with another status, not at all, those
	// that the kernel reset, and those for which there was nobody to connect to.
	answered, refused, broken, reset, away atomic.Int64
	answers                                chan struct{}   // one for each answer, while somebody waits
	kinds                                  [3]atomic.Int64 // batches of which something was delivered, by the way they were sent
	other                                  atomic.Pointer[string]
}

// wait returns when so many more requests were answered.
func (l *load) wait(t testing.TB, n int) {
	t.Helper()
	limit := time.After(time.Minute)
	for range n {
		select {
		case <-l.answers:
		case <-limit:
			t.Fatal("the clients get no answers")
		}
	}
}

// run produces until ctx ends, and returns when every client has its last answer.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for n := range l.clients {
		wg.Go(func() { l.client(ctx, n) })
	}
	wg.Wait()
}

// client owns its keys: their records are sent in order, and the next ones only
// when all of a batch are delivered.
func (l *load) client(ctx context.Context, n int) {
	post, end := l.sender(n)
	defer end()
	seq := make([]int, 4)
	for ctx.Err() == nil {
		pending := make([]person, l.batch)
		for i := range pending {
			k := i % len(seq)
			pending[i] = l.history.person(fmt.Sprintf("key-%d-%d", n, k), seq[k])
			seq[k]++
		}
		for len(pending) > 0 {
			left, wait := post(pending)
			if len(left) < len(pending) {
				l.kinds[n%len(l.kinds)].Add(1)
			}
			pending = left
			if wait && ctx.Err() == nil {
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// A sender sends records and returns those that were not delivered, in their
// order, and whether to wait before they are sent again. A record whose predecessor
// of the same key was not delivered is among them even if it was: it comes after it
// then.
type sender func([]person) (left []person, wait bool)

func (l *load) sender(n int) (post sender, end func()) {
	switch n % len(l.kinds) {
	case 1:
		return l.calls()
	case 2:
		return l.streams()
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	web := &http.Client{Transport: transport, Timeout: time.Minute}
	return func(people []person) ([]person, bool) { return l.post(web, people) }, transport.CloseIdleConnections
}

type produceAnswer struct {
	Offsets []struct {
		Partition *int32 `json:"partition"`
		Offset    *int64 `json:"offset"`
		ErrorCode *int   `json:"error_code"`
	} `json:"offsets"`
}

// post is the sender of HTTP.
func (l *load) post(web *http.Client, people []person) (left []person, wait bool) {
	type record struct {
		Key   string `json:"key"`
		Value person `json:"value"`
	}
	body := struct {
		Records []record `json:"records"`
	}{}
	for _, p := range people {
		body.Records = append(body.Records, record{p.Key, p})
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	// The answer is waited for even if the test is over: what was acknowledged
	// must be known.
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.url+"/topics/"+l.topic, bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	req.GetBody = nil // a repetition is decided here, and not by the transport
	req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	res, err := web.Do(req)
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		l.away.Add(1)
		return people, true
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		l.reset.Add(1)
		return people, true
	}
	if err != nil {
		l.lost(err)
		return people, true
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		l.lost(err)
		return people, true
	}
	if res.StatusCode != http.StatusOK {
		l.refused.Add(1)
		note := fmt.Sprintf("%d %s", res.StatusCode, answer)
		l.other.Store(&note)
		return people, true
	}
	var got produceAnswer
	if err := errors.Join(json.Unmarshal(answer, &got), sameLength(len(got.Offsets), len(people))); err != nil {
		l.lost(err)
		return people, true
	}
	places := make([]*place, len(people))
	for i, o := range got.Offsets {
		if o.ErrorCode == nil && o.Partition != nil && o.Offset != nil {
			places[i] = &place{*o.Partition, *o.Offset}
		}
	}
	return l.told(people, places)
}

// told notes an answer, which has no place for a record that is not delivered.
func (l *load) told(people []person, places []*place) (left []person, wait bool) {
	l.answered.Add(1)
	select {
	case l.answers <- struct{}{}:
	default: // nobody waits
	}
	behind := make(map[string]bool)
	for i, p := range people {
		if places[i] == nil || behind[p.Key] {
			behind[p.Key] = true
			left = append(left, p)
			continue
		}
		l.history.delivered(p, *places[i])
	}
	return left, len(left) > 0
}

// lost notes a request without an answer.
func (l *load) lost(err error) {
	l.broken.Add(1)
	note := err.Error()
	l.other.Store(&note)
}

func sameLength(got, want int) error {
	if got != want {
		return fmt.Errorf("%d results for %d records", got, want)
	}
	return nil
}
