package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// benchCmd measures what protection costs.
type benchCmd struct {
	input.Options `embed:""`

	Workloads   []string        `placeholder:"NAME" group:"What to vary" help:"Several built-in workloads, one after the other, instead of --workload; all is all of them."`
	Scenario    []string        `default:"library,reveal,produce,sidecar-grpc-stream,sidecar-rest-binary" placeholder:"NAME" group:"What to vary" help:"What to measure: ${bench_scenarios}."`
	Concurrency []int           `placeholder:"N" group:"What to vary" help:"Goroutines, connections or calls at a time. Lists of values are measured one after the other, in all combinations."`
	Batch       []int           `placeholder:"RECORDS" group:"What to vary" help:"Records of a request to the sidecar, or of a batch to the vault. 100 by default."`
	BatchBytes  []int32         `placeholder:"BYTES" group:"What to vary" help:"How much is sent to a partition at once (batch.size)."`
	Linger      []time.Duration `placeholder:"TIME" group:"What to vary" help:"How long the client of Kafka waits for more (linger.ms)."`
	Compression []string        `placeholder:"CODEC" group:"What to vary" help:"none, snappy, lz4, zstd or gzip (compression.type)."`
	KMSLatency  []time.Duration `name:"kms-latency" placeholder:"TIME" group:"What to vary" help:"How long each call to the KMS takes. The KMS is one in memory: the real one is never called."`
	MaxScopes   []int           `placeholder:"N" group:"What to vary" help:"How many data keys the cache keeps to seal with."`

	Send bool `group:"What to vary" help:"Send to --topic at --brokers, always protected. The records stay there: use a topic that was made for this. Without it a broker of its own forgets them."`

	Rounds int           `placeholder:"N" group:"How to measure" help:"Rounds of each comparison. By default 101 in memory, 11 with processes."`
	Slice  time.Duration `placeholder:"TIME" group:"How to measure" help:"Time of one side of a round. By default 3ms in memory, 400ms with processes."`
	Rates  []float64     `default:"0.25,0.5,0.75,0.9" placeholder:"PART" group:"How to measure" help:"Parts of the highest rate at which latencies are measured, in an open loop."`
	Hold   time.Duration `default:"3s" placeholder:"TIME" group:"How to measure" help:"How long each of these rates is held."`
	Split  bool          `default:"true" negatable:"" group:"How to measure" help:"Profile where the time goes."`
	Quick  bool          `group:"How to measure" help:"Fewer and shorter rounds: seconds instead of minutes, and figures to look at, not to quote."`

	HTML      string  `name:"html" type:"path" placeholder:"FILE" group:"What to write" help:"Write the report as a page that needs no network."`
	JSON      string  `name:"json" type:"path" placeholder:"FILE" group:"What to write" help:"Write the report for programs, and for --against."`
	CSV       string  `name:"csv" type:"path" placeholder:"FILE" group:"What to write" help:"Write a line for each case."`
	Against   string  `type:"existingfile" placeholder:"FILE" group:"What to write" help:"Compare with an earlier run: a file that --json wrote."`
	FailAbove float64 `placeholder:"PERCENT" group:"What to write" help:"With --against: exit with 1 when a ratio is worse by more than this."`
}

// Help is the second paragraph of the help text.
func (benchCmd) Help() string {
	return "It measures the library, a producer and the sidecar on workloads of its own, or on your schema, policy and " +
		"records, beside a yardstick in the same rounds: the bare cipher, the same records protected beforehand, a server that " +
		"gives back what it gets. Latencies count from when a record was due. The broker is a process of its own that " +
		"forgets what it is sent; with --send records go to your topic, always protected. Keys of the policy are " +
		"made in memory, and nothing that was protected here can be opened later."
}

var (
	errSend      = errors.New("--send needs --brokers, --topic and --policy")
	errWorkloads = errors.New("--workloads goes with neither --workload nor --policy")
	errWorse     = errors.New("worse than --against allows")
)

// Run measures and writes the report.
func (c benchCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	old, err := c.earlier()
	if err != nil {
		return err
	}
	o, err := c.options(ctx, t)
	if err != nil {
		return err
	}
	r, err := bench.Run(ctx, o)
	if r == nil || len(r.Cases) == 0 {
		return err
	}
	if ctx.Err() != nil {
		// What was measured is not lost.
		_, _ = fmt.Fprintln(t.err, "fieldveil: interrupted; the report has what was measured before")
	}
	return errors.Join(err, c.write(t, r, old))
}

func (c benchCmd) earlier() (*report.Report, error) {
	if c.Against == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	f, err := os.Open(c.Against)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return report.ReadJSON(f)
}

func (c benchCmd) options(ctx context.Context, t *terminal) (bench.Options, error) {
	o := bench.Options{
		Scenarios: c.Scenario, Rounds: c.Rounds, Slice: c.Slice, Rates: c.Rates, Hold: c.Hold, Split: c.Split,
		Matrix: bench.Matrix{
			Concurrency: c.Concurrency, Batch: c.Batch, BatchBytes: c.BatchBytes, Linger: c.Linger, Compression: c.Compression,
			KMSLatency: c.KMSLatency, MaxScopes: c.MaxScopes,
		},
		Version: build().Version, Progress: t.bench(),
	}
	if c.Quick {
		o.Rates, o.Hold = []float64{0.5}, time.Second
		if o.Rounds == 0 {
			o.Rounds = 5
		}
	}
	err := c.target(ctx, &o)
	return o, err
}

// target loads what is measured, and says where records go.
func (c benchCmd) target(ctx context.Context, o *bench.Options) error {
	names := c.Workloads
	switch {
	case len(names) == 0:
		names = []string{c.Workload}
	case c.Workload != "" || c.Policy != "":
		return errWorkloads
	case slices.Equal(names, []string{"all"}):
		names = input.Names()
	}
	for _, name := range names {
		one := c.Options
		one.Workload = name
		if err := one.Validate(); err != nil {
			return err
		}
		set, err := input.Load(ctx, one)
		if err != nil {
			return err
		}
		o.Sets = append(o.Sets, set)
	}
	if !c.Send {
		return nil
	}
	if len(c.Brokers) == 0 || c.Policy == "" {
		return errSend
	}
	config := c.Kafka()
	o.Kafka, o.SecretFiles = &config, c.KafkaSecret
	return nil
}

// write shows the report and writes its files.
func (c benchCmd) write(t *terminal, r, old *report.Report) error {
	var compared *report.Comparison
	if old != nil {
		found := report.Compare(old, r)
		compared = &found
	}
	if err := report.WriteTable(t.out, r, 0); err != nil {
		return err
	}
	if compared != nil {
		_, _ = fmt.Fprintln(t.out)
		if err := (report.Table{}).WriteComparison(t.out, compared); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{c.HTML, func(w io.Writer) error { return report.WriteHTML(w, r, compared) }},
		{c.JSON, func(w io.Writer) error { return report.WriteJSON(w, r) }},
		{c.CSV, func(w io.Writer) error { return report.WriteCSV(w, r) }},
	} {
		if file.path == "" {
			continue
		}
		if err := writeWhole(file.path, file.write); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(t.err, "fieldveil: wrote", file.path)
	}
	return c.gate(compared)
}

// gate fails when a ratio is worse than it may be.
func (c benchCmd) gate(compared *report.Comparison) error {
	if compared == nil || c.FailAbove <= 0 {
		return nil
	}
	worse := compared.Regressed(c.FailAbove / 100)
	if len(worse) == 0 {
		return nil
	}
	var names []string
	for i := range worse {
		names = append(names, fmt.Sprintf("%s by %.0f %%", worse[i].Case, 100*max(worse[i].Change, -worse[i].Change)))
	}
	return fmt.Errorf("%w: %s", errWorse, strings.Join(names, ", "))
}

// writeWhole writes a file in one piece: who looks at it sees the old one or the new
// one.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".fieldveil-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has another name by then, if all went well
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// bench shows how far a run is.
func (t *terminal) bench() func(bench.Progress) {
	show := t.line()
	if show == nil {
		return nil
	}
	return func(p bench.Progress) { show(progressLine(p), p.Cell == p.Cells && p.Part == 1) }
}

// progressLine fits 79 columns, however long the names are.
func progressLine(p bench.Progress) string {
	left := ""
	if p.Left > 0 {
		left = ", " + p.Left.Round(time.Second).String() + " left"
	}
	head := fmt.Sprintf("[%d/%d] ", p.Cell, p.Cells)
	tail := fmt.Sprintf(" %3.0f %%%s", 100*p.Part, left)
	room := max(79-len(head)-len(tail), 0)
	name := []rune(p.Name)
	if len(name) > room {
		name = append(name[:max(room-1, 0)], '…')
	}
	return head + string(name) + tail
}
