package telemetry

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Metric describes a metric of an [Observer].
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// Metrics lists the metrics of o by name, those of the Go runtime and of the
// process not among them.
func (o *Observer) Metrics() []Metric {
	out := slices.Clone(o.defs)
	slices.SortFunc(out, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// vecs are the metrics that events change.
type vecs struct {
	late, recordsTotal, topicRecords, inBytesTotal, outBytesTotal, receipts, requests, refusedTotal *prometheus.CounterVec
	reloads, authTotal, audits, drains, drainRecords, logLines, logHidden, logDropped, panics       *prometheus.CounterVec
	kmsCalls, keysMade, keyWaits, keyNegatives, keyDrops, keyPersist, spans                         *prometheus.CounterVec
	kafkaConnects, kafkaRequests, kafkaBytes, kafkaRecords                                          *prometheus.CounterVec

	protect                                             prometheus.Histogram
	requestTime, kmsTime, keyWaitTime, kafkaRequestTime *prometheus.HistogramVec
	kafkaThrottled                                      *prometheus.CounterVec

	generation, reloadOK, reloadTime, ready, draining       prometheus.Gauge
	auditUp, configInfo, policyInfo, buildInfo, certificate *prometheus.GaugeVec
}

// Buckets in seconds. Protecting takes microseconds while the key is at hand;
// requests wait for brokers; a KMS answers in milliseconds or not at all.
func protectBuckets() []float64 {
	return []float64{5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2e-2, 0.1, 0.5, 2, 10}
}

func requestBuckets() []float64 {
	return []float64{1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120}
}

func kmsBuckets() []float64 {
	return []float64{2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30}
}

func (o *Observer) define(name, kind, help string, labels []string) {
	o.defs = append(o.defs, Metric{Name: name, Type: kind, Labels: labels, Help: help})
}

func (o *Observer) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	o.define(name, "counter", help, labels)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	o.reg.MustRegister(v)
	return v
}

func (o *Observer) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	o.define(name, "gauge", help, labels)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	o.reg.MustRegister(v)
	return v
}

func (o *Observer) gauge(name, help string) prometheus.Gauge {
	o.define(name, "gauge", help, nil)
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	o.reg.MustRegister(g)
	return g
}

func (o *Observer) gaugeFunc(name, help string, f func() float64) {
	o.define(name, "gauge", help, nil)
	o.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// histogramOpts asks for classic buckets and for native ones, which a Prometheus
// that takes them prefers.
func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}
}

func (o *Observer) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	o.define(name, "histogram", help, labels)
	v := prometheus.NewHistogramVec(histogramOpts(name, help, buckets), labels)
	o.reg.MustRegister(v)
	return v
}

func (o *Observer) histogram(name, help string, buckets []float64) prometheus.Histogram {
	o.define(name, "histogram", help, nil)
	h := prometheus.NewHistogram(histogramOpts(name, help, buckets))
	o.reg.MustRegister(h)
	return h
}

// build makes all metrics and registers them.
func (o *Observer) build() vecs {
	v := vecs{
		recordsTotal:  o.counterVec("fieldveil_records_total", "Records by what became of them. Code is ok for delivered ones.", "protocol", "outcome", "code"),
		late:          o.counterVec("fieldveil_late_records_total", "Records of unknown outcome of which the answer came after their sender was told so.", "outcome"),
		topicRecords:  o.counterVec("fieldveil_topic_records_total", "Records of the topics that the configuration names, and of all others together.", "topic", "outcome"),
		inBytesTotal:  o.counterVec("fieldveil_record_in_bytes_total", "Bytes of records as their senders gave them.", "protocol"),
		outBytesTotal: o.counterVec("fieldveil_record_out_bytes_total", "Bytes of records as they were protected.", "protocol"),
		protect:       o.histogram("fieldveil_protect_seconds", "Time to protect one record, with waiting for keys, tokens and schemas.", protectBuckets()),
		requests:      o.counterVec("fieldveil_requests_total", "Requests by route and class of status.", "protocol", "route", "status"),
		requestTime:   o.histogramVec("fieldveil_request_seconds", "Time from the first byte of a request to its answer. Streams count when they end.", requestBuckets(), "protocol", "route"),
		receipts:      o.counterVec("fieldveil_receipts_total", "Receipts of the v3 protocol by error code; HTTP says 200 for all of them.", "code"),
		refusedTotal:  o.counterVec("fieldveil_requests_refused_total", "Requests and streams that were not admitted.", "code"),

		reloads:    o.counterVec("fieldveil_config_reloads_total", "Reloads of configuration and policy. Refused ones were read and not taken.", "outcome"),
		generation: o.gauge("fieldveil_config_generation", "How many configurations this process has taken into use."),
		reloadOK:   o.gauge("fieldveil_config_last_reload_successful", "1 when the last reload was taken into use or had nothing new."),
		reloadTime: o.gauge("fieldveil_config_last_reload_success_timestamp_seconds", "When a configuration was last taken into use."),
		configInfo: o.gaugeVec("fieldveil_config_info", "1, with the hash of the configuration in use.", "hash"),
		policyInfo: o.gaugeVec("fieldveil_policy_info", "1, with the version of the policy in use.", "version"),
		buildInfo:  o.gaugeVec("fieldveil_build_info", "1, with what was built from what.", "version", "commit", "go", "fips"),

		ready:        o.gauge("fieldveil_ready", "1 while the sidecar says that it can serve."),
		draining:     o.gauge("fieldveil_draining", "1 while the sidecar is being shut down."),
		drains:       o.counterVec("fieldveil_drains_total", "Shutdowns by how they ended.", "cause"),
		drainRecords: o.counterVec("fieldveil_drain_records_total", "Records that a shutdown left behind: unknown ones were handed over and not answered, retryable ones were not sent.", "outcome"),
		authTotal:    o.counterVec("fieldveil_auth_decisions_total", "Decisions about callers.", "method", "decision"),
		audits:       o.counterVec("fieldveil_audit_lines_total", "Lines of the audit log.", "outcome"),
		auditUp:      o.gaugeVec("fieldveil_audit_up", "1 while the audit log can be written. What must be audited is refused while it is 0. Missing until it was tried."),
		certificate:  o.gaugeVec("fieldveil_certificate_expiry_timestamp_seconds", "When a certificate ends.", "certificate"),
		panics:       o.counterVec("fieldveil_panics_total", "Panics that were caught. Each is a fault of the sidecar.", "where"),

		logLines:   o.counterVec("fieldveil_log_lines_total", "Lines of the log.", "level"),
		logHidden:  o.counterVec("fieldveil_log_attributes_removed_total", "Attributes that were kept out of the log, because their name or their value is not allowed there."),
		logDropped: o.counterVec("fieldveil_log_lines_suppressed_total", "Warnings and errors that were not written because others like them were."),
		spans:      o.counterVec("fieldveil_trace_spans_total", "Spans by whether the collector took them.", "outcome"),
	}
	o.buildKeys(&v)
	o.buildKafka(&v)
	o.gaugeFunc("fieldveil_inflight_bytes", "Bytes of requests that are being served.", func() float64 { return float64(o.inBytes.Load()) })
	o.gaugeFunc("fieldveil_inflight_records", "Records of requests that are being served.", func() float64 { return float64(o.inRecords.Load()) })
	o.gaugeFunc("fieldveil_inflight_streams", "Streams that are open.", func() float64 { return float64(o.inStreams.Load()) })
	return v
}

// buildKeys makes what is told of keys and of the KMS.
func (o *Observer) buildKeys(v *vecs) {
	v.kmsCalls = o.counterVec("fieldveil_kms_calls_total", "Attempts to call a KMS, retries each by themselves.", "endpoint", "operation", "outcome")
	v.kmsTime = o.histogramVec("fieldveil_kms_call_seconds", "Time of one attempt.", kmsBuckets(), "operation")
	v.keysMade = o.counterVec("fieldveil_datakeys_total", "Data keys that were taken into use.", "key")
	v.keyWaits = o.counterVec("fieldveil_datakey_waits_total", "Records that had to wait for a data key.", "key", "outcome")
	v.keyWaitTime = o.histogramVec("fieldveil_datakey_wait_seconds", "How long they waited.", kmsBuckets(), "key")
	v.keyNegatives = o.counterVec("fieldveil_datakey_negatives_total", "Questions that an earlier refusal of the KMS answered.", "key")
	v.keyDrops = o.counterVec("fieldveil_datakey_drops_total", "Data keys that went, by reason. All but replaced, evicted and closed mean that records fail.", "key", "reason")
	v.keyPersist = o.counterVec("fieldveil_datakey_persist_failures_total", "Key files that could not be read or written.", "key")
	o.watchStats()
}

// buildKafka makes what is told of the clients of Kafka.
func (o *Observer) buildKafka(v *vecs) {
	v.kafkaConnects = o.counterVec("fieldveil_kafka_connects_total", "Connections to brokers, by whether they came about.", "client", "node", "outcome")
	v.kafkaRequests = o.counterVec("fieldveil_kafka_requests_total", "Requests to brokers, by whether they were answered.", "client", "node", "outcome")
	v.kafkaRequestTime = o.histogramVec("fieldveil_kafka_request_seconds", "Time from writing a request to reading its answer.", requestBuckets(), "client")
	v.kafkaThrottled = o.counterVec("fieldveil_kafka_throttled_seconds_total", "Time that brokers asked the client to wait.", "client", "node")
	v.kafkaBytes = o.counterVec("fieldveil_kafka_produced_bytes_total", "Bytes of record batches as they were written, compressed.", "client", "node")
	v.kafkaRecords = o.counterVec("fieldveil_kafka_produced_records_total", "Records in them, repeated ones each time.", "client", "node")
}
