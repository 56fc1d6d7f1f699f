package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
)

// A frame is a place in the program.
type frame struct {
	function string
	line     int
}

// maxFrames is how much of a stack the log shows.
const maxFrames = 24

// Recover catches a panic, counts it and writes a line with the type of what was
// thrown and the stack, and never with its value or the arguments of calls: both
// may be data. Then it calls after, which may be nil. It must be deferred itself:
//
//	defer telemetry.Recover(ctx, logger, observer, "rest", func() { w.WriteHeader(500) })
//
// Where is a word of the program. [http.ErrAbortHandler] goes on, as net/http
// wants it.
func Recover(ctx context.Context, logger *slog.Logger, o *Observer, where string, after func()) {
	v := recover() //nolint:revive // who calls this defers it
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // net/http compares in the same way
		panic(v) //nolint:forbidigo // it is how a handler of net/http breaks a connection off
	}
	o.Panicked(where)
	logger.LogAttrs(ctx, slog.LevelError, "a panic was caught",
		slog.String("where", where), slog.String("type", fmt.Sprintf("%T", v)), slog.Any("stack", frames(callers())))
	if after != nil {
		after()
	}
}

// callers returns the stack of the panic that is being caught, without the
// runtime's own frames at its begin.
func callers() []frame {
	var pcs [maxFrames + 8]uintptr
	it := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var out []frame
	for {
		f, more := it.Next()
		if f.Function != "" && (len(out) > 0 || !strings.HasPrefix(f.Function, "runtime.")) {
			out = append(out, frame{f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.Line})
		}
		if !more || len(out) == maxFrames {
			return out
		}
	}
}

// StackAttr returns the attribute "stack" of a stack that [runtime/debug.Stack] wrote:
// its functions and lines, without the arguments of calls.
func StackAttr(text []byte) slog.Attr {
	var out []frame
	for function := ""; len(text) > 0 && len(out) < maxFrames; {
		line, rest, _ := strings.Cut(string(text), "\n")
		text = []byte(rest)
		place, indented := strings.CutPrefix(line, "\t")
		if !indented {
			function = ""
			// The arguments stand in the last parentheses; the type of a method may
			// stand in others.
			if i := strings.LastIndexByte(line, '('); i > 0 && !strings.HasPrefix(line, "created by ") {
				function = line[strings.LastIndexByte(line[:i], '/')+1 : i]
			}
			continue
		}
		if function == "" || len(out) == 0 && ours(function) {
			continue
		}
		place, _, _ = strings.Cut(place, " ")
		n, err := strconv.Atoi(place[strings.LastIndexByte(place, ':')+1:])
		if err != nil {
			continue
		}
		out = append(out, frame{function, n})
	}
	return slog.Any("stack", frames(out))
}

// ours tells whether a function is one of those that catch a panic.
func ours(function string) bool {
	return function == "panic" || strings.HasPrefix(function, "debug.") || strings.HasPrefix(function, "runtime.")
}
