package telemetry

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

const docs = "../../docs/metrics.md"

func table(o *Observer) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, m := range o.Metrics() {
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(labels, " "), m.Help)
	}
	return b.String()
}

func TestTheTableOfMetricsIsThatOfTheRegistry(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- metrics: begin -->\n", "<!-- metrics: end -->"
	before, rest, ok1 := strings.Cut(string(text), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the marks of the table are missing")
	}
	want := table(NewObserver(Options{}))
	if *update {
		if err := os.WriteFile(docs, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("run go test ./telemetry -run TestTheTableOfMetrics -update; the table should be\n%s", want)
	}
}

// everything returns an Observer of which each metric has a series.
func everything() *Observer {
	o := NewObserver(Options{Topics: []string{"orders"}})
	o.RecordDone("v2", "delivered", "", 1, 1, 1)
	o.TopicDone("orders", "delivered")
	o.Late("delivered")
	o.Request("v2", "", 200, 1)
	o.Receipt(200)
	o.Config(1, "aa", "bb")
	o.Drained("completed", 0, 0)
	o.Auth("none", "allowed")
	o.Audit(true)
	o.Certificate("rest", oneTime)
	o.Panicked("rest")
	o.logged(0, 1)
	o.logSuppressed()
	for _, kind := range []datakey.EventKind{datakey.EventCall, datakey.EventKey, datakey.EventWait, datakey.EventNegative, datakey.EventDrop, datakey.EventPersist} {
		o.Observe(datakey.Event{Kind: kind, Endpoint: "e", Key: "k"})
	}
	o.WatchKeys(func() datakey.Stats {
		return datakey.Stats{Keys: []datakey.KeyStats{{Key: "k", Warm: 1}}, Endpoints: []datakey.EndpointStats{{Endpoint: "e"}}}
	})
	o.WatchEngine(func() fieldcrypt.Stats { return fieldcrypt.Stats{} })
	h := o.Kafka("produce")
	h.OnBrokerConnect(broker, 0, nil, nil)
	h.OnBrokerE2E(broker, 0, e2e)
	h.OnBrokerThrottle(broker, 1, false)
	h.OnProduceBatchWritten(broker, "", 0, batch)
	o.WatchKafka("produce", func() (int64, int64) { return 1, 1 })
	return o
}

func TestWhatIsScrapedIsWhatIsListed(t *testing.T) {
	o := everything()
	families, err := o.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]dto.MetricType{"counter": dto.MetricType_COUNTER, "gauge": dto.MetricType_GAUGE, "histogram": dto.MetricType_HISTOGRAM}
	var have []string
	listed := map[string]Metric{}
	for _, m := range o.Metrics() {
		listed[m.Name] = m
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
			continue
		}
		have = append(have, f.GetName())
		m, ok := listed[f.GetName()]
		if !ok {
			t.Errorf("%s is not listed", f.GetName())
			continue
		}
		if kinds[m.Type] != f.GetType() || m.Help != f.GetHelp() {
			t.Errorf("%s: %v, %q", m.Name, f.GetType(), f.GetHelp())
		}
		if (m.Type == "counter") != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s is a %s", m.Name, m.Type)
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if want := slices.Sorted(slices.Values(m.Labels)); !slices.Equal(labels, want) {
			t.Errorf("%s has labels %q, not %q", m.Name, labels, want)
		}
	}
	for name := range listed {
		if !slices.Contains(have, name) {
			t.Errorf("%s is listed and never scraped", name)
		}
	}
}

func TestHistogramsHaveClassicAndNativeBuckets(t *testing.T) {
	families, err := everything().Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	for _, f := range families {
		if f.GetType() != dto.MetricType_HISTOGRAM || !strings.HasPrefix(f.GetName(), "fieldveil_") {
			continue
		}
		n++
		h := f.GetMetric()[0].GetHistogram()
		if len(h.GetBucket()) == 0 || h.Schema == nil {
			t.Errorf("%s: %v", f.GetName(), h)
		}
	}
	if n < 4 {
		t.Errorf("%d histograms", n)
	}
}
