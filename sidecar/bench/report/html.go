package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page and its style
	"encoding/base64"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// WriteHTML writes the report as one page that needs nothing else: no network,
// no script, no font. A browser that reads it is told to load nothing. c, where
// it is not nil, sets the run beside an earlier one.
//
// Whatever stands in the report is text on the page, never markup.
func WriteHTML(w io.Writer, r *Report, c *Comparison) error {
	t, err := template.New("page").Funcs(template.FuncMap{"breaks": breaks}).Parse(pageText)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, newPage(r, c)); err != nil {
		return err
	}
	_, err = w.Write(page.Bytes())
	return err
}

// A page is what the template shows.
type page struct {
	Title     string
	Policy    string // of what a browser may load
	Style     template.CSS
	Verdict   string
	Good      bool
	Bad       bool
	Against   string // the sentence on the earlier run
	Facts     []fact
	Notes     []string
	Goals     []goalRow
	Overview  []table
	Ratios    []barList
	Latency   []barList
	Curves    []curveView
	Shapes    []plotView // percentile plots of cases without a curve
	Splits    *barList
	Sizes     *barList
	Processes *barList
	Compare   *compareView
	Rivals    *table
	Settings  *table
	Glossary  []fact
	Version   string
}

type fact struct{ Name, Text string }

// A table is rows of text below heads; the first cell names its row.
type table struct {
	Title   string // a heading above it, if there is one
	Caption string
	Class   string // cards: on a narrow page each row is a block of its own
	Heads   []string
	Rows    []tableRow
}

type tableRow struct {
	Group string // set where the row is a heading of those below
	Span  int
	Cells []string
	Note  string // a line below the row
	Bad   bool
}

type goalRow struct {
	Verdict string
	Class   string
	Name    string
	Want    string
	Got     string
	Spread  string
	Skipped string
	Bar     *chart
}

// A barList is rows of a name, a drawing and a figure, on one scale.
type barList struct {
	Title  string
	Text   string
	Class  string
	Legend []legendItem
	Rows   []barRow
	Axis   *chart
}

type barRow struct {
	Group string // set where the row begins a scenario, and there are several
	Name  string
	Bar   chart
	Big   string
	// Small is below Big, or the parts of a figure, one a line.
	Small []string
}

// A legendItem explains a mark, a line or a color.
type legendItem struct {
	Key  string // a letter that stands in the drawing
	Form string // the path of a mark
	// Class is the class of what is explained, Swatch and Dash say how it looks.
	Class  string
	Swatch bool
	Dash   bool
	Name   string
	Text   string
}

// breaks cuts a name where a line may end.
func breaks(name string) []string {
	var out []string
	start := 0
	for i := range len(name) {
		if strings.IndexByte("/,;", name[i]) >= 0 {
			out = append(out, name[start:i+1])
			start = i + 1
		}
	}
	return append(out, name[start:])
}

func newPage(r *Report, c *Comparison) *page {
	sum := sha256.Sum256([]byte(pageStyle))
	p := &page{
		Title: cmp.Or(r.Title, "Benchmark"),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'",
		Style:     template.CSS(pageStyle), //nolint:gosec // it is the file of this package, nothing of the report is in it
		Verdict:   verdict(r),
		Facts:     facts(r),
		Notes:     notes(r),
		Rivals:    rivals(r),
		Goals:     goalRows(r.Goals),
		Overview:  overview(r),
		Ratios:    ratioBars(r),
		Latency:   latencyBars(r),
		Curves:    curves(r),
		Shapes:    shapes(r),
		Splits:    splitBars(r),
		Sizes:     sizeBars(r),
		Processes: processBars(r),
		Settings:  settings(r),
		Version:   r.Machine.Version,
	}
	held, short, _ := tally(r.Goals)
	p.Good, p.Bad = held > 0 && short == 0, short > 0
	if c != nil {
		p.Against = c.Summary()
		p.Compare = newCompareView(c)
	}
	p.Glossary = glossary(p)
	return p
}

func facts(r *Report) []fact {
	m := &r.Machine
	all := []fact{
		{"Run", r.Started.UTC().Format("2 January 2006, 15:04 UTC") + ", took " + took(r.Took)},
		{"Records", inputText(&r.Input)},
		{"CPU", joined(", ", m.CPU, plural(m.CPUs, "thread")+" for Go")},
		{"Memory", positive(float64(m.MemoryMiB)*(1<<20), bytesText)},
		{"System", joined(", ", joined("/", m.OS, m.Arch), m.GoVersion)},
		{"Program", joined(", ", m.Version, prefixed("commit ", m.Commit))},
	}
	if m.Load >= 0 {
		all = append(all, fact{"Load at the start", short(m.Load)})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Text == "" })
}

func notes(r *Report) []string {
	m := &r.Machine
	if m.Load > 0.5*float64(m.CPUs) {
		return append([]string{"Other work ran on the machine when the run began: a load of " + short(m.Load) + " on " +
			plural(m.CPUs, "thread") + ". Times and rates suffer from it; ratios hardly do."}, r.Notes...)
	}
	return r.Notes
}

func joined(sep string, parts ...string) string {
	out := ""
	for _, s := range parts {
		switch {
		case s == "":
		case out == "":
			out = s
		default:
			out += sep + s
		}
	}
	return out
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// goalRows draws each goal on a scale of its own: the figure as a bar, the bound
// as a line across it.
func goalRows(goals []Goal) []goalRow {
	var out []goalRow
	for i := range goals {
		g := &goals[i]
		row := goalRow{Name: g.Name, Want: wanted(g), Verdict: "not measured", Class: "none", Skipped: g.Skipped}
		if g.Skipped == "" {
			row.Verdict, row.Class = "FALLS SHORT", "bad"
			if g.Held() {
				row.Verdict, row.Class = "pass", "good"
			}
			row.Got, row.Spread = digits(g.Got.Median), quartiles(&g.Got, digits)
			row.Bar = goalBar(g, row.Class)
		}
		out = append(out, row)
	}
	return out
}

func goalBar(g *Goal, class string) *chart {
	c := &chart{Class: "bar", Height: 22, Title: "wanted " + wanted(g) + ", got " + digits(g.Got.Median)}
	s, _ := linear(1.15 * max(g.Want, g.Got.Median, g.Got.High))
	c.rect(0, 5, s.at(g.Got.Median), 12, "fill-"+class, "")
	c.whisker(s, &g.Got, 11)
	c.line(s.at(g.Want), 0, s.at(g.Want), 22, "bound")
	return c
}

// whisker draws the quartiles of a figure.
func (c *chart) whisker(s scale, v *Series, y float64) {
	if !v.quartiles() || v.Low == v.High {
		return
	}
	low, high := s.at(v.Low), s.at(v.High)
	c.line(low, y, high, y, "whisker")
	c.line(low, y-4, low, y+4, "whisker")
	c.line(high, y-4, high, y+4, "whisker")
}

// overview is a table for each scenario, with the columns that its cases have.
func overview(r *Report) []table {
	var out []table
	for _, g := range groups(r) {
		cols := slices.DeleteFunc(overviewColumns(), func(col column) bool {
			return !slices.ContainsFunc(g.Cases, func(c *Case) bool { return col.cell(c) != "" })
		})
		t := table{Title: g.Scenario, Caption: "Cases of " + g.Scenario, Class: "cards", Heads: []string{"case"}}
		for _, col := range cols {
			t.Heads = append(t.Heads, col.head)
		}
		for _, c := range g.Cases {
			cells := []string{label(c)}
			for _, col := range cols {
				cells = append(cells, cmp.Or(col.cell(c), none))
			}
			row := tableRow{Cells: cells, Bad: len(c.Errors) > 0, Span: len(cells)}
			if row.Bad {
				row.Note = "Refused: " + refusedText(c) + "."
			}
			t.Rows = append(t.Rows, row)
		}
		out = append(out, t)
	}
	return out
}

func overviewColumns() []column {
	cols := []column{{"records/s", func(c *Case) string {
		return positive(c.Rate.Median, func(float64) string { return spread(&c.Rate, digits) })
	}}}
	for _, c := range columns()[1:] {
		switch c.head {
		case "cost":
			c.head = "time per record"
			cols = append(cols, c, column{"the floor", func(c *Case) string {
				if c.Floor == nil || !c.RatioOfCosts() {
					return ""
				}
				return nanoseconds(c.Floor.Median)
			}}, column{"yardstick's records/s", func(c *Case) string {
				if c.Floor == nil || c.RatioOfCosts() {
					return ""
				}
				return digits(c.Floor.Median)
			}})
			continue
		case "× floor":
			c.head = "ratio"
		}
		cols = append(cols, c)
	}
	return append(cols,
		column{"KMS calls", func(c *Case) string {
			return positive(float64(c.KMSCalls), func(float64) string { return grouped(c.KMSCalls) })
		}})
}

func refusedText(c *Case) string {
	out := ""
	for _, code := range slices.Sorted(maps.Keys(c.Errors)) {
		out = joined(", ", out, grouped(c.Errors[code])+" "+code)
	}
	return out
}

func settings(r *Report) *table {
	t := &table{Caption: "The settings of each case", Heads: []string{"case", "settings"}}
	for _, g := range groups(r) {
		rows := []tableRow{}
		for _, c := range g.Cases {
			if len(c.Settings) > 0 {
				rows = append(rows, tableRow{Cells: []string{label(c), settingsText(c.Settings)}})
			}
		}
		if len(rows) > 0 {
			t.Rows = append(append(t.Rows, tableRow{Group: g.Scenario, Span: 2}), rows...)
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}
