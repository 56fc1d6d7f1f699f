package census

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
)

// noKMS must not be called: a census opens nothing.
type noKMS struct{ kms.Wrapper }

// asCounter makes the test binary a process that takes a census and can be killed.
const asCounter = "FIELDVEIL_TEST_COUNTS"

func TestMain(m *testing.M) {
	if os.Getenv(asCounter) != "" {
		m.Run() // runs TestCountInAProcessOfItsOwn alone, as the arguments say
		return
	}
	os.Exit(m.Run())
}

func TestCountInAProcessOfItsOwn(t *testing.T) {
	addr, policy, ok := strings.Cut(os.Getenv(asCounter), "|")
	if !ok {
		t.Skip("it is run by another test")
	}
	policy, state, _ := strings.Cut(policy, "|")
	_, err := kgocrypt.TakeCensus(t.Context(), []kgo.Opt{kgo.SeedBrokers(addr)}, engineOf(t, policy, noKMS{}), []string{topic},
		kgocrypt.CensusOptions{StateFile: state, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAgainstARealBroker(t *testing.T) {
	broker := kafkabroker.Start(t)
	t.Run("a census is the truth", func(t *testing.T) { testTruth(t, broker) })
	t.Run("what compaction took out needs no key any more", func(t *testing.T) { testCompacted(t, broker) })
	t.Run("a KEK is rotated and retired", func(t *testing.T) { testRotation(t, broker) })
}

func testTruth(t *testing.T, broker *kafkabroker.Broker) {
	t.Helper()
	all := keks(t, "a.kek", "b.kek", "c.kek")
	createTopic(t, broker.Addr(), topic, partitions, nil)
	begin := time.Now()
	truth := seed(t, broker.Addr(), wanted(), all)
	t.Logf("%d records were written in %v", truth.records, time.Since(begin).Round(time.Millisecond))
	policy := policyOf(all[0], all[0], all)
	opts := []kgo.Opt{kgo.SeedBrokers(broker.Addr())}

	t.Run("at once", func(t *testing.T) {
		begin := time.Now()
		c, err := kgocrypt.TakeCensus(t.Context(), opts, engineOf(t, policy, noKMS{}), []string{topic}, kgocrypt.CensusOptions{})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(begin)
		t.Logf("%d records were counted in %v, %.0f a second", truth.records, took.Round(time.Millisecond), float64(truth.records)/took.Seconds())
		compare(t, tallyOf(c), truth)
	})
	t.Run("killed at random and continued", func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "census.json")
		rnd := rand.New(rand.NewPCG(3, 4))
		kills := 0
		for kills < 20 {
			ended, err := count(t, broker.Addr(), policy, state, time.Duration(50+rnd.IntN(300*(kills+1)))*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if ended {
				break
			}
			kills++
		}
		half := int64(0)
		if c, err := keyops.LoadCensus(state); err == nil {
			half, _, _ = c.Records()
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("what a killed process left: %v", err)
		}
		t.Logf("%d kills, after which %d of %d records were counted", kills, half, truth.records)
		c, err := kgocrypt.TakeCensus(t.Context(), opts, engineOf(t, policy, noKMS{}), []string{topic}, kgocrypt.CensusOptions{StateFile: state})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, tallyOf(c), truth)
	})
}

// count runs a census in a process of its own, and kills it after a while. It
// tells whether the process was done before.
func count(t *testing.T, addr, policy, state string, after time.Duration) (ended bool, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCountInAProcessOfItsOwn$", "-test.count=1") //#nosec G204 -- this very program
	cmd.Env = append(os.Environ(), asCounter+"="+addr+"|"+policy+"|"+state)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return false, err
	}
	kill := time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	err = cmd.Wait()
	if kill.Stop() {
		if err != nil {
			return false, fmt.Errorf("%w: %s", err, &out)
		}
		return true, nil
	}
	return false, nil
}

func testCompacted(t *testing.T, broker *kafkabroker.Broker) {
	t.Helper()
	const topic = "people.compacted"
	all := keks(t, "a.kek", "b.kek")
	createTopic(t, broker.Addr(), topic, 1, map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01",
		"max.compaction.lag.ms": "1000", "delete.retention.ms": "0",
	})
	client := clientOf(t, broker.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	note := strings.Repeat("x", 2000)
	for i := range 4 {
		e := engineOf(t, policyOf(all[i%2], all[i%2], all), localkms.New())
		for n := range 600 {
			out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Key: fmt.Appendf(nil, "%d", n%50), Value: value(t, n, note)})
			if err != nil {
				t.Fatal(err)
			}
			r := &kgo.Record{Topic: topic, Key: out.Key, Value: out.Value}
			for _, h := range out.Headers {
				r.Headers = append(r.Headers, kgo.RecordHeader(h))
			}
			client.Produce(t.Context(), r, nil)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	left := held(t, broker.Addr(), topic)
	for len(left) == 2400 {
		select {
		case <-tick.C:
			left = held(t, broker.Addr(), topic)
		case <-ctx.Done():
			t.Skip("skipped: the broker did not compact within 90 s")
		}
	}
	for range 3 { // the cleaner may be at work between the two looks
		c, err := kgocrypt.TakeCensus(t.Context(), []kgo.Opt{kgo.SeedBrokers(broker.Addr())}, engineOf(t, policyOf(all[0], all[0], all), noKMS{}),
			[]string{topic}, kgocrypt.CensusOptions{})
		if err != nil {
			t.Fatal(err)
		}
		again := held(t, broker.Addr(), topic)
		if len(again) != len(left) {
			left = again
			continue
		}
		truth := tally{uses: map[use]span{}}
		for _, r := range left {
			var headers []fieldcrypt.Header
			for _, h := range r.Headers {
				headers = append(headers, fieldcrypt.Header(h))
			}
			truth.note(r, headers, false)
		}
		t.Logf("of 2400 records, %d are left", len(left))
		compare(t, tallyOf(c), truth)
		return
	}
	t.Error("the broker compacts all the time")
}

// From KEK a to KEK b: what was written before opens with a gone, by the key
// topic, and a is given up only when nothing needs it.
func testRotation(t *testing.T, broker *kafkabroker.Broker) {
	t.Helper()
	const topic = "people.rotated"
	all := keks(t, "a.kek", "b.kek")
	a, b := all[0], all[1]
	before, after := policyOf(a, a, all), policyOf(b, b, all)
	createTopic(t, broker.Addr(), topic, partitions, nil)
	opts := []kgo.Opt{kgo.SeedBrokers(broker.Addr())}
	store, err := kgocrypt.OpenKeyTopic(t.Context(), "", opts, kgocrypt.WithReplication(1))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	client := clientOf(t, broker.Addr())
	write := func(policy string, store datakey.Store, from, n int, bare bool) {
		t.Helper()
		var o []datakey.Option
		if store != nil {
			o = append(o, datakey.WithStore(store))
		}
		e := engineOf(t, policy, localkms.New(), o...)
		for i := from; i < from+n; i++ {
			out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: value(t, i, "")})
			if err != nil {
				t.Fatal(err)
			}
			r := &kgo.Record{Topic: topic, Value: out.Value, Partition: int32(i % partitions)}
			for _, h := range out.Headers {
				if !bare {
					r.Headers = append(r.Headers, kgo.RecordHeader(h))
				}
			}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	state := filepath.Join(t.TempDir(), "after.json")
	retire := func(policy string) (*keyops.Evidence, *keyops.NeededError) {
		t.Helper()
		o := kgocrypt.CensusOptions{}
		if policy == after {
			o.StateFile = state
		}
		evidence, err := kgocrypt.Retire(t.Context(), opts, engineOf(t, policy, noKMS{}), []string{topic}, o,
			keyops.Retirement{KEK: a, Catalog: store, Prove: localkms.New()})
		no, ok := errors.AsType[*keyops.NeededError](err)
		if err != nil && !ok {
			t.Fatal(err)
		}
		return evidence, no
	}

	write(before, store, 0, 200, false)
	write(before, store, 200, 100, true)
	if _, no := retire(before); no == nil || no.Keys != 4 || no.Records != 600 || no.Blocks != 4 || len(no.Policy) != 2 {
		t.Fatalf("while producers use it: %+v", no)
	}
	write(after, store, 300, 50, false)
	if _, no := retire(after); no == nil || no.Keys != 4 || no.Records != 600 || no.Blocks != 4 || no.Policy != nil {
		t.Fatalf("with the producers on b: %+v", no)
	}
	moved, err := keyops.Rewrap(t.Context(), store, localkms.New(), a, b, keyops.RewrapOptions{})
	if err != nil || moved.Moved != 4 || moved.Already != 2 {
		t.Fatalf("%+v, %v", moved, err)
	}
	evidence, no := retire(after)
	if no != nil || evidence.Check() != nil || evidence.Records != 350 || evidence.Rewrapped != 2 || evidence.Catalog != 6 {
		t.Fatalf("after the keys were moved: %+v, %+v", evidence, no)
	}

	// a is gone, and so is every process that knew a key.
	path := strings.TrimPrefix(a, localkms.Scheme+":")
	if err := os.Rename(path, path+".gone"); err != nil {
		t.Fatal(err)
	}
	fresh, err := kgocrypt.OpenKeyTopic(t.Context(), "", opts, kgocrypt.WithoutCreate())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	reader := engineOf(t, after, localkms.New(), datakey.WithStore(fresh))
	seen := map[string]bool{}
	for _, r := range held(t, broker.Addr(), topic) {
		rec := fieldcrypt.Record{Topic: topic, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, fieldcrypt.Header(h))
		}
		out, err := reader.Reveal(t.Context(), rec)
		if err != nil {
			t.Fatalf("%d@%d: %v", r.Partition, r.Offset, err)
		}
		seen[string(out.Value)] = true
	}
	for i := range 350 {
		if !seen[string(value(t, i, ""))] {
			t.Errorf("record %d does not come back", i)
		}
	}

	// A producer that was forgotten, without the key topic, makes a needed again.
	if err := os.Rename(path+".gone", path); err != nil {
		t.Fatal(err)
	}
	write(before, nil, 350, 6, false)
	if _, no := retire(after); no == nil || no.Records != 12 || no.Keys != 2 || no.Blocks != 0 || len(no.First) == 0 {
		t.Errorf("after a producer with the old policy: %+v", no)
	}
}
