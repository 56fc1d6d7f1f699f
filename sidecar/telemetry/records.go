package telemetry

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// recordCells hold the counters of one protocol, so that a record finds its own
// without a lock: by outcome and code.
type recordCells struct {
	protocol string
	done     [][]atomic.Pointer[prometheus.Counter]
	in, out  prometheus.Counter
}

// buildRecords makes the tables that [Observer.RecordDone] looks into.
func (o *Observer) buildRecords(protocols, more []string) {
	o.codeIdx, o.protIdx = map[string]int{}, map[string]int{}
	for _, c := range append(append(codes(), more...), other) {
		if _, ok := o.codeIdx[c]; !ok {
			o.codeIdx[c] = len(o.codeIdx)
		}
	}
	for _, p := range protocols {
		o.addProtocol(p)
	}
	// Series of "other" appear when somebody forgot to declare a protocol.
	o.addProtocol(other)
}

func (o *Observer) addProtocol(p string) {
	if _, ok := o.protIdx[p]; ok {
		return
	}
	cells := recordCells{protocol: p, in: o.inBytesTotal.WithLabelValues(p), out: o.outBytesTotal.WithLabelValues(p)}
	for range len(outcomes()) + 1 {
		cells.done = append(cells.done, make([]atomic.Pointer[prometheus.Counter], len(o.codeIdx)))
	}
	o.protIdx[p] = len(o.records)
	o.records = append(o.records, cells)
}

// outcomeIndex returns the place of an outcome, the last one for what is none.
func outcomeIndex(outcome string) int {
	switch outcome {
	case "unknown":
		return 0
	case "delivered":
		return 1
	case "rejected":
		return 2
	case "retryable":
		return 3
	default:
		return 4
	}
}

// counter returns the counter of a protocol, an outcome and a code.
func (o *Observer) counter(protocol int, outcome, code string) prometheus.Counter {
	out := outcomeIndex(outcome)
	idx, ok := o.codeIdx[code]
	if !ok {
		code, idx = other, o.codeIdx[other]
	}
	cell := &o.records[protocol].done[out][idx]
	if c := cell.Load(); c != nil {
		return *c
	}
	c := o.recordsTotal.WithLabelValues(o.records[protocol].protocol, o.names.outcomes.of(outcome), code)
	cell.Store(&c)
	return c
}

// protocol returns the place of a protocol.
func (o *Observer) protocol(p string) int {
	if i, ok := o.protIdx[p]; ok {
		return i
	}
	return len(o.records) - 1
}

// RecordDone counts one record of which the outcome is there. Outcome is that of
// produce.Outcome.String; code is empty for a delivered record. Sizes in bytes
// are negative, and protect too, for what did not come about.
func (o *Observer) RecordDone(protocol, outcome, code string, inBytes, outBytes int, protect time.Duration) {
	if o == nil {
		return
	}
	o.RecordsDone(protocol, outcome, code, 1, inBytes, outBytes)
	if protect >= 0 {
		o.protect.Observe(protect.Seconds())
	}
}

// RecordsDone is RecordDone for n records with one outcome and one code, and with
// the sums of their sizes.
func (o *Observer) RecordsDone(protocol, outcome, code string, n, inBytes, outBytes int) {
	if o == nil {
		return
	}
	if code == "" {
		code = codeOK
	}
	p := o.protocol(protocol)
	o.counter(p, outcome, code).Add(float64(n))
	if inBytes > 0 {
		o.records[p].in.Add(float64(inBytes))
	}
	if outBytes > 0 {
		o.records[p].out.Add(float64(outBytes))
	}
}

// TopicDone counts one record under its topic, if the configuration names it, and
// under "other" if not.
func (o *Observer) TopicDone(topic, outcome string) { o.TopicsDone(topic, outcome, 1) }

// TopicsDone is TopicDone for n records of one topic and one outcome.
func (o *Observer) TopicsDone(topic, outcome string, n int) {
	if o == nil || len(o.names.topics) == 0 {
		return
	}
	o.topicRecords.WithLabelValues(o.names.topics.of(topic), o.names.outcomes.of(outcome)).Add(float64(n))
}

// InFlight adds to what is in flight; negative numbers take away.
func (o *Observer) InFlight(bytes, records, streams int64) {
	if o == nil {
		return
	}
	if bytes != 0 {
		o.inBytes.Add(bytes)
	}
	if records != 0 {
		o.inRecords.Add(records)
	}
	if streams != 0 {
		o.inStreams.Add(streams)
	}
}

// Request counts a request that was answered. Route is one of [Options.Routes],
// and status the HTTP status.
func (o *Observer) Request(protocol, route string, status int, took time.Duration) {
	if o == nil {
		return
	}
	cells := o.answered.of(labels{o.names.protocols.of(protocol), o.names.routes.of(route), statusClass(status)}, func(l labels) requestCells {
		return requestCells{o.requests.WithLabelValues(l[:]...), o.requestTime.WithLabelValues(l[0], l[1])}
	})
	cells.count.Inc()
	cells.took.Observe(took.Seconds())
}

// requestCells hold the metrics of requests of one route and one class of status.
type requestCells struct {
	count prometheus.Counter
	took  prometheus.Observer
}

// Refused counts a request or stream that was not admitted.
func (o *Observer) Refused(code string) {
	if o != nil {
		o.refusedTotal.WithLabelValues(o.names.refusals.of(code)).Inc()
	}
}

// Receipt counts a receipt of the v3 protocol by its error code, 200 for success.
func (o *Observer) Receipt(code int) {
	if o == nil {
		return
	}
	label, ok := o.names.receipts[code]
	if !ok {
		label = other
	}
	o.receipts.WithLabelValues(label).Inc()
}

func receiptLabels() map[int]string {
	out := map[int]string{}
	for _, c := range receiptCodes() {
		out[c] = strconv.Itoa(c)
	}
	return out
}

// Protected measures one call of the engine.
func (o *Observer) Protected(took time.Duration) {
	if o != nil {
		o.protect.Observe(took.Seconds())
	}
}

// Late counts a record of unknown outcome of which the answer came after all.
func (o *Observer) Late(outcome string) {
	if o != nil {
		o.late.WithLabelValues(o.names.outcomes.of(outcome)).Inc()
	}
}
