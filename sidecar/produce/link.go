package produce

import (
	"errors"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ClientOptions returns what a [*kgo.Client] must be made with to serve a
// [Pipeline]. They come last, so that no other option weakens them:
//
//   - records are acknowledged by all in-sync replicas, and written once;
//   - a record goes to the partition that its sender asks for; otherwise inner
//     chooses, by the key as it was before it was protected, so that protection
//     leaves records where they were. Nil is Kafka's default, murmur2;
//   - a batch is never larger than what its topic takes, nor than maxBytes, where
//     that is positive;
//   - the time for delivery counts from when a record came, whatever time the
//     record bears: see [WithDelivery];
//   - a topic that is not there is told at once.
//
// The options are for one client.
func ClientOptions(inner kgo.Partitioner, maxBytes int) []kgo.Opt {
	if inner == nil {
		inner = kgo.UniformBytesPartitioner(64<<10, true, true, nil)
	}
	l := &link{cluster: newCluster(maxBytes)}
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(partitioner{inner, l}),
		kgo.ProducerBatchMaxBytesFn(l.cluster.batchBytes),
		kgo.UnknownTopicRetries(1),
		kgo.RecordDeliveryTimeout(0),
		kgo.WithHooks(l),
	}
}

// A link is what a pipeline knows of its client from within.
type link struct {
	cluster *cluster
	// doubts counts requests to produce that were written, at least in part, and
	// that got no answer.
	doubts atomic.Uint64
}

const keyProduce = 0

// OnBrokerE2E implements [kgo.HookBrokerE2E].
func (l *link) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == keyProduce && e2e.BytesWritten > 0 && e2e.Err() != nil {
		l.doubts.Add(1)
	}
}

var errClient = errors.New("produce: the client of a Pipeline is made with produce.ClientOptions, and they come last")

// linkOf finds the link of a client, and checks that it keeps the promise.
func linkOf(client *kgo.Client) (*link, error) {
	place, ok := client.OptValue(kgo.RecordPartitioner).(partitioner)
	if !ok {
		return nil, errClient
	}
	if acks, ok := client.OptValue(kgo.RequiredAcks).(kgo.Acks); !ok || acks != kgo.AllISRAcks() {
		return nil, errClient
	}
	if off, ok := client.OptValue(kgo.DisableIdempotentWrite).(bool); !ok || off {
		return nil, errClient
	}
	if off, ok := client.OptValue(kgo.AllowIdempotentProduceCancellation).(bool); !ok || off {
		return nil, errClient
	}
	return place.link, nil
}
