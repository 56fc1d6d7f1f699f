package tune

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// columns is the width of what is printed.
const columns = 80

// A page collects lines for a terminal.
type page struct{ b strings.Builder }

func (p *page) linef(format string, args ...any) {
	p.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// text writes a paragraph, broken into lines.
func (p *page) textf(format string, args ...any) {
	at := 0
	for word := range strings.FieldsSeq(fmt.Sprintf(format, args...)) {
		n := utf8.RuneCountInString(word)
		switch {
		case at == 0:
		case at+1+n > columns:
			p.b.WriteString("\n")
			at = 0
		default:
			p.b.WriteString(" ")
			at++
		}
		p.b.WriteString(word)
		at += n
	}
	p.b.WriteString("\n")
}

func (p *page) indented(text string) {
	for l := range strings.Lines(text) {
		p.b.WriteString("  " + l)
	}
}

func (p *page) write(w io.Writer) error {
	_, err := io.WriteString(w, p.b.String())
	return err
}

// Write prints the result for a person, in lines of 80 columns.
func (r *Result) Write(w io.Writer) error {
	p := new(page)
	p.textf("%s", r.goal())
	p.textf("%s of %s in %s. %s Two runs of the same settings differ by %s.",
		plural(r.Trials, "trial"), seconds(r.Slice), seconds(r.Took), r.ended(), percentage(r.Noise))
	if r.Noise > loud {
		p.textf("That is much: something else keeps the machine or the cluster busy, and only large differences can be seen. " +
			"Longer trials and a larger budget see more.")
	}
	p.linef("")
	r.figures(p)
	p.linef("")
	p.textf("%s", r.verdict())
	r.steps(p)
	if steps := r.Indifferent(); len(steps) > 0 {
		p.linef("")
		p.textf("What made no difference:")
		for i := range steps {
			p.textf("  - %s", steps[i].indifference())
		}
	}
	if len(r.Unvisited) > 0 {
		p.linef("")
		p.textf("There was no time for %s. A larger budget looks at them too.", strings.Join(r.Unvisited, ", "))
	}
	p.linef("")
	r.paste(p)
	return p.write(w)
}

// WriteJSON prints the result, and what to paste, as JSON.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		*Result

		SidecarYAML string `json:"sidecar_yaml"`
		GoOptions   string `json:"go_options"`
	}{r, r.Best.SidecarYAML(), r.Best.GoOptions()})
}

// loud is a noise of pairs beyond which the reader should know.
const loud = 0.15

func (r *Result) goal() string {
	switch r.Goal {
	case RateUnderP99:
		return fmt.Sprintf("Goal: the most records per second with a p99 of at most %s.", seconds(r.P99))
	case P99AtRate:
		return fmt.Sprintf("Goal: the lowest p99 at %s records per second.", number(r.Rate))
	default:
		return "Goal: the most records per second."
	}
}

func (r *Result) ended() string {
	switch r.Ended {
	case Converged:
		return "No setting has news left."
	case OutOfTime:
		return "The time was over before every setting had been looked at again."
	case Interrupted:
		return "It was interrupted."
	default:
		return "A trial could not measure."
	}
}

// figures is the table of before and after.
func (r *Result) figures(p *page) {
	var after Sample
	changed := r.Best != r.Start && (r.After != nil || r.Goal == RateUnderP99)
	if changed && r.After != nil {
		after = *r.After
	}
	row := func(name, a, b string) {
		if !changed {
			b = ""
		}
		p.linef("  %-26s %14s %14s", name, a, b)
	}
	row("", "before", "after")
	if r.Goal == RateUnderP99 {
		row("records/s within the p99", number(r.Carried), number(r.Carries))
		return
	}
	row("records/s", number(r.Before.Rate), number(after.Rate))
	row("p50", seconds(r.Before.P50), seconds(after.P50))
	row("p99", seconds(r.Before.P99), seconds(after.P99))
	row("p99.9", seconds(r.Before.P999), seconds(after.P999))
	if r.Before.CPU > 0 {
		row("CPU seconds per second", fmt.Sprintf("%.2f", r.Before.CPU), fmt.Sprintf("%.2f", after.CPU))
	}
	if r.Before.BytesOut > 0 {
		row("bytes sent per record", number(r.Before.BytesOut), number(after.BytesOut))
	}
	if r.Before.Errors > 0 || after.Errors > 0 {
		row("errors", number(float64(r.Before.Errors)), number(float64(after.Errors)))
	}
}

func (r *Result) verdict() string {
	c := r.Final
	switch {
	case r.Confirmed:
		return fmt.Sprintf("Confirmed: %s times as good as before, in %d pairs of runs (95 %%: %s to %s).",
			ratio(c.Ratio), len(c.Ratios), ratio(c.Low), ratio(c.High))
	case r.Unconfirmed:
		return "NOT CONFIRMED: this is the best so far. It did not run against the settings before often enough to be sure."
	case len(r.Withdrawn) > 0:
		return fmt.Sprintf("No setting made a difference: keep what you have. %s looked better on the way, and did not win in the end: %s times in %d pairs (95 %%: %s to %s).",
			listed(r.Withdrawn), ratio(c.Ratio), len(c.Ratios), ratio(c.Low), ratio(c.High))
	case r.Ended == Interrupted || r.Ended == Failed:
		return "Nothing better was found so far, and nothing is confirmed."
	case len(r.Unvisited) > 0:
		return "Nothing better was found in that time: keep what you have."
	default:
		return "No setting made a difference: keep what you have."
	}
}

func listed(changes []Change) string {
	out := make([]string, len(changes))
	for i, c := range changes {
		out[i] = fmt.Sprintf("%s %s in place of %s", c.Name, c.To, c.From)
	}
	return strings.Join(out, ", ")
}

// steps is the table of what was accepted, in order.
func (r *Result) steps(p *page) {
	first := true
	for i := range r.Steps {
		s := &r.Steps[i]
		if !s.Accepted {
			continue
		}
		if first {
			p.linef("")
			p.linef("  %-27s %-10s %-10s %5s %6s  %s", "accepted", "from", "to", "pairs", "ratio", "95 %")
			first = false
		}
		c := s.Pairs
		p.linef("  %-27s %-10s %-10s %5d %6s  %s to %s", s.Name, s.From, s.To, len(c.Ratios), ratio(c.Ratio), ratio(c.Low), ratio(c.High))
	}
}

func (s *Step) indifference() string {
	best := -1
	for i := range s.Tried {
		if best < 0 || s.Tried[i].Ratio > s.Tried[best].Ratio {
			best = i
		}
	}
	switch {
	case s.Pairs != nil && len(s.Pairs.Ratios) > 0:
		return fmt.Sprintf("%s: %s is %s times as good as %s (95 %%: %s to %s)", s.Name, s.To, ratio(s.Pairs.Ratio), s.From, ratio(s.Pairs.Low), ratio(s.Pairs.High))
	case best >= 0:
		return fmt.Sprintf("%s: %s is best; next is %s, %s times as good", s.Name, s.From, s.Tried[best].Value, ratio(s.Tried[best].Ratio))
	default:
		return s.Name
	}
}

func (r *Result) paste(p *page) {
	if r.Best == r.Start && r.Best == Defaults() {
		p.textf("There is nothing to paste: these are the defaults of the sidecar. For a kgo client they are")
		p.linef("")
		p.indented(r.Best.GoOptions())
		return
	}
	p.textf("For the configuration of the sidecar. %s", r.Best.SidecarCallers())
	p.linef("")
	if yaml := r.Best.SidecarYAML(); yaml != "" {
		p.indented(yaml)
	} else {
		p.linef("  # nothing: its defaults are the best")
	}
	p.linef("")
	p.textf("For a kgo client with kgocrypt.NewProducer. %s", r.Best.GoCallers())
	p.linef("")
	p.indented(r.Best.GoOptions())
}

// number shows a figure with three or more digits, at most 11 characters wide.
func number(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "?"
	case a >= 999_999_999.5:
		return fmt.Sprintf("%.3g", x)
	case a >= 100 || a == math.Trunc(a):
		return grouped(int64(math.Round(x)))
	case a >= 0.01:
		return fmt.Sprintf("%.3g", x)
	default:
		return fmt.Sprintf("%.2g", x)
	}
}

func grouped(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// seconds shows a duration in the unit that fits.
func seconds(s float64) string {
	switch {
	case math.IsNaN(s) || s < 0 || s > 1e7:
		return "?"
	case s >= 100:
		return time.Duration(s * float64(time.Second)).Round(time.Second).String()
	case s >= 1:
		return fmt.Sprintf("%.3gs", s)
	case s >= 1e-3:
		return fmt.Sprintf("%.3gms", s*1e3)
	default:
		return fmt.Sprintf("%.3gµs", s*1e6)
	}
}

func ratio(x float64) string {
	switch {
	case x >= 9999.5:
		return "> 9999"
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	default:
		return fmt.Sprintf("%.3f", x)
	}
}

func percentage(x float64) string { return fmt.Sprintf("%.1f %%", min(x, 9.99)*100) }

// Line shows progress in at most 79 columns, whatever the figures.
func (p Progress) Line() string {
	share := 100.0
	if p.Budget > 0 {
		share = min(100, 100*float64(p.Took)/float64(p.Budget))
	}
	what := p.Phase
	if p.Name != "" {
		what = p.Name + " " + p.Value
	}
	out := fmt.Sprintf("%3.0f %%  %d trials  %.3f × before  %s", share, min(p.Trials, 999_999), min(p.Gain, 9999), what)
	if r := []rune(out); len(r) > columns-1 {
		out = string(r[:columns-2]) + "…"
	}
	return out
}
