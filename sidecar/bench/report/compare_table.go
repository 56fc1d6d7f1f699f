package report

import (
	"fmt"
	"io"
	"strings"
)

// WriteComparison writes a comparison to a terminal: what differs between the
// runs, every ratio to the floor, of other figures those that changed, and how
// many did not.
func (t Table) WriteComparison(w io.Writer, c *Comparison) error {
	p := t.printer(w)
	p.line(p.mark("beside the run of "+c.Old.Started.UTC().Format("2006-01-02 15:04 UTC"), bold))
	for _, r := range c.Remarks {
		p.wrap("", "  ", r)
	}
	p.wrap("", "", c.Summary())
	for _, m := range Metrics() {
		p.metric(c, m)
	}
	p.names("only in the earlier run", c.OnlyOld)
	p.names("only in this run", c.OnlyNew)
	return p.w.Flush()
}

func (p *printer) metric(c *Comparison, m Metric) {
	var shown []Row
	same := 0
	for _, r := range c.Rows {
		switch {
		case r.Metric != m:
		case m == MetricRatio || r.Verdict == Better || r.Verdict == Worse:
			shown = append(shown, r)
		default:
			same++
		}
	}
	if len(shown) == 0 {
		return
	}
	p.line("")
	p.line(p.mark(metricTitle(m), bold))
	names := 0
	for i := range shown {
		names = max(names, length(clean(shown[i].Case)))
	}
	for i := range shown {
		r := &shown[i]
		text := fmt.Sprintf("%s, now %s  %s", metricText(m, r.Old), metricText(m, r.New), changeText(r))
		said := p.mark(string(r.Verdict), verdictColor(r.Verdict))
		if 2+names+2+length(text)+2+len(r.Verdict) <= p.width {
			p.line("  " + pad(clean(r.Case), names) + "  " + text + "  " + said)
			continue
		}
		p.line("  " + clean(r.Case))
		if 6+length(text)+2+len(r.Verdict) <= p.width {
			p.line("      " + text + "  " + said)
			continue
		}
		p.line("      " + text)
		p.line("      " + said)
	}
	if same > 0 {
		p.line(fmt.Sprintf("  %d more without a verdict of better or worse", same))
	}
}

func (p *printer) names(what string, all []string) {
	if len(all) > 0 {
		p.line("")
		p.wrap(what+": ", "  ", strings.Join(all, ", "))
	}
}

func verdictColor(v Verdict) string {
	switch v {
	case Better:
		return green
	case Worse:
		return red
	default:
		return yellow
	}
}

// metricTitle names a metric for people.
func metricTitle(m Metric) string {
	switch m {
	case MetricRatio:
		return "ratio to the floor"
	case MetricRate:
		return "records/s"
	case MetricCost:
		return "time per record"
	case MetricP50:
		return "latency, p50"
	case MetricP99:
		return "latency, p99"
	case MetricAllocs:
		return "allocations per record"
	}
	return string(m)
}

// metricText writes a figure in the unit of its metric.
func metricText(m Metric, v float64) string {
	switch m {
	case MetricRate:
		return rate(v)
	case MetricCost:
		return nanoseconds(v)
	case MetricP50, MetricP99:
		return seconds(v)
	case MetricRatio, MetricAllocs:
	}
	return digits(v)
}

// changeText writes a change with its interval: +15.2 % (+13.9 % to +16.8 %).
func changeText(r *Row) string {
	if r.Old == 0 && r.New != 0 {
		return "was none"
	}
	s := percent(r.Change)
	if r.Interval {
		s += " (" + strings.TrimSuffix(percent(r.Low), " %") + " to " + percent(r.High) + ")"
	}
	return s
}
