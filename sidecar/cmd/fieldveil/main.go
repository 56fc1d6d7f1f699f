// Command fieldveil protects personal data in Kafka records.
//
// It exits with 0 when it did what it was told, with 1 when that failed, with 2
// when it was called in a way that it does not understand, and with 3 when it was
// asked to retire a KEK that is still needed. What was
// asked for goes to standard output, everything else to standard error. No
// message holds a key or a value of a record.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/fieldveil/fieldveil/fieldcrypt/hygiene"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/sidecar/bench"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

// The exit codes.
const (
	exitOK     = 0
	exitError  = 1
	exitUsage  = 2
	exitNeeded = 3
)

// A cli lists the commands; each has a file of its own.
type cli struct {
	Audit      auditCmd      `cmd:"" help:"Verify and show audit trails."`
	Await      awaitCmd      `cmd:"" help:"Wait until the sidecar is ready, then run a command."`
	Bench      benchCmd      `cmd:"" help:"Measure what protection costs, on workloads of its own or on your schema, policy and records."`
	Completion completionCmd `cmd:"" help:"Print what a shell needs to complete command lines."`
	Config     configCmd     `cmd:"" help:"Check the configuration of the sidecar, and print its defaults."`
	Demo       demoCmd       `cmd:"" help:"Show the sidecar at work, with a broker and a registry in this process."`
	Kek        kekCmd        `cmd:"" help:"Make and rotate key encryption keys (KEKs) in files, for development and tests."`
	Keys       keysCmd       `cmd:"" help:"Count, move and retire the keys of a running system."`
	Person     personCmd     `cmd:"" help:"Forget persons by destroying their keys, and look after the ledger of that."`
	Plan       planCmd       `cmd:"" help:"Show what a policy does to each field of a schema."`
	Policy     policyCmd     `cmd:"" help:"Check policy files."`
	Protect    protectCmd    `cmd:"" help:"Protect the records of a file."`
	Reveal     revealCmd     `cmd:"" help:"Reveal the records of a file that was protected."`
	Serve      serveCmd      `cmd:"" help:"Run the sidecar: take records by HTTP and gRPC, protect them, and send them to Kafka."`
	Tune       tuneCmd       `cmd:"" help:"Find the settings that give most records per second or least delay, and what a KMS costs."`
	Version    versionCmd    `cmd:"" help:"Print the version of this program."`
}

// A terminal is where a command reads, and writes: what it was asked for to out,
// all else to err.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	for _, gap := range hygiene.Harden() {
		// What a system does not have at all is in the documentation, not in every
		// run of a command.
		if !errors.Is(gap.Err, errors.ErrUnsupported) {
			_, _ = fmt.Fprintln(os.Stderr, "fieldveil:", gap)
		}
	}
	if scenario.IsPart() {
		// A measurement needs processes that share nothing with it.
		os.Exit(scenario.Play())
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run does what args say and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	helped := false
	parser, err := kong.New(&cli{},
		kong.Name("fieldveil"),
		kong.Description("Protects personal data in Kafka records before they leave the producer."),
		kong.Writers(stdout, stderr),
		kong.Vars{"bench_scenarios": strings.Join(bench.Scenarios(), ", ")},
		// Kong ends the process when it has shown help, and would cut short
		// whoever called run.
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return fail(stderr, err, exitError)
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		// What Parse says about the rest of the line does not matter any more.
		return exitOK
	case err != nil:
		code := fail(stderr, err, exitUsage)
		_, _ = fmt.Fprintln(stderr, `Run "fieldveil --help" to see how it is called.`)
		return code
	}
	if err := command.Run(&terminal{in: stdin, out: stdout, err: stderr}); err != nil {
		if _, ok := errors.AsType[*keyops.NeededError](err); ok {
			return fail(stderr, err, exitNeeded)
		}
		return fail(stderr, err, exitError)
	}
	return exitOK
}

// fail writes an error for the person at the terminal. Where even that fails,
// the exit code is all that is left.
func fail(stderr io.Writer, err error, code int) int {
	_, _ = fmt.Fprintln(stderr, "fieldveil:", err)
	return code
}
