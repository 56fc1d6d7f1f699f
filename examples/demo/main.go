// Command demo shows the main job end to end: customer records with tagged
// fields are produced protected, looked at as the broker holds them, and read
// back. It starts a broker in its own process unless it is given a cluster, and
// fails when anything that it claims does not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// options are what the command line says.
type options struct {
	brokers []string
	topic   string
	records int
	seed    uint64
	keep    bool
	out     io.Writer
	width   int  // of the terminal, in columns
	colour  bool // the output understands colours
	live    bool // the output is a terminal that can redraw a line
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o := options{out: out, width: 100}
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	brokers := fs.String("brokers", "", "bootstrap servers of a real cluster, `host:port,...`; without it the demo starts its own broker")
	fs.StringVar(&o.topic, "topic", "", "topic to use; default is a new one, which is deleted in the end")
	fs.IntVar(&o.records, "records", 10_000, "customer records to produce")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the customer generator")
	fs.BoolVar(&o.keep, "keep", false, "keep the topics on a real cluster")
	plain := fs.Bool("plain", false, "no colours and no progress bar, also on a terminal")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.records < 1 || o.records > 1_000_000 {
		return fmt.Errorf("--records %d is outside 1 to 1000000", o.records)
	}
	if *brokers != "" {
		o.brokers = strings.Split(*brokers, ",")
	}
	if f, ok := out.(*os.File); ok && !*plain && term.IsTerminal(int(f.Fd())) {
		o.live = true
		o.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.width = max(80, min(w, 160))
		}
	}
	return demo(ctx, o)
}
