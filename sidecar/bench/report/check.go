package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"
)

// The bounds of a report. A run of the whole matrix stays far below them; what
// lies above was not written by this program, and a page of it helps nobody.
const (
	maxBytes    = 16 << 20 // of the JSON form
	maxCases    = 2_000
	maxGoals    = 1_000
	maxNotes    = 1_000
	maxPoints   = 200 // of a curve
	maxParts    = 100 // shares, processes, settings, error codes of a case
	maxSamples  = 20_000
	maxQuantile = 200
	maxText     = 2_000 // bytes of a title, a note or a sentence
	maxName     = 300   // bytes of a name, a setting or a unit
	maxFindings = 20
)

// An InvalidError says where a report is not what it should be. It names the
// place and the rule, never what stood there.
type InvalidError struct {
	Path string // such as "cases[3].rate.median"
	Rule string // such as "must be a finite number"
}

// Error returns path and rule.
func (e *InvalidError) Error() string { return "report: " + e.Path + ": " + e.Rule }

// Validate checks all that a reader of the report relies on: its version, names
// that are there and unique, figures that are finite and of the right sign,
// quantiles in order, text without control characters, and bounds on the size
// of everything. It returns an [InvalidError] for each finding, joined; of very
// many the first ones.
func (r *Report) Validate() error {
	c := &checker{}
	if r.Version != Version {
		c.fail("version", fmt.Sprintf("must be %d", Version))
	}
	c.text("title", r.Title, maxText)
	if y := r.Started.Year(); y < 0 || y > 9999 {
		c.fail("started", "must be of the years 0 to 9999")
	}
	c.number("took_seconds", r.Took)
	c.machine(&r.Machine)
	c.name("input.name", r.Input.Name)
	c.text("input.format", r.Input.Format, maxName)
	c.number("input.records", float64(r.Input.Records))
	c.number("input.bytes", r.Input.Bytes)
	c.number("input.protected", r.Input.Protected)
	c.count("cases", len(r.Cases), maxCases)
	seen := make(map[string]bool, len(r.Cases))
	for i := range r.Cases {
		path := fmt.Sprintf("cases[%d]", i)
		if seen[r.Cases[i].Name] {
			c.fail(path+".name", "is the name of an earlier case too")
		}
		seen[r.Cases[i].Name] = true
		c.one(path, &r.Cases[i])
	}
	c.count("goals", len(r.Goals), maxGoals)
	for i := range r.Goals {
		g, path := &r.Goals[i], fmt.Sprintf("goals[%d]", i)
		c.name(path+".name", g.Name)
		c.number(path+".want", g.Want)
		c.text(path+".unit", g.Unit, maxName)
		c.text(path+".skipped", g.Skipped, maxText)
		c.series(path+".got", &g.Got)
	}
	c.count("rivals", len(r.Rivals), maxGoals)
	for i := range r.Rivals {
		v, path := &r.Rivals[i], fmt.Sprintf("rivals[%d]", i)
		c.name(path+".name", v.Name)
		c.text(path+".version", v.Version, maxName)
		c.name(path+".work", v.Work)
		c.text(path+".unit", v.Unit, maxName)
		c.number(path+".ours", v.Ours)
		c.number(path+".theirs", v.Theirs)
		if v.Ratio != nil {
			c.series(path+".ratio", v.Ratio)
		}
	}
	c.count("notes", len(r.Notes), maxNotes)
	for i, n := range r.Notes {
		c.text(fmt.Sprintf("notes[%d]", i), n, maxText)
	}
	return errors.Join(c.findings...)
}

// checker gathers findings.
type checker struct{ findings []error }

func (c *checker) fail(path, rule string) {
	if len(c.findings) < maxFindings {
		c.findings = append(c.findings, &InvalidError{Path: path, Rule: rule})
	}
}

func (c *checker) count(path string, n, most int) {
	if n > most {
		c.fail(path, fmt.Sprintf("must be %d at most", most))
	}
}

// number checks a figure that cannot be negative.
func (c *checker) number(path string, v float64) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		c.fail(path, "must be a finite number")
	case v < 0:
		c.fail(path, "must not be negative")
	}
}

// orUnknown checks a figure of which -1 says that it is not known.
func (c *checker) orUnknown(path string, v float64) {
	if v != -1 {
		c.number(path, v)
	}
}

func (c *checker) name(path, s string) {
	if s == "" {
		c.fail(path, "is missing")
	}
	c.text(path, s, maxName)
}

func (c *checker) text(path, s string, most int) {
	if len(s) > most {
		c.fail(path, fmt.Sprintf("must be %d bytes at most", most))
		return
	}
	if !utf8.ValidString(s) {
		c.fail(path, "must be UTF-8")
		return
	}
	for _, r := range s {
		// A terminal obeys control characters, and marks of direction let a name
		// look like another one.
		if unprintable(r) {
			c.fail(path, "must be of printable characters")
			return
		}
	}
}

// unprintable tells whether a character has no place in a name or a sentence.
func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }

func (c *checker) machine(m *Machine) {
	for _, f := range []struct{ path, text string }{
		{"go_version", m.GoVersion},
		{"os", m.OS},
		{"arch", m.Arch},
		{"cpu", m.CPU},
		{"version", m.Version},
		{"commit", m.Commit},
	} {
		c.text("machine."+f.path, f.text, maxName)
	}
	c.number("machine.cpus", float64(m.CPUs))
	c.number("machine.memory_mib", float64(m.MemoryMiB))
	c.orUnknown("machine.load", m.Load)
}

func (c *checker) one(path string, k *Case) {
	c.name(path+".name", k.Name)
	c.name(path+".scenario", k.Scenario)
	c.text(path+".yardstick", k.Yardstick, maxText)
	c.count(path+".settings", len(k.Settings), maxParts)
	for _, name := range slices.Sorted(maps.Keys(k.Settings)) {
		c.name(path+".settings", name)
		c.text(path+".settings", k.Settings[name], maxName)
	}
	c.series(path+".rate", &k.Rate)
	for _, s := range []struct {
		path   string
		series *Series
	}{{"cost_ns", k.Cost}, {"floor", k.Floor}, {"ratio", k.Ratio}} {
		if s.series != nil {
			c.series(path+"."+s.path, s.series)
		}
	}
	if k.Latency != nil {
		c.latency(path+".latency", k.Latency)
	}
	c.count(path+".curve", len(k.Curve), maxPoints)
	for i := range k.Curve {
		at := fmt.Sprintf("%s.curve[%d]", path, i)
		c.number(at+".offered", k.Curve[i].Offered)
		c.number(at+".achieved", k.Curve[i].Achieved)
		c.latency(at+".latency", &k.Curve[i].Latency)
	}
	c.parts(path, k)
}

func (c *checker) parts(path string, k *Case) {
	c.count(path+".split", len(k.Split), maxParts)
	for i, s := range k.Split {
		at := fmt.Sprintf("%s.split[%d]", path, i)
		c.name(at+".name", s.Name)
		c.number(at+".fraction", s.Fraction)
		if s.Fraction > 1 {
			c.fail(at+".fraction", "must be 1 at most")
		}
		c.number(at+".ns", s.Ns)
	}
	c.count(path+".processes", len(k.Processes), maxParts)
	for i, p := range k.Processes {
		at := fmt.Sprintf("%s.processes[%d]", path, i)
		c.name(at+".name", p.Name)
		c.number(at+".cpu_us_per_record", p.CPU)
		c.number(at+".rss_mib", p.RSS)
	}
	c.orUnknown(path+".allocs_per_record", k.Allocs)
	if z := k.Size; z != nil {
		c.number(path+".size.before", z.Before)
		c.number(path+".size.after", z.After)
		c.text(path+".size.codec", z.Codec, maxName)
		c.number(path+".size.compressed_before", z.CompressedBefore)
		c.number(path+".size.compressed_after", z.CompressedAfter)
	}
	c.count(path+".errors", len(k.Errors), maxParts)
	for _, code := range slices.Sorted(maps.Keys(k.Errors)) {
		c.name(path+".errors", code)
		c.number(path+".errors", float64(k.Errors[code]))
	}
	c.number(path+".kms_calls", float64(k.KMSCalls))
}

func (c *checker) series(path string, s *Series) {
	c.number(path+".median", s.Median)
	c.number(path+".low", s.Low)
	c.number(path+".high", s.High)
	if s.quartiles() && (s.Low > s.Median || s.Median > s.High) {
		c.fail(path, "must have low, median and high in ascending order")
	}
	c.count(path+".samples", len(s.Samples), maxSamples)
	for i, v := range s.Samples {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			c.number(fmt.Sprintf("%s.samples[%d]", path, i), v)
			return // one is enough: what measured this one measured the others
		}
	}
}

func (c *checker) latency(path string, l *Latency) {
	c.number(path+".count", float64(l.Count))
	c.number(path+".mean", l.Mean)
	c.number(path+".max", l.Max)
	c.count(path+".quantiles", len(l.Quantiles), maxQuantile)
	for i, q := range l.Quantiles {
		at := fmt.Sprintf("%s.quantiles[%d]", path, i)
		c.number(at+".q", q.Q)
		c.number(at+".seconds", q.Seconds)
		if q.Q > 1 {
			c.fail(at+".q", "must be 1 at most")
		}
		if i > 0 && (cmp.Compare(q.Q, l.Quantiles[i-1].Q) <= 0 || q.Seconds < l.Quantiles[i-1].Seconds) {
			c.fail(at, "must be above the one before")
		}
	}
	for _, s := range []struct {
		path   string
		series *Series
	}{{"p50_rounds", l.P50}, {"p99_rounds", l.P99}} {
		if s.series != nil {
			c.series(path+"."+s.path, s.series)
		}
	}
}
