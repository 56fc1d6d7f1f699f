//go:build unix

package sidecar

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
)

const people = "people"

const peoplePolicy = `version: 1
dataset: people
keys: {pii: {kek: "local:pii.kek"}}
topics:
  - {match: people, format: json, fields: [{path: /email, action: encrypt, key: pii}]}
`

func newTopic(t testing.TB, addr, name string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 4, 1, nil, name); err != nil {
		t.Fatal(err)
	}
}

// rounds is how often something is done, which a run by hand can raise.
func rounds(t testing.TB, n int) int {
	t.Helper()
	if text := os.Getenv("FIELDVEIL_ROUNDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// underLoad calls each so many times while clients produce, lets every client get
// its last answer, and compares the topic with what they were told.
func underLoad(t *testing.T, p *program, addr string, n int, each func(round int)) (*load, findings) {
	t.Helper()
	h := newHistory()
	l := &load{url: "http://" + p.rest, grpc: p.grpc, topic: people, history: h, clients: 6, batch: 20, answers: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx) })
	for round := range n {
		l.wait(t, 1+rand.IntN(60)) // where in its work it is hit is chance
		each(round)
	}
	l.wait(t, 20)
	cancel()
	wg.Wait()
	f := h.check(readTopic(t, addr, people))
	t.Logf("%d rounds: %v; requests: %d answered, %d refused, %d without an answer, %d reset, %d with nobody there",
		n, f, l.answered.Load(), l.refused.Load(), l.broken.Load(), l.reset.Load(), l.away.Load())
	if !f.ok() {
		t.Errorf("%v\n%s", f, p.tail(t))
	}
	for kind := range l.kinds {
		if l.kinds[kind].Load() == 0 {
			t.Errorf("clients of kind %d delivered nothing", kind)
		}
	}
	if f.acked < n {
		note := "none"
		if last := l.other.Load(); last != nil {
			note = *last
		}
		t.Errorf("only %d records were acknowledged; the last refusal: %s\n%s", f.acked, note, p.tail(t))
	}
	return l, f
}

func TestNothingAcknowledgedIsLostWhenTheSidecarIsKilled(t *testing.T) {
	broker := kafkabroker.Start(t)
	newTopic(t, broker.Addr(), people)
	p := newProgram(t, setup{brokers: broker.Addr(), policy: peoplePolicy})
	p.start(t)
	underLoad(t, p, broker.Addr(), rounds(t, 20), func(int) {
		p.kill(t)
		p.start(t)
	})
}

func TestNothingAcknowledgedIsLostWhenTheSidecarIsTold(t *testing.T) {
	broker := kafkabroker.Start(t)
	newTopic(t, broker.Addr(), people)
	p := newProgram(t, setup{brokers: broker.Addr(), policy: peoplePolicy, config: "shutdown: {drain_delay: 200ms, timeout: 25s}\n"})
	p.start(t)
	l, f := underLoad(t, p, broker.Addr(), rounds(t, 10), func(round int) {
		if took, err := p.end(t, 30*time.Second); err != nil {
			t.Errorf("round %d: after %v: %v\n%s", round, took, err, p.tail(t))
		}
		p.start(t)
	})
	// Who was let in gets an answer. A connection that the kernel resets was never
	// accepted: what was sent into it is not in the topic, nor anything else that
	// nobody knows of.
	if n := l.broken.Load(); n > 0 {
		t.Errorf("%d requests were not answered; the last error: %s", n, *l.other.Load())
	}
	if f.records != f.acked {
		t.Errorf("the topic has records that nobody was told of: %v", f)
	}
}
