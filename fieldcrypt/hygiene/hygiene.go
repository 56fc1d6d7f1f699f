// Package hygiene keeps what a process holds in memory, data keys and values in
// clear, from being written down when the process crashes or is looked at.
//
// It is for programs: nothing in this module calls it but their main functions,
// because limits of a process are not a library's to change. A program that
// imports the library calls [Harden] first of all.
//
// It promises that after Harden, as far as the operating system has the means
// and no [Gap] says otherwise,
//
//   - the kernel writes no core dump of the process, nor of its children;
//   - nobody but root attaches to it as a debugger, reads its memory through
//     /proc, or has its memory read by a crash reporter;
//   - a panic that nobody recovers prints the stack of its own goroutine alone.
//
// It does not promise that memory is never written to swap, that root cannot
// read it, or that it is wiped. A process that gets SIGQUIT prints the stacks of
// all goroutines, with words of their arguments, whatever was asked for: a
// program that must not do so takes the signal itself, with [os/signal].
package hygiene

import (
	"errors"
	"os"
	"runtime/debug"
)

// A Measure is one thing that [Harden] does. Its text is for logs, and stable.
type Measure string

// The measures.
const (
	// CoreDumps sets the limit on the size of core dumps to 0, the hard one too,
	// so that it cannot be raised again without privileges.
	CoreDumps Measure = "core dumps off"
	// Undumpable marks the process so that it is neither dumped nor attached to,
	// and gives its files under /proc to root. What a program that is not root
	// reads about itself there then fails, such as the number of its open files.
	Undumpable Measure = "process not dumpable"
	// Tracebacks limits what a crash prints to one goroutine.
	Tracebacks Measure = "tracebacks of one goroutine"
)

// A Gap is a measure that could not be taken, or that another setting defeats.
type Gap struct {
	Measure Measure
	// Err is the reason, never nil. It wraps [errors.ErrUnsupported] where the operating
	// system has no such thing.
	Err error
}

// String returns one line for a log.
func (g Gap) String() string {
	return "process hygiene: " + string(g.Measure) + ": " + g.Err.Error()
}

// Harden takes all measures, for the rest of the life of the process, and
// returns those that it could not take, nil when there are none. It is safe to
// call more than once, by any number of goroutines. What to do about a gap is the
// program's to decide: most log it, and a program that must not run without
// refuses to start.
//
// On Linux there is no gap unless GOTRACEBACK in the environment asks for more
// than one goroutine, which nothing in the process can take back. Other Unix
// systems have the limit on core dumps; Windows has none of it.
func Harden() []Gap {
	var gaps []Gap
	for _, m := range []struct {
		measure Measure
		take    func() error
	}{
		{CoreDumps, noCoreDumps}, {Undumpable, undumpable}, {Tracebacks, func() error { return oneGoroutine(os.Getenv("GOTRACEBACK")) }},
	} {
		if err := m.take(); err != nil {
			gaps = append(gaps, Gap{Measure: m.measure, Err: err})
		}
	}
	return gaps
}

// oneGoroutine takes back what the program itself may have asked for with
// debug.SetTraceback. The runtime never goes below the environment that the
// process was started with, and "none" is below everything.
func oneGoroutine(environment string) error {
	debug.SetTraceback("none")
	switch environment {
	case "", "none", "0", "single":
		return nil
	default:
		// The text is not quoted: an environment may hold anything.
		return errors.New("GOTRACEBACK in the environment asks for more: set it to single or none")
	}
}
