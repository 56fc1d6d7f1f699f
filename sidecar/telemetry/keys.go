package telemetry

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

var _ datakey.Observer = (*Observer)(nil)

// Observe counts an event of a [datakey.Cache]: hand o to [datakey.WithObserver].
func (o *Observer) Observe(e datakey.Event) {
	if o == nil {
		return
	}
	switch e.Kind {
	case datakey.EventCall:
		o.KMSCall(e.Endpoint, string(e.Op), string(e.Outcome), e.Took)
	case datakey.EventKey:
		o.keysMade.WithLabelValues(o.keyName(e.Key)).Inc()
	case datakey.EventWait:
		key := o.keyName(e.Key)
		o.keyWaits.WithLabelValues(key, o.names.kmsOutcomes.of(string(e.Outcome))).Inc()
		o.keyWaitTime.WithLabelValues(key).Observe(e.Took.Seconds())
	case datakey.EventNegative:
		o.keyNegatives.WithLabelValues(o.keyName(e.Key)).Inc()
	case datakey.EventDrop:
		o.keyDrops.WithLabelValues(o.keyName(e.Key), o.names.drops.of(string(e.Reason))).Inc()
	case datakey.EventPersist:
		o.keyPersist.WithLabelValues(o.keyName(e.Key)).Inc()
	case datakey.EventCircuit: // the snapshot says in which state it is
	}
}

// KMSCall counts an attempt to call a KMS. Endpoint is a host, a Region or a
// location; operation and outcome are those of [datakey.Event].
func (o *Observer) KMSCall(endpoint, operation, outcome string, took time.Duration) {
	if o == nil {
		return
	}
	operation = o.names.ops.of(operation)
	o.kmsCalls.WithLabelValues(o.endpoint(endpoint), operation, o.names.kmsOutcomes.of(outcome)).Inc()
	o.kmsTime.WithLabelValues(operation).Observe(took.Seconds())
}

// keyName returns the label of a key. One that is new gets all series that an
// alert looks at, so that the first key that is dropped is an increase.
func (o *Observer) keyName(name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(o.keys.names)
	name = o.keys.of(name)
	if len(o.keys.names) > before {
		for _, reason := range dropReasons() {
			o.keyDrops.WithLabelValues(name, reason)
		}
	}
	return name
}

// endpoint returns the label of an endpoint, and makes its series as keyName does.
func (o *Observer) endpoint(name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(o.endpoints.names)
	name = o.endpoints.of(name)
	if len(o.endpoints.names) > before {
		for _, op := range kmsOps() {
			for _, outcome := range kmsOutcomes() {
				o.kmsCalls.WithLabelValues(name, op, outcome)
			}
		}
	}
	return name
}

// WatchKeys makes each scrape ask for a snapshot of the data keys: hand it
// [datakey.Cache.Stats]. A later call takes the place of an earlier one.
func (o *Observer) WatchKeys(stats func() datakey.Stats) {
	if o != nil {
		o.keyStats.Store(&stats)
	}
}

// WatchEngine makes each scrape ask for the counts of the engine: hand it
// [fieldcrypt.Engine.Stats]. A later call takes the place of an earlier one; the
// counts then begin anew, which Prometheus takes for a restart.
func (o *Observer) WatchEngine(stats func() fieldcrypt.Stats) {
	if o != nil {
		o.engineStats.Store(&stats)
	}
}

// A snapshot collects what is asked for at each scrape.
type snapshot struct {
	o *Observer

	left, age, seals, bytes, scopes, warm *prometheus.Desc
	openers, refusals, keysReady          *prometheus.Desc
	circuit, opened, calls                *prometheus.Desc
	values, rechecked, held               *prometheus.Desc
}

// watchStats registers the metrics of snapshots.
func (o *Observer) watchStats() {
	desc := func(name, kind, help string, labels ...string) *prometheus.Desc {
		o.define(name, kind, help, labels)
		return prometheus.NewDesc(name, help, labels, nil)
	}
	o.reg.MustRegister(&snapshot{
		o:         o,
		left:      desc("fieldveil_datakey_left_seconds", "gauge", "Time until the first data key of a name may no longer be used. Missing while there is none.", "key"),
		age:       desc("fieldveil_datakey_age_seconds", "gauge", "Age of the oldest data key of a name. Missing while there is none.", "key"),
		seals:     desc("fieldveil_datakey_seals_left", "gauge", "How many values the first data key to be used up may still seal.", "key"),
		bytes:     desc("fieldveil_datakey_bytes_left", "gauge", "How many bytes the first data key to be used up may still seal.", "key"),
		scopes:    desc("fieldveil_datakey_scopes", "gauge", "Scopes of a name: one, or one for each tenant in use.", "key"),
		warm:      desc("fieldveil_datakey_warm_scopes", "gauge", "Scopes that have a data key.", "key"),
		openers:   desc("fieldveil_datakey_openers", "gauge", "Keys that are held to open with."),
		refusals:  desc("fieldveil_datakey_refusals", "gauge", "Refusals of the KMS that are remembered."),
		keysReady: desc("fieldveil_datakeys_ready", "gauge", "1 while the keys of the policy can be had."),
		circuit:   desc("fieldveil_kms_circuit_state", "gauge", "1 for the state that the circuit of an endpoint is in. Open lets no call out.", "endpoint", "state"),
		opened:    desc("fieldveil_kms_circuit_opened_total", "counter", "How often the circuit of an endpoint opened.", "endpoint"),
		calls:     desc("fieldveil_kms_inflight_calls", "gauge", "Calls of an endpoint that run now.", "endpoint"),
		values:    desc("fieldveil_values_total", "counter", "Values that the policy let pass with a remark: moved, unsealed, redacted or forgotten.", "what"),
		rechecked: desc("fieldveil_rechecked_records_total", "counter", "Records that were looked at again after they were protected."),
		held:      desc("fieldveil_kafka_buffered", "gauge", "Records and bytes that the client holds and that no broker has answered.", "client", "unit"),
	})
}

// Describe implements [prometheus.Collector].
func (s *snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.left, s.age, s.seals, s.bytes, s.scopes, s.warm, s.openers, s.refusals, s.keysReady, s.circuit, s.opened, s.calls,
		s.values, s.rechecked, s.held,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (s *snapshot) Collect(ch chan<- prometheus.Metric) {
	s.collectKafka(ch)
	if f := s.o.keyStats.Load(); f != nil && *f != nil {
		s.collectKeys(ch, (*f)())
	}
	if f := s.o.engineStats.Load(); f != nil && *f != nil {
		st := (*f)()
		for what, n := range map[string]uint64{"moved": st.Moved, "unsealed": st.Unsealed, "redacted": st.Redacted, "forgotten": st.Forgotten} {
			ch <- prometheus.MustNewConstMetric(s.values, prometheus.CounterValue, float64(n), what)
		}
		ch <- prometheus.MustNewConstMetric(s.rechecked, prometheus.CounterValue, float64(st.Rechecked))
	}
}

// collectKafka asks without the lock: a client may be slow to say.
func (s *snapshot) collectKafka(ch chan<- prometheus.Metric) {
	s.o.mu.Lock()
	held := maps.Clone(s.o.held)
	s.o.mu.Unlock()
	for client, f := range held {
		records, bytes := f()
		ch <- prometheus.MustNewConstMetric(s.held, prometheus.GaugeValue, float64(records), client, "records")
		ch <- prometheus.MustNewConstMetric(s.held, prometheus.GaugeValue, float64(bytes), client, "bytes")
	}
}

func (s *snapshot) collectKeys(ch chan<- prometheus.Metric, st datakey.Stats) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(s.openers, float64(st.Openers))
	gauge(s.refusals, float64(st.Refusals))
	gauge(s.keysReady, float(st.Ready))
	for name, k := range s.o.byName(st.Keys) {
		gauge(s.scopes, float64(k.Scopes), name)
		gauge(s.warm, float64(k.Warm), name)
		if k.Warm > 0 {
			gauge(s.left, k.Left.Seconds(), name)
			gauge(s.age, k.Age.Seconds(), name)
			gauge(s.seals, float64(k.SealsLeft), name)
			gauge(s.bytes, float64(k.BytesLeft), name)
		}
	}
	for name, e := range s.o.byEndpoint(st.Endpoints) {
		for _, state := range circuitStates() {
			gauge(s.circuit, float(e.Circuit == datakey.CircuitState(state)), name, state)
		}
		ch <- prometheus.MustNewConstMetric(s.opened, prometheus.CounterValue, float64(e.Opened), name)
		gauge(s.calls, float64(e.InFlight), name)
	}
}

// byName puts the rows of a name together, so that tenants are no labels: the
// worst of ages and budgets, the sum of scopes.
func (o *Observer) byName(rows []datakey.KeyStats) map[string]datakey.KeyStats {
	out := map[string]datakey.KeyStats{}
	for _, r := range rows {
		name := o.keyName(r.Key)
		sum, seen := out[name]
		if !seen {
			out[name] = r
			continue
		}
		if r.Warm > 0 {
			if sum.Warm == 0 {
				sum.Age, sum.Left, sum.SealsLeft, sum.BytesLeft = r.Age, r.Left, r.SealsLeft, r.BytesLeft
			}
			sum.Age, sum.Left = max(sum.Age, r.Age), min(sum.Left, r.Left)
			sum.SealsLeft, sum.BytesLeft = min(sum.SealsLeft, r.SealsLeft), min(sum.BytesLeft, r.BytesLeft)
		}
		sum.Scopes, sum.Warm = sum.Scopes+r.Scopes, sum.Warm+r.Warm
		out[name] = sum
	}
	return out
}

// byEndpoint puts endpoints together that have no label of their own: open if one
// of them is.
func (o *Observer) byEndpoint(rows []datakey.EndpointStats) map[string]datakey.EndpointStats {
	rank := map[datakey.CircuitState]int{datakey.CircuitHalfOpen: 1, datakey.CircuitOpen: 2}
	out := map[string]datakey.EndpointStats{}
	for _, r := range rows {
		name := o.endpoint(r.Endpoint)
		sum, seen := out[name]
		if !seen {
			out[name] = r
			continue
		}
		if rank[r.Circuit] > rank[sum.Circuit] {
			sum.Circuit = r.Circuit
		}
		sum.Opened, sum.InFlight = sum.Opened+r.Opened, sum.InFlight+r.InFlight
		out[name] = sum
	}
	return out
}
