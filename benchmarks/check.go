package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// The files of a report.
const (
	fileHTML = "report.html"
	fileJSON = "report.json"
	fileCSV  = "report.csv"
)

// files writes the report into a folder.
func (s *state) files(status io.Writer, old *report.Report) error {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	var compared *report.Comparison
	if old != nil {
		c := report.Compare(old, s.report)
		compared = &c
	}
	for name, write := range map[string]func(io.Writer) error{
		fileHTML: func(w io.Writer) error { return report.WriteHTML(w, s.report, compared) },
		fileJSON: func(w io.Writer) error { return report.WriteJSON(w, s.report) },
		fileCSV:  func(w io.Writer) error { return report.WriteCSV(w, s.report) },
	} {
		f, err := os.Create(filepath.Join(s.out, name))
		if err != nil {
			return err
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(status, "\nwrote %s\n", filepath.Join(s.out, fileHTML))
	return err
}

// The gate of -check: a ratio to the floor that is worse than in the earlier run by
// more than is allowed, with its whole confidence interval, each time of five.
//
// Processor and compiler decide such a ratio together with the code, and so does a
// neighbour that takes away cache and clock. So what ran on another processor, or
// with a floor that took another time, is shown and judged by nobody.
const (
	attempts   = 5
	floorDrift = 0.05
)

var errWorse = errors.New("ratios to the floor are worse than in the earlier run")

// gate compares with the earlier run, and measures again what looks worse.
func (s *state) gate(ctx context.Context, out io.Writer, old *report.Report, wanted []group) error {
	c := report.Compare(old, s.report)
	if err := (report.Table{}).WriteComparison(out, &c); err != nil {
		return err
	}
	a, b := old.Machine, s.report.Machine
	if a.CPU != b.CPU || a.CPUs != b.CPUs || a.GoVersion != b.GoVersion {
		_, err := fmt.Fprintf(out, "\nNot judged: the earlier run was on %s with %d CPUs and %s, this one on %s with %d and %s.\n",
			a.CPU, a.CPUs, a.GoVersion, b.CPU, b.CPUs, b.GoVersion)
		return err
	}
	if gone := s.gone(old); len(gone) > 0 {
		return fmt.Errorf("%w: %s", errGone, strings.Join(gone, ", "))
	}
	worse, strange := s.worse(old)
	for try := 1; try < attempts && len(worse) > 0; try++ {
		s.say("%d ratios look worse, measured again", len(worse))
		again := state{options: s.options, say: func(string, ...any) {}, report: &report.Report{Version: report.Version, Machine: s.report.Machine, Input: s.report.Input}}
		for _, g := range wanted {
			if err := g.measure(ctx, &again); err != nil {
				return fmt.Errorf("%s: %w", g.name, err)
			}
		}
		still, unsure := again.worse(old)
		strange = append(strange, unsure...)
		maps.DeleteFunc(worse, func(name string, _ report.Row) bool { _, ok := still[name]; return !ok })
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(strange))) {
		_, _ = fmt.Fprintf(out, "not judged: %s, whose floor took another time than in the earlier run: the machine is another, or busy\n", name)
	}
	if len(worse) == 0 {
		_, err := fmt.Fprintf(out, "\nNo ratio to the floor that could be judged is worse by more than %g %%.\n", s.allow)
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(worse)) {
		r := worse[name]
		_, _ = fmt.Fprintf(out, "worse: %s, %.3g to %.3g (%+.0f %%, %+.0f to %+.0f)\n", name, r.Old, r.New, 100*r.Change, 100*r.Low, 100*r.High)
	}
	return fmt.Errorf("%w, by more than %g %%", errWorse, s.allow)
}

var errGone = errors.New("the earlier run has cases that are not measured any more: make a new baseline if that is meant")

// gone returns the cases of the earlier run that this one lacks, of the scenarios
// that it measures: a case that has another name is compared with nothing.
func (s *state) gone(old *report.Report) (names []string) {
	scenarios, cases := make(map[string]bool), make(map[string]bool)
	for i := range s.report.Cases {
		scenarios[s.report.Cases[i].Scenario], cases[s.report.Cases[i].Name] = true, true
	}
	for i := range old.Cases {
		if c := &old.Cases[i]; scenarios[c.Scenario] && !cases[c.Name] {
			names = append(names, c.Name)
		}
	}
	return names
}

// worse returns the ratios that are worse, by their cases, and the cases among them
// whose floor does not compare.
func (s *state) worse(old *report.Report) (worse map[string]report.Row, strange []string) {
	c := report.Compare(old, s.report)
	worse = make(map[string]report.Row)
	for _, r := range c.Regressed(s.allow / 100) {
		then, now := floorOf(old, r.Case), floorOf(s.report, r.Case)
		if then <= 0 || now <= 0 || math.Abs(now/then-1) > floorDrift {
			strange = append(strange, r.Case)
			continue
		}
		worse[r.Case] = r
	}
	return worse, strange
}

func floorOf(r *report.Report, name string) float64 {
	for i := range r.Cases {
		if c := &r.Cases[i]; c.Name == name && c.Floor != nil {
			return c.Floor.Median
		}
	}
	return 0
}
