package report

import (
	"strings"
)

// namedRow begins the row of a case.
func namedRow(c *Case, height float64) barRow {
	return barRow{Group: c.Scenario, Name: label(c), Bar: chart{Class: "bar", Height: coord(height)}}
}

// groupRows keeps the name of a scenario at its first row alone, and at none where
// there is one scenario.
func groupRows(rows []barRow) {
	last := ""
	several := false
	for i := range rows {
		several = several || rows[i].Group != rows[0].Group
	}
	for i := range rows {
		g := rows[i].Group
		if !several || g == last {
			rows[i].Group = ""
		}
		last = g
	}
}

// ratioBars draws the ratios to the floor, those of costs and those of rates
// apart, because less is better of the former and more of the latter.
func ratioBars(r *Report) []barList {
	var out []barList
	for _, costs := range []bool{true, false} {
		var with []*Case
		for i := range r.Cases {
			if c := &r.Cases[i]; c.Ratio != nil && c.RatioOfCosts() == costs {
				with = append(with, c)
			}
		}
		if len(with) == 0 {
			continue
		}
		l := barList{Title: "Rate by its yardstick", Text: "More is better. 1 would be as fast as the yardstick."}
		if costs {
			l = barList{Title: "Time by the floor", Text: "Less is better. 1 is as fast as the floor."}
		}
		highest := 1.0
		for _, c := range with {
			highest = max(highest, c.Ratio.Median, c.Ratio.High)
		}
		s, ticks := linear(highest)
		for _, c := range with {
			l.Rows = append(l.Rows, ratioRow(c, s, costs))
		}
		l.Axis = axis(s, ticks, short)
		byYardstick(l.Rows, with)
		l.Legend = []legendItem{
			{Swatch: true, Class: "bar-main", Name: "median"},
			{Form: "M-9 0h18M-9 -4v8M9 -4v8", Class: "whisker", Name: "quartiles", Text: "half of the rounds lie between them"},
			{Form: "M0 -7v14", Class: "bound", Name: "1"},
		}
		out = append(out, l)
	}
	return out
}

func ratioRow(c *Case, s scale, costs bool) barRow {
	unit := ratioUnit(c)
	row := namedRow(c, 28)
	row.Big = digits(c.Ratio.Median)
	if q := quartiles(c.Ratio, digits); q != "" {
		row.Small = append(row.Small, q)
	}
	row.Bar.Title = spread(c.Ratio, digits) + " of " + unit
	if costs {
		row.Bar.Title = spread(c.Ratio, digits) + " times " + unit
	}
	row.Bar.rect(0, 7, s.at(c.Ratio.Median), 14, "bar-main", row.Bar.Title)
	row.Bar.whisker(s, c.Ratio, 14)
	row.Bar.upright(s.at(1), "bound")
	return row
}

// axis draws ticks below rows of bars.
func axis(s scale, ticks []float64, write func(float64) string) *chart {
	c := &chart{Class: "bar", Height: 24}
	for i, t := range ticks {
		x := s.at(t)
		class := "tick middle"
		switch {
		case i == 0 && x < 3:
			class = "tick"
		case x > 97:
			class = "tick end"
		case i%sparse(len(ticks)-1) != 0:
			class += " wide"
		}
		c.line(x, 0, x, 5, "axis-line")
		c.text(x, 18, 0, class, write(t))
	}
	c.line(0, 0, 100, 0, "axis-line")
	return c
}

// byYardstick says at the first row of those that share scenario and yardstick
// what the ratio is by.
func byYardstick(rows []barRow, cases []*Case) {
	last := ""
	for i, c := range cases {
		rows[i].Group = ""
		if g := c.Scenario + ", by " + ratioUnit(c); g != last {
			rows[i].Group, last = g, g
		}
	}
}

// sparse tells which ticks keep their labels on a narrow page: every second,
// third or so, such that the last of n does.
func sparse(n int) int {
	for k := 2; k < n; k++ {
		if n%k == 0 {
			return k
		}
	}
	return max(1, n)
}

// latencyForms are the marks of quantiles.
func latencyForms() []legendItem {
	return []legendItem{
		{Form: formCircle, Class: "series1", Name: "p50", Text: "half of the records were faster"},
		{Form: formSquare, Class: "series2", Name: "p99", Text: "1 of 100 took longer"},
		{Form: formTriangle, Class: "series3", Name: "p99.9", Text: "1 of 1,000 took longer"},
		{Form: formBar, Class: "series4", Name: "max", Text: "the longest"},
	}
}

// latencyBars draws quantiles as marks on one logarithmic scale.
func latencyBars(r *Report) []barList {
	var with []*Case
	var all []float64
	for i := range r.Cases {
		c := &r.Cases[i]
		if c.Latency == nil || len(c.Latency.Quantiles) == 0 {
			continue
		}
		with = append(with, c)
		all = append(all, c.Latency.Max)
		for _, q := range c.Latency.Quantiles {
			if q.Q >= 0.5 {
				all = append(all, q.Seconds)
			}
		}
	}
	if len(with) == 0 {
		return nil
	}
	low, high := extent(all)
	s, ticks := logarithmic(low, high, 0, 100)
	l := barList{
		Class:  "wide-figure",
		Text:   "From the moment a record was due to its acknowledgement. The axis is logarithmic. Left is better.",
		Legend: latencyForms(),
		Axis:   axis(s, ticks, tick),
	}
	for _, c := range with {
		row := namedRow(c, 28)
		for _, t := range ticks {
			row.Bar.upright(s.at(t), "grid")
		}
		var parts []string
		first := c.Latency.Max
		var marks []func()
		for i, q := range []float64{0.5, 0.99, 0.999} {
			v, ok := c.Latency.At(q)
			if !ok {
				continue
			}
			f := latencyForms()[i]
			first = min(first, v)
			parts = append(parts, f.Name+" "+seconds(v))
			marks = append(marks, func() { row.Bar.mark(s.at(v), 14, f.Form, f.Class, f.Name+": "+seconds(v)) })
		}
		parts = append(parts, "max "+seconds(c.Latency.Max))
		if at, ok := c.latencyRate(); ok {
			parts = append(parts, "at "+rate(at))
		}
		row.Bar.line(s.at(first), 14, s.at(c.Latency.Max), 14, "thread")
		row.Bar.mark(s.at(c.Latency.Max), 14, formBar, "series4", "max: "+seconds(c.Latency.Max))
		for _, m := range marks {
			m()
		}
		row.Bar.Title = strings.Join(parts, ", ")
		row.Small = parts
		l.Rows = append(l.Rows, row)
	}
	groupRows(l.Rows)
	return []barList{l}
}
