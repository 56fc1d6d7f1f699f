package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

const plotHeight = 240

// A plotView is a drawing with its legend and, where it has some, its figures.
type plotView struct {
	Title   string
	Text    string
	Chart   chart
	Legend  []legendItem
	Figures *table
}

// A curveView is the curve of a case: latency by rate, and latency by quantile.
type curveView struct {
	Name    string
	Text    string
	Rates   plotView
	Tail    *plotView
	Figures table
}

func curves(r *Report) []curveView {
	var out []curveView
	for i := range r.Cases {
		c := &r.Cases[i]
		if len(c.Curve) == 0 {
			continue
		}
		points := slices.SortedStableFunc(slices.Values(c.Curve), func(a, b Point) int { return cmp.Compare(a.Offered, b.Offered) })
		v := curveView{Name: c.Name, Rates: ratePlot(points), Text: saturation(points), Figures: curveFigures(points)}
		var lines []tailLine
		if c.Latency != nil {
			name := "latency of the case"
			if at, ok := c.latencyRate(); ok {
				name = rate(at)
			}
			lines = append(lines, tailLine{name, c.Latency})
		}
		for _, l := range tailsOf(points) {
			if c.Latency == nil || !sameLatency(l.l, c.Latency) {
				lines = append(lines, l)
			}
		}
		if p := tailPlot(lines); p != nil {
			v.Tail = p
		}
		out = append(out, v)
	}
	return out
}

// latencyRate finds the rate that the latency of a case belongs to, if it is
// that of a point of its curve.
func (c *Case) latencyRate() (float64, bool) {
	for i := range c.Curve {
		if sameLatency(&c.Curve[i].Latency, c.Latency) {
			return c.Curve[i].Achieved, true
		}
	}
	return 0, false
}

// sameLatency tells whether two distributions are one: counts, means and maxima
// of two measurements never agree all.
func sameLatency(a, b *Latency) bool {
	return a.Count == b.Count && a.Mean == b.Mean && a.Max == b.Max
}

// saturation says up to which rate the case kept up.
func saturation(points []Point) string {
	most, best := 0.0, 0.0
	full := false
	for i := range points {
		best = max(best, points[i].Achieved)
		if points[i].Saturated() {
			full = true
		} else if !full {
			most = max(most, points[i].Achieved)
		}
	}
	switch {
	case best == 0:
		return "Nothing was acknowledged."
	case !full:
		return "It kept up with every rate, up to " + rate(best) + ": where it is full was not reached."
	case most == 0:
		return "It kept up with none of the rates. The most that it got through was " + rate(best) + "."
	}
	return "It kept up with " + rate(most) + ". The most that it got through was " + rate(best) + "; beyond, the queue grows."
}

// ratePlot draws quantiles over the rate that was achieved.
func ratePlot(points []Point) plotView {
	var all []float64
	best := 0.0
	saturated := math.Inf(1)
	for i := range points {
		p := &points[i]
		best = max(best, p.Achieved)
		if p.Saturated() {
			saturated = min(saturated, p.Achieved)
		}
		for _, q := range []float64{0.5, 0.99, 0.999} {
			if v, ok := p.Latency.At(q); ok {
				all = append(all, v)
			}
		}
	}
	low, high := extent(all)
	x, xTicks := linear(best * 1.02)
	y, yTicks := logarithmic(low, high, plotHeight, 0)
	c := chart{Class: "plot", Height: plotHeight, Title: "Latency by rate", Desc: saturation(points)}
	c.xAxis(x, xTicks, plotHeight, short, "acknowledged records/s")
	c.yAxis(y, yTicks, tick)
	legend := latencyForms()[:3]
	if !math.IsInf(saturated, 1) {
		at := x.at(saturated)
		c.line(at, 0, at, plotHeight, "full")
		if at > 50 {
			c.text(at, 12, -6, "note end", "full")
		} else {
			c.text(at, 12, 6, "note", "full")
		}
		legend = append(legend, legendItem{Form: "M0 -7v14", Class: "full", Name: "full", Text: "less than 95 % of what was due got through"})
	}
	for i, q := range []float64{0.5, 0.99, 0.999} {
		f := legend[i]
		lastX, lastY := math.NaN(), 0.0
		for j := range points {
			v, ok := points[j].Latency.At(q)
			if !ok || v <= 0 {
				continue
			}
			px, py := x.at(points[j].Achieved), y.at(v)
			if !math.IsNaN(lastX) {
				c.line(lastX, lastY, px, py, "curve "+f.Class+" dash"+string(rune('1'+i)))
			}
			lastX, lastY = px, py
		}
		for j := range points {
			v, ok := points[j].Latency.At(q)
			if !ok || v <= 0 {
				continue
			}
			tip := f.Name + " at " + rate(points[j].Achieved) + ": " + seconds(v)
			if points[j].Saturated() {
				tip += " (" + rate(points[j].Offered) + " were due)"
			}
			c.mark(x.at(points[j].Achieved), y.at(v), f.Form, f.Class, tip)
		}
	}
	return plotView{Title: "Latency by rate", Chart: c, Legend: legend}
}

func curveFigures(points []Point) table {
	t := table{Caption: "The figures of the curve", Heads: []string{"due", "acknowledged", "p50", "p90", "p99", "p99.9", "max", ""}}
	for i := range points {
		p := &points[i]
		cells := []string{rate(p.Offered), rate(p.Achieved)}
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
			s := none
			if v, ok := p.Latency.At(q); ok {
				s = seconds(v)
			}
			cells = append(cells, s)
		}
		state := "kept up"
		if p.Saturated() {
			state = "full"
		}
		t.Rows = append(t.Rows, tableRow{Cells: append(cells, seconds(p.Latency.Max), state), Bad: p.Saturated()})
	}
	return t
}

// A tailLine is a distribution of latencies in a percentile plot.
type tailLine struct {
	name string
	l    *Latency
}

// tailsOf picks what a curve shows best: its lowest rate, the highest that was
// kept up with, and the first beyond.
func tailsOf(points []Point) []tailLine {
	lowest, highest, beyond := -1, -1, -1
	for i := range points {
		switch {
		case points[i].Saturated():
			if beyond < 0 {
				beyond = i
			}
		case beyond < 0:
			if lowest < 0 {
				lowest = i
			}
			highest = i
		}
	}
	var out []tailLine
	for n, i := range []int{lowest, highest, beyond} {
		if i < 0 || n == 1 && highest == lowest {
			continue
		}
		name := rate(points[i].Achieved)
		if i == beyond {
			name += ", full"
		}
		out = append(out, tailLine{name, &points[i].Latency})
	}
	return out
}

// shapes are the percentile plots of scenarios whose cases have no curve.
func shapes(r *Report) []plotView {
	const most = 6
	var out []plotView
	for _, g := range groups(r) {
		var lines []tailLine
		left := 0
		for _, c := range g.Cases {
			switch {
			case c.Latency == nil || len(c.Curve) > 0:
			case len(lines) == most:
				left++
			default:
				lines = append(lines, tailLine{label(c), c.Latency})
			}
		}
		p := tailPlot(lines)
		if p == nil {
			continue
		}
		p.Title = g.Scenario
		if left > 0 {
			p.Text = fmt.Sprintf("The first %d cases; %d more %s in the list above.", most, left, word(left, "is", "are"))
		}
		out = append(out, *p)
	}
	return out
}

// tailPlot draws latency over the quantile, on an axis that gives each further
// nine the same room. A line ends at the maximum.
func tailPlot(lines []tailLine) *plotView {
	var all []float64
	nines := 1.0
	curves := make([][][2]float64, 0, len(lines))
	for _, l := range lines {
		points := tailPoints(l.l)
		for _, p := range points {
			nines = max(nines, p[0])
			all = append(all, p[1])
		}
		curves = append(curves, points)
	}
	if len(all) < 2 {
		return nil
	}
	low, high := extent(all)
	y, yTicks := logarithmic(low, high, plotHeight, 0)
	x := scale{low: math.Log10(2), high: math.Ceil(nines - 1e-9), from: 0, to: 100}
	c := chart{Class: "plot", Height: plotHeight, Title: "Latency by quantile"}
	xTicks := []float64{math.Log10(2)}
	for n := 1.0; n <= x.high; n++ {
		xTicks = append(xTicks, n)
	}
	for len(xTicks) > 8 {
		xTicks = everySecond(xTicks)
	}
	c.xAxis(x, xTicks, plotHeight, quantileText, "share of records that were faster")
	c.yAxis(y, yTicks, tick)
	forms := []string{formCircle, formSquare, formTriangle, formDiamond, formCross, formBar}
	var legend []legendItem
	for i, points := range curves {
		n := string(rune('1' + i%6))
		form := forms[i%6]
		for j, p := range points {
			if j > 0 {
				c.line(x.at(points[j-1][0]), y.at(points[j-1][1]), x.at(p[0]), y.at(p[1]), "curve series"+n+" dash"+n)
			}
		}
		for j, p := range points {
			name := quantileText(p[0])
			if j == len(points)-1 {
				name = "max"
			}
			c.mark(x.at(p[0]), y.at(p[1]), form, "series"+n, lines[i].name+", "+name+": "+seconds(p[1]))
		}
		c.Desc = joined("; ", c.Desc, lines[i].name+": up to "+seconds(lines[i].l.Max))
		legend = append(legend, legendItem{Form: form, Class: "series" + n, Dash: true, Name: lines[i].name})
	}
	return &plotView{Title: "Latency by quantile", Chart: c, Legend: legend}
}

// tailPoints are the quantiles from the median on as nines and seconds: 0.99 is
// 2 nines. The maximum stands where one record of all is slower, but no more
// than a nine beyond the last quantile.
func tailPoints(l *Latency) [][2]float64 {
	var out [][2]float64
	last := math.Log10(2)
	for _, q := range l.Quantiles {
		if q.Q < 0.5 || q.Q >= 1 || q.Seconds <= 0 {
			continue
		}
		last = -math.Log10(1 - q.Q)
		out = append(out, [2]float64{last, q.Seconds})
	}
	if len(out) > 0 && l.Max > 0 {
		at := min(max(last, math.Log10(float64(max(l.Count, 2)))), last+1)
		out = append(out, [2]float64{at, l.Max})
	}
	return out
}

// quantileText writes a number of nines as a share: 99.9 %.
func quantileText(nines float64) string {
	n := int(math.Round(nines))
	if n < 1 || math.Abs(nines-float64(n)) > 1e-6 {
		return short(100*(1-math.Pow(10, -nines))) + " %"
	}
	if n == 1 {
		return "90 %"
	}
	if n == 2 {
		return "99 %"
	}
	return "99." + strings.Repeat("9", n-2) + " %"
}
