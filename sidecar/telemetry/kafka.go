package telemetry

import (
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A KafkaHook counts what a client of Kafka does. Several clients may have the
// same name, such as one that takes the place of another while both still run;
// plugins that register metrics for each client do not allow that.
type KafkaHook struct {
	o      *Observer
	client string
}

var (
	_ kgo.HookBrokerConnect       = (*KafkaHook)(nil)
	_ kgo.HookBrokerE2E           = (*KafkaHook)(nil)
	_ kgo.HookBrokerThrottle      = (*KafkaHook)(nil)
	_ kgo.HookProduceBatchWritten = (*KafkaHook)(nil)
)

// Kafka returns the hook of a client, for [kgo.WithHooks]. Name says what the
// client is for, such as "produce".
func (o *Observer) Kafka(name string) *KafkaHook {
	if o == nil {
		return &KafkaHook{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return &KafkaHook{o: o, client: o.clients.of(name)}
}

// WatchKafka makes each scrape ask what a client holds that no broker has
// answered: hand it a function of [kgo.Client.BufferedProduceRecords] and
// [kgo.Client.BufferedProduceBytes]. A later call with the same name takes the
// place of an earlier one, and nil ends it.
func (o *Observer) WatchKafka(name string, held func() (records, bytes int64)) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	name = o.clients.of(name)
	if held == nil {
		delete(o.held, name)
		return
	}
	o.held[name] = held
}

// node is the label of a broker: its number. Brokers that are known by address
// alone have one label together.
func (h *KafkaHook) node(meta kgo.BrokerMetadata) string {
	if meta.NodeID < 0 {
		return "seed"
	}
	h.o.mu.Lock()
	defer h.o.mu.Unlock()
	return h.o.nodes.of(strconv.Itoa(int(meta.NodeID)))
}

func okOrFailed(err error) string {
	if err != nil {
		return "failed"
	}
	return codeOK
}

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (h *KafkaHook) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if h.o != nil {
		h.o.kafkaConnects.WithLabelValues(h.client, h.node(meta), okOrFailed(err)).Inc()
	}
}

// OnBrokerE2E implements [kgo.HookBrokerE2E].
func (h *KafkaHook) OnBrokerE2E(meta kgo.BrokerMetadata, _ int16, e2e kgo.BrokerE2E) {
	if h.o == nil {
		return
	}
	err := e2e.Err()
	h.o.kafkaRequests.WithLabelValues(h.client, h.node(meta), okOrFailed(err)).Inc()
	if err == nil {
		h.o.kafkaRequestTime.WithLabelValues(h.client).Observe(e2e.DurationE2E().Seconds())
	}
}

// OnBrokerThrottle implements [kgo.HookBrokerThrottle].
func (h *KafkaHook) OnBrokerThrottle(meta kgo.BrokerMetadata, wait time.Duration, _ bool) {
	if h.o != nil {
		h.o.kafkaThrottled.WithLabelValues(h.client, h.node(meta)).Add(wait.Seconds())
	}
}

// OnProduceBatchWritten implements [kgo.HookProduceBatchWritten].
func (h *KafkaHook) OnProduceBatchWritten(meta kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	if h.o == nil {
		return
	}
	node := h.node(meta)
	h.o.kafkaBytes.WithLabelValues(h.client, node).Add(float64(m.CompressedBytes))
	h.o.kafkaRecords.WithLabelValues(h.client, node).Add(float64(m.NumRecords))
}
