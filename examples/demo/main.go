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
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/fieldveil/fieldveil/fieldcrypt/hygiene"
)

// options are what the command line says.
type options struct {
	brokers []string
	topic   string
	format  string
	actions string // "all" for the catalogue instead of the main job
	records int
	seed    uint64
	keep    bool
	out     io.Writer
	width   int  // of the terminal, in columns
	colour  bool // the output understands colours
	live    bool // the output is a terminal that can redraw a line
}

// errUsage stands for what the flag package has said already.
var errUsage = errors.New("wrong usage")

func main() {
	hygiene.Harden()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to clean up and end. Then signals do what they
	// always do, so that a second one ends a cleaning that hangs.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted")
		if errors.Is(err, errLeft) {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, usage io.Writer) error {
	o, err := parse(args, out, usage)
	if err != nil {
		return err
	}
	if o.actions != "" {
		return showCatalogue(ctx, o)
	}
	return demo(ctx, o)
}

func parse(args []string, out, usage io.Writer) (options, error) {
	o := options{out: out, width: 100}
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(usage)
	brokers := fs.String("brokers", "", "bootstrap servers of a real cluster, `host:port,...`; without it the demo starts its own broker")
	fs.StringVar(&o.topic, "topic", "", "`name` of the topic to make, deleted in the end; default customers.v1, with a suffix on a real cluster")
	fs.StringVar(&o.format, "format", "avro", "format of the records, one of "+strings.Join(formatNames(), ", "))
	fs.StringVar(&o.actions, "actions", "", "`all` shows every action on one value each, and nothing else")
	fs.IntVar(&o.records, "records", 10_000, "customer records to produce")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the customer generator")
	fs.BoolVar(&o.keep, "keep", false, "keep the topics on a real cluster")
	noColour := fs.Bool("no-color", false, "no colours; so does the environment variable NO_COLOR")
	plain := fs.Bool("plain", false, "no colours and no progress bar, also on a terminal")
	if err := fs.Parse(args); err != nil {
		return o, errors.Join(errUsage, err)
	}
	refuse := func(format string, a ...any) (options, error) {
		_, _ = fmt.Fprintf(usage, "demo: "+format+"\n", a...)
		return o, errUsage
	}
	if fs.NArg() > 0 {
		return refuse("unexpected argument %q", fs.Arg(0))
	}
	if !slices.Contains(formatNames(), o.format) {
		return refuse("--format %q is none of %s", o.format, strings.Join(formatNames(), ", "))
	}
	if o.actions != "" && o.actions != "all" {
		return refuse("--actions %q is not all", o.actions)
	}
	if o.records < 1 || o.records > 1_000_000 {
		return refuse("--records %d is outside 1 to 1000000", o.records)
	}
	for s := range strings.SplitSeq(*brokers, ",") {
		if s = strings.TrimSpace(s); s != "" {
			o.brokers = append(o.brokers, s)
		}
	}
	if *brokers != "" && len(o.brokers) == 0 {
		return refuse("--brokers names no broker")
	}
	if f, ok := out.(*os.File); ok && !*plain && term.IsTerminal(int(f.Fd())) {
		o.live = true
		o.colour = !*noColour && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.width = max(80, min(w, 160))
		}
	}
	return o, nil
}
