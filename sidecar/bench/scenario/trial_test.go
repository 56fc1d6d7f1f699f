package scenario

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

const testTopic = "orders"

// slice is how long a trial of a test measures. Nothing is asserted of what it
// measures but that it did.
const slice = 50 * time.Millisecond

func smallSettings() tune.Settings {
	return tune.Settings{Concurrency: 2, BatchRecords: 5, Linger: time.Millisecond, Compression: "lz4", BatchBytes: 1_000_012, MaxBuffered: 1000}
}

// trialOf returns a trial of a workload before a cluster.
func trialOf(t *testing.T, c workload.Case, client []kgo.Opt, topic string) tune.Trial {
	t.Helper()
	engine, end, err := builtinEngine(t.Context(), c, testTopic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	p := &ProduceTrial{Engine: engine, Topic: topic, Records: []*kgo.Record{{Value: c.Record}}, Client: client}
	trial, err := p.Trial()
	if err != nil {
		t.Fatal(err)
	}
	return trial
}

func TestATrialMeasuresEachWorkload(t *testing.T) {
	client, end, err := embeddedBroker(testTopic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	for _, c := range workload.Cases() {
		for name, rate := range map[string]float64{"as fast as it can": 0, "at a rate": 2000} {
			t.Run(c.Name+" "+name, func(t *testing.T) {
				x, err := trialOf(t, c, client, testTopic)(t.Context(), smallSettings(), slice, rate)
				if err != nil {
					t.Fatal(err)
				}
				// At a rate, a machine that stalls can miss all that is due.
				if x.Errors != 0 || rate == 0 && (x.Rate <= 0 || x.BytesOut <= 0) || x.P50 <= 0 || x.P99 < x.P50 || x.P999 < x.P99 {
					t.Errorf("%+v", x)
				}
			})
		}
	}
}

func TestWhatATrialProducesIsProtected(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, testTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	seeds := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	c := workload.Avro20()
	if _, err := trialOf(t, c, seeds, testTopic)(t.Context(), smallSettings(), slice, 0); err != nil {
		t.Fatal(err)
	}
	reader, err := kgo.NewClient(append(seeds, kgo.ConsumeTopics(testTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	fetches := reader.PollFetches(t.Context())
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range fetches.Records() {
		n++
		for _, plain := range c.Tagged {
			if bytes.Contains(r.Value, plain) {
				t.Fatal("a tagged value is in clear")
			}
		}
	}
	if n == 0 {
		t.Error("the topic is empty")
	}
}

func TestRecordsThatAreRefusedAreErrorsOfTheSample(t *testing.T) {
	client, end, err := embeddedBroker(testTopic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	tight := smallSettings()
	tight.BatchBytes = 512 // less than a record
	for name, run := range map[string]func() (tune.Sample, error){
		"by the engine": func() (tune.Sample, error) {
			return trialOf(t, workload.Avro20(), client, "ungoverned")(t.Context(), smallSettings(), slice, 0)
		},
		"by the client": func() (tune.Sample, error) {
			return trialOf(t, workload.Avro20(), client, testTopic)(t.Context(), tight, slice, 0)
		},
	} {
		if x, err := run(); err != nil || x.Errors == 0 || x.Rate != 0 {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
}

// What is due does not wait for a load that is behind: with one burst under way at
// a time and a long linger, most of it is never sent, and counts all the same.
func TestWhatWasDueAndNotSentCounts(t *testing.T) {
	p := &ProduceTrial{Records: []*kgo.Record{{}}}
	l := &loop{trial: p, batch: 10, rate: 1000, begin: time.Now(), length: time.Second}
	l.next.Store(20) // 80 of 100 bursts were not taken
	x := l.sample(make([]worker, 1), 0, 0)
	// They were due between 0.2 s and 1 s, so half of them waited for 0.4 s or more.
	if x.P50 < 0.39 || x.P50 > 0.41 || x.P99 < 0.78 || x.P99 > 0.81 || x.Rate != 0 {
		t.Errorf("%+v", x)
	}
}

func TestARecordOfAnOpenLoopCountsFromWhenItWasDue(t *testing.T) {
	const ms = time.Millisecond
	l := &loop{batch: 2, rate: 100, warm: time.Second, length: time.Second}
	var w worker
	w.count(l, 50, 900*ms, []time.Duration{950 * ms, 960 * ms})     // before the measuring
	w.count(l, 120, 1700*ms, []time.Duration{1750 * ms, 0})         // due at 1.2 s, handed over late; one is refused
	w.count(l, 198, 1990*ms, []time.Duration{2100 * ms, 2100 * ms}) // acknowledged behind the end
	w.count(l, 200, 2000*ms, []time.Duration{2100 * ms, 2100 * ms}) // due behind it
	if !slices.Equal(w.waits, []time.Duration{550 * ms, 120 * ms, 110 * ms}) || w.acked != 3 || w.all != 7 || w.failed != 1 || w.last != 2100*ms {
		t.Errorf("%+v", w)
	}
	l.next.Store(1000)
	if x := l.sample([]worker{w}, 0, 0); x.Rate != 75 || x.Errors != 1 {
		t.Errorf("%+v", x)
	}
}

// A burst that is longer than the measured time is measured all the same, by its
// part behind the warm-up.
func TestTheLengthOfBurstsDoesNotChangeARate(t *testing.T) {
	l := &loop{batch: 4, warm: time.Second, length: time.Second, begin: time.Now()}
	long, short := worker{}, worker{}
	long.count(l, 0, 0, []time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second, 4 * time.Second})
	for i := range 4 {
		at := time.Duration(i) * time.Second
		end := at + time.Second
		short.count(l, int64(i), at, []time.Duration{end})
	}
	for _, w := range []worker{long, short} {
		if x := l.sample([]worker{w}, 0, 0); x.Rate != 1 {
			t.Errorf("%v records/s", x.Rate)
		}
	}
}

func TestATrialThatIsEndedIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	trial := trialOf(t, workload.Avro20(), []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, testTopic)
	cancel()
	if x, err := trial(ctx, smallSettings(), slice, 0); err == nil {
		t.Errorf("%+v", x)
	}
}

func TestSettingsThatAreNoneAreRefused(t *testing.T) {
	trial := trialOf(t, workload.Avro20(), nil, testTopic)
	s := smallSettings()
	s.Compression = "brotli"
	if _, err := trial(t.Context(), s, slice, 0); err == nil {
		t.Error("no error")
	}
	if _, err := new(ProduceTrial).Trial(); err == nil {
		t.Error("a trial of nothing")
	}
}

func TestATopicIsMadeOnce(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	seeds := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	for i, want := range []bool{true, false} {
		made, err := EnsureTopic(t.Context(), seeds, testTopic)
		if err != nil || made != want {
			t.Errorf("call %d: %v, %v", i+1, made, err)
		}
	}
}

func TestASearchRunsOverRealTrials(t *testing.T) {
	client, end, err := embeddedBroker(testTopic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	r, err := tune.Search(ctx, trialOf(t, workload.Avro20One(), client, testTopic), tune.Options{
		Goal: tune.MaxRate, Slice: 20 * time.Millisecond,
		Progress: func(tune.Progress) {
			n++
			if n == 12 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || r == nil || r.Before.Rate <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
