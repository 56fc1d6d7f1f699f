package produce

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What a record costs in the pipeline itself: a client that throws away, and a
// protector that copies.
func BenchmarkPipeline(b *testing.B) {
	value := make([]byte, 300)
	b.Run("Produce", func(b *testing.B) {
		p := pipeline(b, sealing{}, atOnce{})
		recs := make([]Record, 100)
		for i := range recs {
			recs[i] = Record{Topic: topic, Partition: AnyPartition, Key: value[:16], Value: value}
		}
		b.ReportAllocs()
		for b.Loop() {
			p.Produce(b.Context(), recs, Each)
		}
		b.ReportMetric(float64(b.N)*float64(len(recs))/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("Send", func(b *testing.B) {
		p := pipeline(b, sealing{}, atOnce{})
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		rec := Record{Topic: topic, Partition: AnyPartition, Key: value[:16], Value: value}
		done := func(Result) {}
		b.ReportAllocs()
		for b.Loop() {
			p.Send(ctx, rec, done)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
}

// With a broker in the same process that throws away what it is sent.
func BenchmarkKafka(b *testing.B) {
	value := make([]byte, 300)
	for _, streams := range []int{1, 8} {
		b.Run(fmt.Sprintf("Send/streams=%d", streams), func(b *testing.B) {
			c := cluster1(b, kfake.BlackholeProduce())
			p := pipeline(b, sealing{}, clientOf(b, c, kgo.MaxBufferedRecords(1<<20), kgo.ProducerBatchCompression(kgo.NoCompression())))
			rec := Record{Topic: topic, Partition: AnyPartition, Key: value[:16], Value: value}
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for range streams {
				all.Go(func() {
					ctx, cancel := context.WithCancel(b.Context())
					defer cancel()
					room := make(chan struct{}, 4096)
					var wg sync.WaitGroup
					done := func(r Result) {
						if r.Outcome != Delivered {
							b.Error(r.Err)
						}
						<-room
						wg.Done()
					}
					for range b.N / streams {
						room <- struct{}{}
						wg.Add(1)
						p.Send(ctx, rec, done)
					}
					wg.Wait()
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	b.Run("Produce", func(b *testing.B) {
		c := cluster1(b, kfake.BlackholeProduce())
		p := pipeline(b, sealing{}, clientOf(b, c, kgo.ProducerBatchCompression(kgo.NoCompression())))
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			recs := make([]Record, 100)
			for i := range recs {
				recs[i] = Record{Topic: topic, Partition: AnyPartition, Key: value[:16], Value: value}
			}
			for pb.Next() {
				for _, r := range p.Produce(b.Context(), recs, Each) {
					if r.Outcome != Delivered {
						b.Error(r.Err)
					}
				}
			}
		})
		b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "records/s")
	})
}
