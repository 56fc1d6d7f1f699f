package row

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
)

// A Program measures one rival and fills in rows and notes.
type Program struct {
	Rival string
	// Version of the rival, as its registry names it.
	Version string
	// Rounds and Slice are the defaults of the flags. Choose them so that the
	// program takes less than 40 seconds.
	Rounds int
	Slice  time.Duration
	// Run measures. It checks that the rival's output opens to the record before
	// it times anything. A [MissingError] means that the rival cannot be had.
	Run func(ctx context.Context, d *Document, o ratio.Options) error
}

// A MissingError says in plain words why a rival cannot be had on this machine.
type MissingError struct{ Err error }

// Error returns the reason.
func (m MissingError) Error() string { return m.Err.Error() }

// Unwrap returns the reason.
func (m MissingError) Unwrap() error { return m.Err }

// Main runs the program and ends the process. The status is 0 when the rival
// was measured or cannot be had, and 1 when measuring failed. A goal that was
// missed is a figure like any other.
func Main(p Program) {
	rounds := flag.Int("rounds", p.Rounds, "rounds for each comparison")
	slice := flag.Duration("slice", p.Slice, "time of one function in one round")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := Execute(ctx, p, ratio.Options{Rounds: *rounds, Slice: *slice}, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Rival, err)
		os.Exit(1)
	}
}

// Execute runs the program with given options. JSON gets the document, table
// the same for a person.
func Execute(ctx context.Context, p Program, o ratio.Options, jsonTo, tableTo io.Writer) error {
	d := &Document{Rival: p.Rival, Version: p.Version, Machine: Here(), Rows: []Row{}, Notes: []string{}}
	if err := p.Run(ctx, d, o); err != nil {
		missing, ok := errors.AsType[MissingError](err)
		if !ok {
			return err
		}
		d.Skipped, d.Rows = missing.Error(), []Row{}
	}
	d.warn()
	if err := d.WriteTable(tableTo); err != nil {
		return err
	}
	return d.WriteJSON(jsonTo)
}
