package fieldcrypt_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// slowKMS takes its time when it is told to.
type slowKMS struct {
	kms.Wrapper

	delay atomic.Int64
	calls atomic.Int64
}

func (k *slowKMS) wait(ctx context.Context) error {
	k.calls.Add(1)
	t := time.NewTimer(time.Duration(k.delay.Load()))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *slowKMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if err := k.wait(ctx); err != nil {
		return nil, nil, err
	}
	return k.Wrapper.Generate(ctx, kek, ec)
}

func (k *slowKMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if err := k.wait(ctx); err != nil {
		return nil, err
	}
	return k.Wrapper.Unwrap(ctx, kek, wrapped, ec)
}

// BenchmarkTailWhileTheKMSIsSlow compares the 99th percentile of protecting a
// record with a KMS that takes two seconds to that with a KMS that answers at
// once. The data key lives for two seconds only, so that it is renewed all the
// time. It takes half a minute whatever b.N is; "ratio" is what counts.
func BenchmarkTailWhileTheKMSIsSlow(b *testing.B) {
	service := &slowKMS{Wrapper: localkms.NewInMemory()}
	keys, err := datakey.New(service)
	if err != nil {
		b.Fatal(err)
	}
	defer keys.Close()
	policy, err := fieldcrypt.ParsePolicy([]byte("version: 1\nkeys: {pii: {kek: \"local:a\", refresh: 2s, expire: 60s}}\nrules: [{tag: PII, action: encrypt, key: pii}]\n"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := avro.Parse(avroText(oneField(`"string"`, "PII")))
	if err != nil {
		b.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, policy, keys, "t")
	if err != nil {
		b.Fatal(err)
	}
	src := append([]byte{32}, "jane@example.com"...)
	var (
		dst    []byte
		blocks [][]byte
	)
	// measure protects records for a while and returns how long each took.
	measure := func(d time.Duration) (took []time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); {
			start := time.Now()
			if dst, blocks, err = plan.AppendProtected(b.Context(), "", dst[:0], src, blocks[:0]); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		return took
	}
	measure(time.Second)
	var quick, slow []time.Duration
	calls := [2]int64{}
	for range 5 {
		service.delay.Store(0)
		measure(time.Second) // what is under way may still be slow
		before := service.calls.Load()
		quick = append(quick, measure(2*time.Second)...)
		calls[0] += service.calls.Load() - before
		service.delay.Store(int64(2 * time.Second))
		before = service.calls.Load()
		slow = append(slow, measure(3*time.Second)...)
		calls[1] += service.calls.Load() - before
	}
	p99 := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	q, l := p99(quick), p99(slow)
	b.ReportMetric(float64(l)/float64(q), "ratio")
	b.ReportMetric(float64(q), "ns-p99-quick")
	b.ReportMetric(float64(l), "ns-p99-slow")
	b.ReportMetric(float64(calls[1]), "slow-calls")
	b.ReportMetric(float64(slow[len(slow)-1]), "ns-max-slow")
}
