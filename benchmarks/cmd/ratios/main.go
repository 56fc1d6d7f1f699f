// Command ratios measures the cost of protection beside its floor: the same
// AES-256-GCM seals and nothing else, in the same run. It prints ratios, which
// hold on any machine with AES instructions, and checks that the hot path does
// not allocate.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/ours"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() {
	rounds := flag.Int("rounds", 201, "rounds for each comparison")
	slice := flag.Duration("slice", 3*time.Millisecond, "time of one function in one round")
	flag.Parse()
	if err := report(os.Stdout, ratio.Options{Rounds: *rounds, Slice: *slice}); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

// comparison is a row of the report.
type comparison struct {
	name        string
	goal        float64 // 0 for none
	ours, floor func() (func(n int), error)
}

func report(w io.Writer, o ratio.Options) error {
	_, _ = fmt.Fprintf(w, "%s %s/%s, %d CPUs%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), revision())
	_, _ = fmt.Fprintf(w, "each ratio is the median of %d rounds of %v, ours by the floor of the same round\n\n", o.Rounds, o.Slice)
	rows, err := comparisons()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "work\tfloor ns\tours ns\tratio\tquartiles\tgoal\tallocs")
	for _, row := range rows {
		if err := row.print(t, o); err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return scaling(w, o)
}

func (c comparison) print(w io.Writer, o ratio.Options) error {
	f, err := c.ours()
	if err != nil {
		return err
	}
	g, err := c.floor()
	if err != nil {
		return err
	}
	f(1)
	allocs := testing.AllocsPerRun(100, func() { f(1) })
	res := ratio.Compare(o, func() ratio.Func { return g }, func() ratio.Func { return f })
	goal := "-"
	if c.goal > 0 {
		goal = fmt.Sprintf("%.1f", c.goal)
	}
	_, err = fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%.2f-%.2f\t%s\t%.0f\n", c.name,
		res[0].NsPerOp, res[1].NsPerOp, res[1].Ratio, res[1].Low, res[1].High, goal, allocs)
	return err
}

func comparisons() ([]comparison, error) {
	var rows []comparison
	for _, c := range []struct {
		workload.Case
		name string
		goal float64
	}{
		{workload.Avro20(), "protect 626 B, 5 of 20 fields", 1.7},
		{workload.Avro20One(), "protect 626 B, 1 of 20 fields", 2.5},
		{workload.Avro10K(), "protect 10 KB, 60 values", 3.0},
		{workload.JSON20(), "protect 1 KB JSON, by paths", 2.6},
		{workload.JSON20(), "protect 1 KB JSON, by JSON Schema", 2.6},
		{workload.Proto20(), "protect 680 B Protobuf", 1.9},
	} {
		var plan *fieldcrypt.Plan
		var err error
		if strings.HasSuffix(c.name, "by paths") {
			plan, err = ours.PlanPaths(workload.JSONPaths())
		} else {
			plan, err = ours.Plan(c.Case, "gcm")
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, comparison{
			c.name, c.goal,
			func() (func(int), error) { return ours.Protect(plan, c.Case), nil },
			func() (func(int), error) { return ours.Floor(c.Tagged) },
		})
	}
	c := workload.Avro20()
	plan, err := ours.Plan(c, "gcm")
	if err != nil {
		return nil, err
	}
	rows = append(rows, comparison{
		"protect 626 B, 5 of 20, through the engine", 0,
		func() (func(int), error) { return ours.Engine(c) },
		func() (func(int), error) { return ours.Floor(c.Tagged) },
	}, comparison{
		"reveal 626 B, 5 of 20 fields", 2.0,
		func() (func(int), error) { return ours.Reveal(plan, c) },
		func() (func(int), error) { return ours.FloorOpen(c.Tagged) },
	})
	persons, err := ours.PlanPersons(c, "/order_id")
	if err != nil {
		return nil, err
	}
	rows = append(rows, comparison{
		"5 of 20 fields, a person's key beside a shared one", 1.5,
		func() (func(int), error) { return ours.Protect(persons, c), nil },
		func() (func(int), error) { return ours.Protect(plan, c), nil },
	})
	for _, a := range ours.Actions() {
		rows = append(rows, comparison{a.Name, a.Goal, a.Make, ours.Unit})
	}
	return rows, nil
}

// scaling compares what a second goroutine brings, with one plan for both, to
// what it brings the floor.
func scaling(w io.Writer, o ratio.Options) error {
	if runtime.GOMAXPROCS(0) < 2 {
		_, err := fmt.Fprintln(w, "\nscaling: not measured, there is one CPU")
		return err
	}
	c := workload.Avro20()
	plan, err := ours.Plan(c, "gcm")
	if err != nil {
		return err
	}
	floor := func() ratio.Func {
		f, err := ours.Floor(c.Tagged)
		if err != nil {
			panic(err)
		}
		return f
	}
	protect := func() ratio.Func { return ours.Protect(plan, c) }
	// Both widths alternate in one run: what the machine gives to two threads
	// changes from second to second.
	var gains [2][]float64
	const turns = 15
	short := ratio.Options{Rounds: max(3, o.Rounds/turns), Slice: o.Slice}
	for range turns {
		for i, f := range []func() ratio.Func{floor, protect} {
			short.Parallel = 1
			one := ratio.Compare(short, f)[0].NsPerOp
			short.Parallel = 2
			two := ratio.Compare(short, f)[0].NsPerOp
			gains[i] = append(gains[i], 2*one/two)
		}
	}
	f, p := median(gains[0]), median(gains[1])
	_, err = fmt.Fprintf(w, "\ntwo goroutines, one plan: floor x %.2f, protect x %.2f: %.2f of the floor (goal 0.95)\n", f, p, p/f)
	return err
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// revision names the commit that the program was built from, where known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return ", commit " + s.Value[:12]
		}
	}
	return ""
}
