package report

import (
	"fmt"
	"math"
	"strings"
)

// A compareView is the comparison with an earlier run.
type compareView struct {
	When    string
	Title   string
	Summary string
	Remarks []string
	Charts  []barList
	Figures *table
	OnlyOld []string
	OnlyNew []string
	Chance  string
}

func newCompareView(c *Comparison) *compareView {
	v := &compareView{
		When: c.Old.Started.UTC().Format("2 January 2006, 15:04 UTC"), Title: c.Old.Title,
		Summary: c.Summary(), Remarks: c.Remarks, OnlyOld: c.OnlyOld, OnlyNew: c.OnlyNew,
		Figures: changes(c),
	}
	judged := c.Count(Better) + c.Count(Worse) + c.Count(NoDifference)
	if judged >= 20 {
		v.Chance = fmt.Sprintf("Of %d figures that were judged, some %d would leave their interval by chance alone. One row that changed says little; several of one kind say much.",
			judged, (judged+10)/20)
	}
	for _, m := range Metrics() {
		if l := changeBars(c, m); l != nil {
			v.Charts = append(v.Charts, *l)
		}
	}
	return v
}

// changeBars draws the changes of a metric: of ratios all, of others those with
// a verdict of better or worse.
func changeBars(c *Comparison, m Metric) *barList {
	var rows []*Row
	left := 0
	for i := range c.Rows {
		r := &c.Rows[i]
		switch {
		case r.Metric != m:
		case m == MetricRatio || r.Verdict == Better || r.Verdict == Worse:
			rows = append(rows, r)
		default:
			left++
		}
	}
	if len(rows) == 0 {
		return nil
	}
	// Beyond twice as much the axis ends, and a mark says so: one outlier must not
	// press all others into a line.
	const least, most = 0.05, 1.0
	widest := least
	for _, r := range rows {
		widest = max(widest, math.Abs(r.Change))
		if r.Interval {
			widest = max(widest, math.Abs(r.Low), math.Abs(r.High))
		}
	}
	half, positive := linear(min(widest, most))
	s := scale{low: -half.high, high: half.high, from: 0, to: 100}
	var ticks []float64
	for i := len(positive) - 1; i > 0; i-- {
		ticks = append(ticks, -positive[i])
	}
	ticks = append(ticks, positive...)
	for len(ticks) > 7 {
		ticks = aroundZero(ticks)
	}
	l := &barList{
		Title:  strings.ToUpper(metricTitle(m)[:1]) + metricTitle(m)[1:],
		Class:  "wide-figure",
		Legend: changeLegend(rows),
		Axis:   axis(s, ticks, percent),
	}
	if left > 0 {
		l.Text = fmt.Sprintf("%d more %s neither better nor worse.", left, word(left, "is", "are"))
	}
	for _, r := range rows {
		l.Rows = append(l.Rows, changeRow(r, s, ticks))
	}
	groupRows(l.Rows)
	return l
}

// aroundZero keeps every second tick, and the one at zero.
func aroundZero(ticks []float64) []float64 {
	var out []float64
	for i := len(ticks) / 2 % 2; i < len(ticks); i += 2 {
		out = append(out, ticks[i])
	}
	return out
}

func changeRow(r *Row, s scale, ticks []float64) barRow {
	row := namedRow(&Case{Name: r.Case, Scenario: r.Scenario}, 28)
	row.Big = percent(r.Change)
	row.Small = []string{string(r.Verdict), metricText(r.Metric, r.Old) + " → " + metricText(r.Metric, r.New)}
	if r.Interval {
		row.Small = append(row.Small, strings.TrimSuffix(percent(r.Low), " %")+" to "+percent(r.High))
	}
	row.Bar.Title = metricTitle(r.Metric) + ": " + changeText(r) + ", " + string(r.Verdict)
	for _, t := range ticks {
		row.Bar.upright(s.at(t), "grid")
	}
	row.Bar.upright(s.at(0), "bound")
	if r.Old == 0 {
		row.Big = "was none"
		return row
	}
	class, form := changeLook(r.Verdict)
	if r.Interval {
		row.Bar.line(s.at(r.Low), 14, s.at(r.High), 14, "interval "+class)
		row.Bar.line(s.at(r.Low), 9, s.at(r.Low), 19, "interval "+class)
		row.Bar.line(s.at(r.High), 9, s.at(r.High), 19, "interval "+class)
	}
	switch {
	case r.Change > s.high:
		form = formRight
	case r.Change < s.low:
		form = formLeft
	}
	row.Bar.mark(s.at(r.Change), 14, form, class, row.Bar.Title)
	return row
}

// changeLook gives each verdict a color and a form.
func changeLook(v Verdict) (class, form string) {
	switch v {
	case Better:
		return "mark-good", formCircle
	case Worse:
		return "mark-bad", formDiamond
	case NoDifference, TooFewRounds, NotComparable:
	}
	return "mark-none", formSquare
}

func changeLegend(rows []*Row) []legendItem {
	var out []legendItem
	for _, v := range []Verdict{Better, Worse, NoDifference, TooFewRounds, NotComparable} {
		for _, r := range rows {
			if r.Verdict == v {
				class, form := changeLook(v)
				out = append(out, legendItem{Form: form, Class: class, Name: string(v)})
				break
			}
		}
	}
	return append(out, legendItem{Form: "M-9 0h18M-9 -4v8M9 -4v8", Class: "interval mark-none", Name: "95 % interval"})
}

// changes is the table of all changes: a row for each case, a column for each
// metric.
func changes(c *Comparison) *table {
	t := &table{Caption: "All changes", Class: "cards", Heads: []string{"case"}}
	var metrics []Metric
	for _, m := range Metrics() {
		for i := range c.Rows {
			if c.Rows[i].Metric == m {
				metrics = append(metrics, m)
				t.Heads = append(t.Heads, metricTitle(m))
				break
			}
		}
	}
	type key struct {
		name   string
		metric Metric
	}
	at := map[key]*Row{}
	var names []string
	seen := map[string]bool{}
	for i := range c.Rows {
		r := &c.Rows[i]
		at[key{r.Case, r.Metric}] = r
		if !seen[r.Case] {
			seen[r.Case] = true
			names = append(names, r.Case)
		}
	}
	for _, n := range names {
		row := tableRow{Cells: []string{n}}
		for _, m := range metrics {
			cell := none
			if r := at[key{n, m}]; r != nil {
				cell = changeText(r)
				switch r.Verdict {
				case Worse:
					cell += " worse"
				case Better:
					cell += " better"
				case TooFewRounds:
					cell += " ?"
				case NoDifference, NotComparable:
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// glossary explains the words that the page uses, those alone.
func glossary(p *page) []fact {
	var out []fact
	add := func(used bool, name, text string) {
		if used {
			out = append(out, fact{name, text})
		}
	}
	add(len(p.Ratios) > 0 || len(p.Goals) > 0, "The floor",
		"The least that the same work can cost, such as the same AES-256-GCM seals of the same values and nothing else. Of a service it is called the yardstick: one that gives back what it gets, or the same client without the work. A ratio to either is much the same on any machine.")
	add(true, "Median and quartiles",
		"What is measured is measured in many short rounds. Half of the rounds lie below the median. Half of them lie between the two quartiles, which stand behind it: close together they tell of a calm machine.")
	add(len(p.Ratios) > 0, "Paired rounds",
		"The case and its floor take turns, some milliseconds each, and every ratio is of two neighbours. What else the machine does then hits both.")
	add(len(p.Latency) > 0 || len(p.Curves) > 0, "p50, p99, p99.9",
		"Of 100 records 99 were as fast as p99 or faster, and one was slower. p50 is the median.")
	add(len(p.Latency) > 0 || len(p.Curves) > 0, "Coordinated omission",
		"A client that waits for each answer sends nothing while the server stands still, and so never measures the wait. Here records are due at fixed moments, whether or not the ones before have been answered, and each counts from the moment it was due.")
	add(len(p.Curves) > 0, "Full",
		"A rate at which less than 95 % of what was due got through. The queue grows as long as the run lasts, and latencies there say how long that was, and nothing of the service.")
	add(p.Splits != nil, "Parts of the time",
		"Taken from a CPU profile. Waiting is time without CPU.")
	add(p.Compare != nil, "95 % interval",
		"Where the true change lies in 95 of 100 comparisons like this one. Where it holds zero, chance alone can explain the change.")
	add(p.Compare != nil, "No difference seen",
		"That none was seen does not say that there is none: one that is smaller than its interval cannot be seen.")
	return out
}
