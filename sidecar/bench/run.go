package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// Options say what Run measures. Sets and Scenarios are required.
type Options struct {
	Title     string
	Sets      []*input.Set
	Scenarios []string // see [Scenarios]
	Matrix    Matrix
	// Rounds and Slice of a comparison; 0 is what the scenario needs.
	Rounds int
	Slice  time.Duration
	// Rates are the parts of the highest rate at which latencies are measured.
	Rates []float64
	Hold  time.Duration
	// Split asks where the time goes.
	Split bool
	// Kafka reaches the user's cluster, and SecretFiles are the files of its secrets.
	// Without it the brokers are in processes of their own, and forget what they are
	// sent.
	Kafka       *kafka.Config
	SecretFiles map[string]string
	// Version is that of the program.
	Version string
	// Progress is told what is under way. It is called by one goroutine, a few times
	// for each cell.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	// Cell counts from 1 to Cells; Name is that of the cell.
	Cell, Cells int
	Name        string
	// Part is how much of the cell is done, 0 to 1.
	Part float64
	// Left is an estimate of the time that the run still takes; 0 is unknown.
	Left time.Duration
}

var (
	errNothing  = errors.New("bench: there is nothing to measure: no input, or no scenario")
	errScenario = errors.New("bench: a scenario is one of " + strings.Join(Scenarios(), ", "))
)

// Run measures all cells, one after the other. When a cell fails, the error says
// which, and the report has what was measured before.
func Run(ctx context.Context, o Options) (*report.Report, error) {
	for _, s := range o.Scenarios {
		if !slices.Contains(Scenarios(), s) {
			return nil, fmt.Errorf("%w: %q is none", errScenario, s)
		}
	}
	cells := o.cells()
	if len(cells) == 0 {
		return nil, errNothing
	}
	begin := time.Now()
	r := &report.Report{Version: report.Version, Title: o.Title, Started: begin.UTC(), Machine: ThisMachine()}
	r.Machine.Version = o.Version
	if r.Title == "" {
		r.Title = "fieldveil bench"
	}
	if len(o.Sets) == 1 {
		r.Input = o.Sets[0].Describe()
	} else {
		r.Input = several(o.Sets)
	}
	for _, set := range o.Sets {
		for _, n := range set.Notes {
			r.Notes = append(r.Notes, set.Name+": "+n)
		}
	}
	defer func() { r.Took = time.Since(begin).Seconds() }()
	for i := range cells {
		c := &cells[i]
		name := nameOf(c.scenario, inputName(c.params.Set), nil)
		tell := func(part float64) {
			if o.Progress == nil {
				return
			}
			done := (float64(i) + part) / float64(len(cells))
			left := time.Duration(0)
			if done > 0 {
				left = time.Duration(float64(time.Since(begin)) * (1 - done) / done)
			}
			o.Progress(Progress{Cell: i + 1, Cells: len(cells), Name: name, Part: part, Left: left})
		}
		tell(0)
		c.params.Progress = tell
		found, err := c.run(ctx)
		if err != nil {
			return r, fmt.Errorf("bench: %s: %w", name, err)
		}
		for _, f := range found {
			f.Scenario = c.scenario
			f.Name = nameOf(c.scenario, inputName(c.params.Set), f.Settings)
			r.Cases = append(r.Cases, *f)
		}
	}
	return r, nil
}

func (c *cell) run(ctx context.Context) ([]*report.Case, error) {
	one := func(found *report.Case, err error) ([]*report.Case, error) {
		if err != nil {
			return nil, err
		}
		return []*report.Case{found}, nil
	}
	switch c.scenario {
	case scenario.NameLibrary:
		return one(scenario.Library(ctx, c.params))
	case scenario.NameReveal:
		return one(scenario.Reveal(ctx, c.params))
	case scenario.NameProduce:
		return one(scenario.Produce(ctx, c.params))
	case scenario.NameActions:
		return scenario.Actions(ctx, c.params)
	case scenario.NameVault:
		return scenario.Vault(ctx, c.params)
	default:
		return one(scenario.Sidecar(ctx, c.params))
	}
}

func inputName(s *input.Set) string {
	if s == nil {
		return ""
	}
	return s.Name
}

// several describes a run over more than one input.
func several(sets []*input.Set) report.Input {
	out := report.Input{Name: fmt.Sprintf("%d workloads", len(sets)), Synthetic: true}
	var bytes, protected float64
	for _, s := range sets {
		d := s.Describe()
		out.Records += d.Records
		bytes += d.Bytes
		protected += d.Protected
		if out.Format == "" {
			out.Format = d.Format
		} else if out.Format != d.Format {
			out.Format = "several"
		}
		out.Synthetic = out.Synthetic && d.Synthetic
	}
	if len(sets) > 0 {
		out.Bytes, out.Protected = bytes/float64(len(sets)), protected/float64(len(sets))
	}
	return out
}
