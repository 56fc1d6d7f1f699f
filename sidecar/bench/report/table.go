package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Table says how a report is written to a terminal. The zero value is plain
// text of 80 columns.
type Table struct {
	// Width is how many columns a line may have; 0 is 80, and 60 the least. A
	// name that is longer than a line stays whole.
	Width int
	// Color marks verdicts with escapes. Nothing says anything by color alone.
	Color bool
}

const (
	defaultWidth = 80
	leastWidth   = 60
)

// WriteTable writes the report as plain text, of at most width columns; 0 is 80.
func WriteTable(w io.Writer, r *Report, width int) error { return Table{Width: width}.Write(w, r) }

// Write writes the report: where and what was measured, the goals, a block of
// cases for each scenario, and the notes.
func (t Table) Write(w io.Writer, r *Report) error {
	p := t.printer(w)
	p.head(r)
	if len(r.Goals) > 0 {
		p.goals(r)
	}
	for _, g := range groups(r) {
		p.line("")
		p.group(g)
	}
	p.rivals(r.Rivals)
	p.notes(r.Notes)
	return p.w.Flush()
}

// printer writes lines. Its writer keeps the first error for Flush.
type printer struct {
	w     *bufio.Writer
	width int
	color bool
}

func (t Table) printer(w io.Writer) *printer {
	width := max(cmp.Or(t.Width, defaultWidth), leastWidth)
	return &printer{w: bufio.NewWriter(w), width: width, color: t.Color}
}

func (p *printer) line(s string) {
	// Errors stay in the writer until Flush.
	_, _ = p.w.WriteString(strings.TrimRight(s, " ") + "\n")
}

// wrap writes words, broken at spaces; lines after the first begin with indent.
func (p *printer) wrap(first, indent, s string) {
	line := first
	empty := true
	for word := range strings.FieldsSeq(clean(s)) {
		if !empty && length(line)+1+length(word) > p.width {
			p.line(line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	p.line(line)
}

// mark sets s in a color, once its place in the line is settled.
func (p *printer) mark(s, code string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

const (
	bold   = "1"
	green  = "32"
	yellow = "33"
	red    = "1;31"
)

func (p *printer) head(r *Report) {
	p.line(p.mark(clip(cmp.Or(clean(r.Title), "Benchmark"), p.width), bold))
	p.wrap("", "", strings.Join(machineFacts(r), ", "))
	p.wrap("input: ", "  ", inputText(&r.Input))
	p.wrap("", "", verdict(r))
}

// machineFacts are where and when the run took place.
func machineFacts(r *Report) []string {
	m := &r.Machine
	facts := []string{r.Started.UTC().Format("2006-01-02 15:04 UTC"), "took " + took(r.Took)}
	for _, s := range []string{
		strings.Trim(m.OS+"/"+m.Arch, "/"), m.CPU,
		plural(m.CPUs, "CPU"), m.GoVersion, strings.TrimSpace(m.Version + " " + m.Commit),
	} {
		if s != "" {
			facts = append(facts, s)
		}
	}
	if m.Load >= 0 {
		facts = append(facts, "load "+digits(m.Load))
	}
	return facts
}

func inputText(in *Input) string {
	s := fmt.Sprintf("%s (%s), %s of %s, %s protected values each",
		in.Name, in.Format, plural(in.Records, "record"), bytesText(in.Bytes), short(in.Protected))
	if in.Synthetic {
		s += ", made up from schema and tags"
	}
	return s
}

// goals writes a line for each goal: verdict, name, bound and figure. A name
// that leaves no room gets a line of its own.
func (p *printer) goals(r *Report) {
	p.line("")
	p.line(p.mark("goals", bold))
	names, wants := 0, 0
	for i := range r.Goals {
		names = max(names, length(clean(r.Goals[i].Name)))
		wants = max(wants, length(wanted(&r.Goals[i])))
	}
	const verdictWidth = len("FALLS SHORT")
	for i := range r.Goals {
		g := &r.Goals[i]
		name := clean(g.Name)
		if g.Skipped != "" {
			p.wrap("  "+pad("–", verdictWidth)+"  "+name+", not measured: ", strings.Repeat(" ", verdictWidth+4), g.Skipped)
			continue
		}
		said := p.mark(pad("FALLS SHORT", verdictWidth), red)
		if g.Held() {
			said = p.mark(pad("pass", verdictWidth), green)
		}
		got := spread(&g.Got, digits)
		head := "  " + said + "  "
		if 2+verdictWidth+2+names+2+wants+2+length(got) <= p.width {
			p.line(head + pad(name, names) + "  " + pad(clean(wanted(g)), wants) + "  " + got)
			continue
		}
		indent := strings.Repeat(" ", verdictWidth+4)
		p.line(head + name)
		p.wrap(indent, indent, wanted(g)+", got "+got)
	}
}

// A column is a figure that cases of a scenario may have.
type column struct {
	head string
	cell func(c *Case) string // empty where the case has none
}

func columns() []column {
	return []column{
		{"rec/s", func(c *Case) string { return positive(c.Rate.Median, digits) }},
		{"MiB/s", func(c *Case) string {
			if c.Size == nil {
				return ""
			}
			return positive(c.Rate.Median*c.Size.Before/(1<<20), digits)
		}},
		{"cost", func(c *Case) string {
			if c.Cost == nil {
				return ""
			}
			return nanoseconds(c.Cost.Median)
		}},
		{"× floor", func(c *Case) string {
			if c.Ratio == nil {
				return ""
			}
			return spread(c.Ratio, digits)
		}},
		{"p50", quantileCell(0.5)},
		{"p99", quantileCell(0.99)},
		{"p99.9", quantileCell(0.999)},
		{"allocs", func(c *Case) string {
			if c.Allocs < 0 {
				return ""
			}
			return short(c.Allocs)
		}},
	}
}

func positive(v float64, write func(float64) string) string {
	if v <= 0 {
		return ""
	}
	return write(v)
}

func quantileCell(q float64) func(*Case) string {
	return func(c *Case) string {
		if c.Latency == nil {
			return ""
		}
		v, ok := c.Latency.At(q)
		if !ok {
			return ""
		}
		return seconds(v)
	}
}

// group writes the cases of a scenario, with the columns that any of them has.
// Where names and figures do not fit one line, a name has a line of its own;
// where the figures alone do not, the last ones of dropped go.
func (p *printer) group(g group) {
	names := length(clean(g.Scenario))
	for _, c := range g.Cases {
		names = max(names, length(clean(label(c)))+2)
	}
	cols := filled(g.Cases)
	for _, head := range dropped() {
		if tableWidth(cols) > p.width {
			cols = slices.DeleteFunc(cols, func(c filledColumn) bool { return c.cells[0] == head })
		}
	}
	if names+tableWidth(cols) <= p.width {
		p.line(p.mark(pad(clean(g.Scenario), names), bold) + row(cols, 0))
		for i, c := range g.Cases {
			p.line(pad("  "+clean(label(c)), names) + row(cols, i+1))
			p.refused(c)
		}
		p.yardsticks(g)
		return
	}
	p.line(p.mark(clean(g.Scenario), bold))
	p.line(row(cols, 0))
	for i, c := range g.Cases {
		p.line("  " + clean(label(c)))
		p.line(row(cols, i+1))
		p.refused(c)
	}
	p.yardsticks(g)
}

// dropped are the columns that a narrow terminal does without, the first first.
func dropped() []string { return []string{"MiB/s", "p99.9", "allocs", "p50"} }

// A filledColumn is a head and the cells of the cases, all of one width.
type filledColumn struct {
	cells []string
	width int
}

func filled(cases []*Case) []filledColumn {
	var out []filledColumn
	for _, col := range columns() {
		f := filledColumn{cells: []string{col.head}}
		some := false
		for _, c := range cases {
			s := col.cell(c)
			some = some || s != ""
			f.cells = append(f.cells, cmp.Or(s, none))
		}
		for _, s := range f.cells {
			f.width = max(f.width, length(s))
		}
		if some {
			out = append(out, f)
		}
	}
	return out
}

func tableWidth(cols []filledColumn) int {
	n := 0
	for _, c := range cols {
		n += 2 + c.width
	}
	return n
}

func row(cols []filledColumn, i int) string {
	var b strings.Builder
	for _, c := range cols {
		b.WriteString("  " + strings.Repeat(" ", c.width-length(c.cells[i])) + c.cells[i])
	}
	return b.String()
}

// refused writes how many records were refused, by code.
func (p *printer) refused(c *Case) {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(c.Errors)) {
		parts = append(parts, grouped(c.Errors[code])+" "+clean(code))
	}
	if len(parts) > 0 {
		p.wrap("    "+p.mark("refused:", yellow)+" ", "      ", strings.Join(parts, ", "))
	}
}

// yardsticks says what the ratios of services are by.
func (p *printer) yardsticks(g group) {
	var seen []string
	for _, c := range g.Cases {
		if c.Ratio != nil && c.Yardstick != "" && !slices.Contains(seen, c.Yardstick) {
			seen = append(seen, c.Yardstick)
			what := "more is better"
			if c.RatioOfCosts() {
				what = "less is better"
			}
			p.wrap("  the floor: ", "    ", c.Yardstick+" ("+what+")")
		}
	}
}

func (p *printer) notes(notes []string) {
	if len(notes) == 0 {
		return
	}
	p.line("")
	p.line(p.mark("notes", bold))
	for _, n := range notes {
		p.wrap("  - ", "    ", n)
	}
}

// clean keeps what a terminal would obey out of a line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s)
}

func length(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-length(s))) }

func clip(s string, n int) string {
	if length(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
