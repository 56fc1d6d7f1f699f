package report

import (
	"cmp"
	"math"
	"strconv"
)

// A chart is a drawing whose width is that of its place on the page, and whose
// text keeps its size: x is in percent of the width, y in pixels.
type chart struct {
	Class  string
	Height coord
	Title  string // what it is, read out by a screen reader
	Desc   string // what it shows
	Shapes []shape
}

// A coord is a coordinate. It is written with two decimals, and is finite.
type coord float64

// String implements fmt.Stringer, for the template.
func (c coord) String() string {
	v := float64(c)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// A shape is a line, a rect, a text or a mark.
type shape struct {
	Kind   string
	X, X2  coord // percent
	W      coord // percent
	Y, Y2  coord // pixels
	H      coord // pixels
	DX     coord // pixels beside X, of a text
	Class  string
	Text   string // of a text
	Tip    string // shown when pointed at
	Points string // path of a mark, in pixels around X and Y
}

func (c *chart) line(x, y, x2, y2 float64, class string) {
	c.Shapes = append(c.Shapes, shape{Kind: "line", X: coord(x), Y: coord(y), X2: coord(x2), Y2: coord(y2), Class: class})
}

// beyond is how far an upright line goes on above and below its row.
const beyond = 60

// upright draws a line through a row and on: a row whose name takes several
// lines is higher than its drawing, and the style cuts off what is too much.
func (c *chart) upright(x float64, class string) {
	c.line(x, -beyond, x, float64(c.Height)+beyond, class)
}

func (c *chart) rect(x, y, w, h float64, class, tip string) {
	c.Shapes = append(c.Shapes, shape{Kind: "rect", X: coord(x), Y: coord(y), W: coord(max(0, w)), H: coord(h), Class: class, Tip: tip})
}

func (c *chart) text(x, y, dx float64, class, s string) {
	c.Shapes = append(c.Shapes, shape{Kind: "text", X: coord(x), Y: coord(y), DX: coord(dx), Class: class, Text: s})
}

func (c *chart) mark(x, y float64, form, class, tip string) {
	c.Shapes = append(c.Shapes, shape{Kind: "mark", X: coord(x), Y: coord(y), Points: form, Class: class, Tip: tip})
}

// The forms of marks, so that no series is told from another by color alone.
const (
	formCircle   = "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"
	formSquare   = "M-4 -4h8v8h-8z"
	formTriangle = "M0 -5l5 9h-10z"
	formDiamond  = "M0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z"
	formCross    = "M-4 -4l8 8M-4 4l8 -8"
	formBar      = "M0 -6v12"
	formLeft     = "M-6 0l8 -5v10z"
	formRight    = "M6 0l-8 -5v10z"
)

// A scale maps figures to a range of coordinates.
type scale struct {
	low, high float64 // of the figures
	from, to  float64 // of the coordinates
	log       bool
}

// at returns the coordinate of v, inside the range whatever v is.
func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, s.low))
	}
	f := (v - low) / (high - low)
	if math.IsNaN(f) {
		f = 0
	}
	return s.from + min(1, max(0, f))*(s.to-s.from)
}

// linear is a scale from 0 to a round number at or above high, as wide as the
// drawing.
func linear(high float64) (s scale, ticks []float64) {
	if math.IsNaN(high) || high <= 0 || high > math.MaxFloat64/4 {
		high = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(high)))
	for _, f := range []float64{0.1, 0.2, 0.25, 0.5, 1, 2} {
		if high/(step*f) <= 5 {
			step *= f
			break
		}
	}
	n := math.Ceil(high/step - 1e-9)
	for i := 0.0; i <= n; i++ {
		ticks = append(ticks, i*step)
	}
	return scale{low: 0, high: n * step, from: 0, to: 100}, ticks
}

// logarithmic is a scale that holds low and high, ending at round numbers. It
// spans a factor of ten at least, so that small differences look small.
func logarithmic(low, high, from, to float64) (s scale, ticks []float64) {
	const least, most = 1e-12, 1e12 // seconds, far beyond what anybody waits
	if math.IsNaN(low) || math.IsNaN(high) {
		low, high = 1e-3, 1e-2
	}
	low = min(max(low, least), most)
	high = min(max(high, low), most)
	steps := []float64{1, 2, 5}
	if high/low > 300 {
		steps = []float64{1}
	}
	var all []float64
	for e := math.Floor(math.Log10(low)) - 1; e <= math.Log10(high)+2; e++ {
		for _, f := range steps {
			all = append(all, f*math.Pow(10, e))
		}
	}
	first, last := 0, len(all)-1
	for first+1 < last && all[first+1] <= low*(1+1e-9) {
		first++
	}
	for last-1 > first && all[last-1] >= high*(1-1e-9) {
		last--
	}
	for all[last]/all[first] < 9.9 && last < len(all)-1 {
		last++
	}
	ticks = all[first : last+1]
	for len(ticks) > 8 {
		ticks = everySecond(ticks)
	}
	return scale{low: all[first], high: all[last], from: from, to: to, log: true}, ticks
}

func everySecond(v []float64) []float64 {
	var out []float64
	for i := 0; i < len(v); i += 2 {
		out = append(out, v[i])
	}
	return out
}

// extent is the range of the figures above zero.
func extent(figures []float64) (low, high float64) {
	for _, v := range figures {
		if v > 0 && !math.IsInf(v, 0) {
			if low == 0 || v < low {
				low = v
			}
			high = max(high, v)
		}
	}
	return cmp.Or(low, 1e-3), cmp.Or(high, 1e-2)
}

// xAxis draws ticks below a chart of the given height. On a narrow page every
// second label goes.
func (c *chart) xAxis(s scale, ticks []float64, height float64, write func(float64) string, title string) {
	for i, t := range ticks {
		x := s.at(t)
		c.line(x, 0, x, height, "grid")
		class := "tick middle"
		if i%2 == 1 {
			class += " wide"
		}
		c.text(x, height+17, 0, class, write(t))
	}
	if title != "" {
		c.text(50, height+37, 0, "axis middle", title)
	}
}

// yAxis draws ticks left of a chart.
func (c *chart) yAxis(s scale, ticks []float64, write func(float64) string) {
	for _, t := range ticks {
		y := s.at(t)
		c.line(0, y, 100, y, "grid")
		c.text(0, y+4, -8, "tick end", write(t))
	}
}
