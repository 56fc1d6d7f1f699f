package main

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/ours"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

const (
	unitFloor  = "× floor"
	unitSeal   = "× one seal"
	unitAllocs = "allocations"
	yardSeals  = "the same AES-256-GCM seals and nothing else"
)

// sliceInMemory is the time of one function in one round.
const sliceInMemory = 3 * time.Millisecond

func (s *state) inMemory() ratio.Options {
	o := ratio.Options{Rounds: 201, Slice: sliceInMemory}
	if s.quick {
		o.Rounds = 11
	}
	if s.rounds > 0 {
		o.Rounds = s.rounds
	}
	return o
}

// A line is one function beside its yardstick.
type line struct {
	name        string // of the goal
	cell        string // of the case
	goal        float64
	unit        string
	ours, floor func() (func(n int), error)
}

// compare measures a line and returns what it allocates.
func (s *state) compare(scenario, yardstick string, r line) (allocs float64, err error) {
	f, err := r.ours()
	if err != nil {
		return 0, err
	}
	g, err := r.floor()
	if err != nil {
		return 0, err
	}
	f(1)
	allocs = testing.AllocsPerRun(100, func() { f(1) })
	res := s.undisturbed(func() ratio.Func { return g }, func() ratio.Func { return f })
	if r.goal > 0 {
		s.goal(r.name, r.unit, r.goal, false, res[1].Ratios)
	}
	cost, floor, ratios := report.NewSeries(res[1].Rounds), report.NewSeries(res[0].Rounds), report.NewSeries(res[1].Ratios)
	s.report.Cases = append(s.report.Cases, report.Case{
		Name: r.cell, Scenario: scenario, Rate: rates(res[1].Rounds), Cost: &cost, Floor: &floor, Ratio: &ratios,
		Yardstick: yardstick, Allocs: allocs,
	})
	return allocs, nil
}

// undisturbed compares a few times, and returns what was seen when the yardstick was
// fastest: a neighbour on the same host takes more from whatever works on memory than
// from a bare cipher, for seconds at a time.
func (s *state) undisturbed(factories ...func() ratio.Func) []ratio.Result {
	times := s.repeat
	if s.quick {
		times = 1
	}
	best := ratio.Compare(s.inMemory(), factories...)
	for range times - 1 {
		if res := ratio.Compare(s.inMemory(), factories...); res[0].NsPerOp < best[0].NsPerOp {
			best = res
		}
	}
	return best
}

// rates are records per second from nanoseconds per record.
func rates(ns []float64) report.Series {
	out := make([]float64, len(ns))
	for i, v := range ns {
		out[i] = 1e9 / v
	}
	return report.NewSeries(out)
}

// library measures plans on records in memory.
func library(ctx context.Context, s *state) error {
	rows, err := plans()
	if err != nil {
		return err
	}
	worst := 0.0
	for _, r := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		allocs, err := s.compare("plan", yardSeals, r)
		if err != nil {
			return err
		}
		worst = max(worst, allocs)
	}
	s.goal("all of the above, allocations of a record", unitAllocs, 0, false, []float64{worst})
	return s.scaling()
}

func plans() ([]line, error) {
	var rows []line
	for _, c := range []struct {
		workload.Case
		name string
		cell string
		goal float64
	}{
		{workload.Avro20(), "protect Avro 626 B, 5 of 20 fields", "plan/avro-5-of-20", 1.7},
		{workload.Avro20One(), "protect Avro 626 B, 1 of 20 fields", "plan/avro-1-of-20", 2.5},
		{workload.Avro10K(), "protect Avro 10 KB, 60 values", "plan/avro-10k", 3.0},
		{workload.JSON20(), "protect JSON 1 KB, by JSON Schema", "plan/jsonschema", 2.6},
		{workload.JSON20(), "protect JSON 1 KB, by paths", "plan/json-paths", 2.6},
		{workload.Proto20(), "protect Protobuf 680 B", "plan/protobuf", 1.9},
	} {
		var plan *fieldcrypt.Plan
		var err error
		if strings.HasSuffix(c.cell, "paths") {
			plan, err = ours.PlanPaths(workload.JSONPaths())
		} else {
			plan, err = ours.Plan(c.Case, "gcm")
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, line{
			c.name, c.cell, c.goal, unitFloor,
			func() (func(int), error) { return ours.Protect(plan, c.Case), nil },
			func() (func(int), error) { return ours.Floor(c.Tagged) },
		})
	}
	c := workload.Avro20()
	plan, err := ours.Plan(c, "gcm")
	if err != nil {
		return nil, err
	}
	persons, err := ours.PlanPersons(c, "/order_id")
	if err != nil {
		return nil, err
	}
	for _, b := range []struct {
		workload.Case
		name string
		cell string
		goal float64
	}{
		{workload.Avro20(), "protect Avro 626 B, 5 of 20 fields, 100 at once", "plan/avro-5-of-20-batch", 1.7},
		{workload.Avro20One(), "protect Avro 626 B, 1 of 20 fields, 100 at once", "plan/avro-1-of-20-batch", 2.5},
		{workload.JSON20(), "protect JSON 1 KB, by JSON Schema, 100 at once", "plan/jsonschema-batch", 2.6},
		{workload.Proto20(), "protect Protobuf 680 B, 100 at once", "plan/protobuf-batch", 1.9},
	} {
		plan, err := ours.Plan(b.Case, "gcm")
		if err != nil {
			return nil, err
		}
		rows = append(rows, line{
			b.name, b.cell, b.goal, unitFloor,
			func() (func(int), error) { return ours.ProtectAll(plan, b.Case), nil },
			func() (func(int), error) { return ours.Floor(b.Tagged) },
		})
	}
	return append(rows, line{
		"protect Avro 626 B, 5 of 20 fields, through the engine", "plan/engine", 0, unitFloor,
		func() (func(int), error) { return ours.Engine(c, 1) },
		func() (func(int), error) { return ours.Floor(c.Tagged) },
	}, line{
		"protect Avro 626 B, 5 of 20 fields, through the engine, 100 at once", "plan/engine-batch", 0, unitFloor,
		func() (func(int), error) { return ours.Engine(c, ours.Batch) },
		func() (func(int), error) { return ours.Floor(c.Tagged) },
	}, line{
		"reveal Avro 626 B, 5 of 20 fields", "plan/reveal-avro", 2.0, "× five opens",
		func() (func(int), error) { return ours.Reveal(plan, c) },
		func() (func(int), error) { return ours.FloorOpen(c.Tagged) },
	}, line{
		"protect under the key of a person", "plan/person", 1.5, "× a shared key",
		func() (func(int), error) { return ours.Protect(persons, c), nil },
		func() (func(int), error) { return ours.Protect(plan, c), nil },
	}), nil
}

// actions measures what policies do to one value.
func actions(ctx context.Context, s *state) error {
	for _, a := range ours.Actions() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := line{a.Name, "action/" + strings.NewReplacer(" ", "-", ",", "").Replace(a.Name), a.Goal, unitSeal, a.Make, ours.Unit}
		if _, err := s.compare("action", "one AES-256-GCM seal of 32 bytes", r); err != nil {
			return err
		}
	}
	return nil
}

// scaling compares what a second goroutine brings, with one plan for both, to
// what it brings the floor.
func (s *state) scaling() error {
	const name, unit = "two goroutines on one plan", "of what the floor gains"
	if runtime.GOMAXPROCS(0) < 2 {
		s.skip(name, unit, 0.95, "there is one CPU")
		return nil
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
	turns := 31
	if s.quick {
		turns = 3
	}
	o := s.inMemory()
	o.Rounds = max(3, o.Rounds/15)
	var gains []float64
	for range turns {
		var gain [2]float64
		for i, f := range []func() ratio.Func{floor, protect} {
			o.Parallel = 1
			one := ratio.Compare(o, f)[0].NsPerOp
			o.Parallel = 2
			two := ratio.Compare(o, f)[0].NsPerOp
			gain[i] = 2 * one / two
		}
		gains = append(gains, gain[1]/gain[0])
	}
	s.goal(name, unit, 0.95, true, gains)
	return nil
}
