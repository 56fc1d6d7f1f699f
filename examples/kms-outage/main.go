// Command kms-outage takes a key management service away from a producer under
// load, and shows second by second what that does: the service becomes slow,
// throttles, goes down until the data key has reached its hard limit, comes back,
// and at last disables the key. It fails when something does not hold that
// docs/operations.md says about these cases.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/hygiene"
)

// errUsage stands for what the flag package has said already.
var errUsage = errors.New("wrong usage")

func main() {
	hygiene.Harden()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\nkms-outage: interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "\nkms-outage:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	workers int
	rate    int // records a second of each worker
}

const help = `Usage: kms-outage [flags]

Protects records in this process while its KMS, in this process too, becomes
slow, throttles, goes down, comes back and disables the key. With limits of
seconds in place of minutes the whole takes about 40 seconds. Exit status 1
means that something did not hold.

Flags:
`

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("kms-outage", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.Usage = func() {
		_, _ = io.WriteString(usage, help)
		fs.PrintDefaults()
	}
	fs.IntVar(&o.workers, "workers", 4, "`goroutines` that protect records")
	fs.IntVar(&o.rate, "rate", 250, "`records` a second of each of them")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, errUsage
	}
	if fs.NArg() > 0 || o.workers < 1 || o.rate < 1 || o.rate > 1000 {
		_, _ = fmt.Fprintln(usage, "kms-outage: want no arguments, one goroutine at least, and 1 to 1,000 records a second")
		return o, errUsage
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, usage io.Writer) error {
	o, err := parse(args, usage)
	if err != nil {
		return err
	}
	p, err := newProducer(o)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.warm(ctx); err != nil {
		return err
	}
	s := &show{out: out, producer: p}
	s.header()
	for _, phase := range phases() {
		if err := s.play(ctx, phase); err != nil {
			return err
		}
	}
	return s.verdict()
}

// Limits of the data key, in seconds where a real policy has minutes.
const (
	refresh = 3 * time.Second
	expire  = 15 * time.Second
)
