// Command benchmarks measures every figure that the project promises, with the
// floor and the rivals in the same run, and writes a report.
//
//	go run ./benchmarks                 # all goals, about eight minutes
//	go run ./benchmarks -only library   # one group: library, actions, produce, sidecar or rivals
//	go run ./benchmarks -check benchmarks/baseline.json
//
// What users measure of their own is "fieldveil bench", which is the same harness.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/fieldveil/fieldveil/sidecar/bench"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	switch {
	case scenario.IsPart():
		os.Exit(scenario.Play())
	case isServer():
		os.Exit(serveBeside())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// The groups of goals.
const (
	groupLibrary = "library"
	groupActions = "actions"
	groupProduce = "produce"
	groupSidecar = "sidecar"
	groupRivals  = "rivals"
)

// A group measures goals that belong together.
type group struct {
	name    string
	measure func(context.Context, *state) error
}

func groups() []group {
	return []group{
		{groupLibrary, library}, {groupActions, actions}, {groupProduce, producers}, {groupSidecar, sidecars}, {groupRivals, rivals},
	}
}

// A state is a run on its way.
type state struct {
	options

	report *report.Report
	say    func(format string, args ...any)
}

type options struct {
	only   string
	out    string
	check  string
	allow  float64
	rounds int
	repeat int
	quick  bool
}

// goal adds a row to the table of goals.
func (s *state) goal(name, unit string, want float64, atLeast bool, got []float64) {
	g := report.Goal{Name: name, Unit: unit, Want: want, AtLeast: atLeast, Got: report.NewSeries(got)}
	s.report.Goals = append(s.report.Goals, g)
	sign := "<="
	if atLeast {
		sign = ">="
	}
	word := "pass"
	if !g.Held() {
		word = "FALLS SHORT"
	}
	s.say("  %-52s %7.2f (%.2f-%.2f) %s %g %s  %s", name, g.Got.Median, g.Got.Low, g.Got.High, sign, want, unit, word)
}

// skip adds a row that was not measured, and why. What may be missing on a machine is
// something to be faster than.
func (s *state) skip(name, unit string, atLeast float64, why string) {
	s.report.Goals = append(s.report.Goals, report.Goal{Name: name, Unit: unit, Want: atLeast, AtLeast: true, Skipped: why})
	s.say("  %-52s not measured: %s", name, why)
}

func run(ctx context.Context, args []string, out, status io.Writer) error {
	var s state
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(status)
	flags.StringVar(&s.only, "only", "", "groups to measure, with commas: library, actions, produce, sidecar, rivals")
	flags.StringVar(&s.out, "out", "", "a folder for report.html, report.json and report.csv")
	flags.StringVar(&s.check, "check", "", "a report of an earlier run: fail when a ratio to the floor is worse")
	flags.Float64Var(&s.allow, "allow", 10, "percent that -check lets a ratio be worse")
	flags.IntVar(&s.rounds, "rounds", 0, "rounds of each comparison; by default 201 in memory and 15 with processes")
	flags.IntVar(&s.repeat, "repeat", 3, "times that work in memory is measured; the one with the fastest floor counts")
	flags.BoolVar(&s.quick, "quick", false, "fewer rounds: to see that it runs, not what it says")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	wanted, err := s.wanted()
	if err != nil {
		return err
	}
	begin := time.Now()
	s.say = func(format string, args ...any) {
		_, _ = fmt.Fprintf(status, "%6.1fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	s.report = &report.Report{
		Version: report.Version, Title: "fieldveil benchmarks", Started: begin.UTC(), Machine: bench.ThisMachine(),
		Input: builtins(),
	}
	for _, g := range wanted {
		s.say("%s", g.name)
		if err := g.measure(ctx, &s); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	s.report.Took = time.Since(begin).Seconds()
	return s.write(ctx, out, wanted)
}

// builtins describes the fixed records.
func builtins() report.Input {
	all := workload.Cases()
	in := report.Input{Name: "built-in workloads", Format: "several", Records: len(all), Synthetic: true}
	for i := range all {
		in.Bytes += float64(len(all[i].Record)) / float64(len(all))
		in.Protected += float64(len(all[i].Tagged)) / float64(len(all))
	}
	return in
}

func (s *state) wanted() ([]group, error) {
	all := groups()
	if s.only == "" {
		return all, nil
	}
	var out []group
	for name := range strings.SplitSeq(s.only, ",") {
		i := slices.IndexFunc(all, func(g group) bool { return g.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no group %q", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// write shows the report and writes its files.
func (s *state) write(ctx context.Context, out io.Writer, wanted []group) error {
	if err := report.WriteTable(out, s.report, 0); err != nil {
		return err
	}
	var old *report.Report
	if s.check != "" {
		f, err := os.Open(s.check)
		if err != nil {
			return err
		}
		old, err = report.ReadJSON(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", s.check, err)
		}
	}
	if s.out != "" {
		if err := s.files(out, old); err != nil {
			return err
		}
	}
	if old == nil {
		return nil
	}
	return s.gate(ctx, out, old, wanted)
}
