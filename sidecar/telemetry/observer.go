package telemetry

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// maxNames is how many keys, endpoints, certificates or clients have metrics of
// their own. A policy that has more of them is seen as a whole.
const maxNames = 64

// Options declare the sets that the labels of an [Observer] come from. Whatever
// it is told beside them counts as "other".
type Options struct {
	// Protocols are the ways in, such as "v2", "v3" and "grpc". Nil for
	// [DefaultProtocols].
	Protocols []string
	// Routes are the patterns of the routes that are served, such as
	// "POST /topics/{topic}".
	Routes []string
	// Codes are reasons of errors beside those of the pipeline and the engine.
	Codes []string
	// Topics have metrics of their own: [MetricsConfig.Topics].
	Topics []string
	// Components are where panics are caught. Nil for [DefaultComponents].
	Components []string
	Build      Build
}

// A Build says what runs.
type Build struct {
	Version, Commit, Go string
	FIPS                bool
}

// DefaultProtocols are the protocols of an Observer that is told of no others.
func DefaultProtocols() []string { return []string{"v2", "v3", "grpc"} }

// DefaultComponents are the components of an Observer that is told of no others.
func DefaultComponents() []string {
	return []string{"rest", "rpc", "admin", "produce", "protect", "kafka", "reload"}
}

// An Observer counts what the sidecar does, in a registry of its own. It is safe
// for concurrent use, and a nil Observer counts nothing. Its methods do not
// block; [Observer.RecordDone] does not allocate once it has seen its labels.
type Observer struct {
	reg   *prometheus.Registry
	defs  []Metric
	names labelSets
	vecs

	records []recordCells // by protocol, the last one for others
	codeIdx map[string]int
	protIdx map[string]int

	answered memo[requestCells]
	auths    memo[prometheus.Counter]
	lines    memo[prometheus.Counter]

	mu           sync.Mutex
	keys         bounded
	endpoints    bounded
	certificates bounded
	clients      bounded
	nodes        bounded

	inBytes, inRecords, inStreams atomic.Int64

	held map[string]func() (records, bytes int64) // by client

	keyStats    atomic.Pointer[func() datakey.Stats]
	engineStats atomic.Pointer[func() fieldcrypt.Stats]
}

type labelSets struct {
	protocols, routes, topics, outcomes, ops, kmsOutcomes, drops, reloads set
	methods, decisions, audits, drains, refusals, components              set
	receipts                                                              map[int]string
}

// NewObserver returns an Observer with its registry.
func NewObserver(opts Options) *Observer {
	if opts.Protocols == nil {
		opts.Protocols = DefaultProtocols()
	}
	if opts.Components == nil {
		opts.Components = DefaultComponents()
	}
	o := &Observer{
		held:         map[string]func() (int64, int64){},
		reg:          prometheus.NewRegistry(),
		keys:         bounded{limit: maxNames},
		endpoints:    bounded{limit: maxNames},
		certificates: bounded{limit: maxNames},
		clients:      bounded{limit: maxNames},
		nodes:        bounded{limit: 4 * maxNames},
		names: labelSets{
			protocols: newSet(opts.Protocols...), routes: newSet(opts.Routes...), topics: newSet(opts.Topics...),
			outcomes: newSet(outcomes()...), ops: newSet(kmsOps()...), kmsOutcomes: newSet(kmsOutcomes()...),
			drops: newSet(dropReasons()...), reloads: newSet(reloadOutcomes()...), methods: newSet(authMethods()...),
			decisions: newSet(authDecisions()...), audits: newSet(auditOutcomes()...), drains: newSet(drainCauses()...),
			refusals: newSet(refusalCodes()...), components: newSet(opts.Components...), receipts: receiptLabels(),
		},
	}
	o.vecs = o.build()
	o.reg.MustRegister(collectors.NewGoCollector(),
		// A process that is not dumpable may not read what this asks for: those
		// metrics are then missing.
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o.buildRecords(opts.Protocols, opts.Codes)
	o.preset(opts.Components)
	o.buildInfo.WithLabelValues(labelText(opts.Build.Version), labelText(opts.Build.Commit), labelText(opts.Build.Go),
		boolLabel(opts.Build.FIPS)).Set(1)
	return o
}

// Handler serves the metrics. It allows two scrapes at a time.
func (o *Observer) Handler() http.Handler {
	return promhttp.HandlerFor(o.reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 2, Timeout: 10 * time.Second,
	})
}

// Registry returns the registry, for whoever has metrics of his own.
func (o *Observer) Registry() *prometheus.Registry { return o.reg }

// preset makes the series that alerts look at, so that their first event is an
// increase.
func (o *Observer) preset(components []string) {
	for i := range o.records {
		for _, w := range watched() {
			o.counter(i, w.outcome, w.code)
		}
	}
	each := func(v *prometheus.CounterVec, labels []string) {
		for _, l := range labels {
			v.WithLabelValues(l)
		}
	}
	each(o.reloads, reloadOutcomes())
	each(o.audits, auditOutcomes())
	each(o.drains, drainCauses())
	each(o.refusedTotal, refusalCodes())
	each(o.logLines, logLevels())
	each(o.panics, components)
	o.logHidden.WithLabelValues()
	each(o.drainRecords, []string{"unknown", "retryable"})
	each(o.spans, []string{"exported", "failed"})
}

// labelText is a name for a label, or other.
func labelText(s string) string {
	// A version may have +dirty behind it, and the name of a toolchain a space.
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '.' && c != '_' && c != '-' && c != '+' && c != ':' && c != '/' {
			return other
		}
	}
	if s == "" || len(s) > maxLabelLen {
		return other
	}
	return s
}

func boolLabel(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
