package scenario

import (
	"bytes"
	"fmt"
	"io"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// The parts of the time of a record.
const (
	partCipher      = "cipher"
	partEncoding    = "encoding"
	partWalk        = "walk"
	partCompression = "compression"
	partTransport   = "transport"
	partRuntime     = "runtime"
	partOther       = "other"
	partWaiting     = "waiting"
)

// A mark gives functions whose names begin with one of the texts to a part.
type mark struct {
	part  string
	texts []string
}

// marks are asked in this order, from the innermost function outwards, and the
// first function that one of them knows decides: a seal inside of the walk is
// cipher, what the garbage collector does on behalf of the walk is runtime.
func marks() []mark {
	const root = "github.com/fieldveil/fieldveil/"
	return []mark{
		{partRuntime, []string{
			"runtime.gc", "runtime.mallocgc", "runtime.newobject", "runtime.makeslice", "runtime.growslice", "runtime.mcall", "runtime.schedule",
			"runtime.findRunnable", "runtime.park_m", "runtime.bgsweep", "runtime.bgscavenge", "runtime.sysmon", "runtime.systemstack", "runtime.morestack",
			"runtime.goready", "runtime.gopark", "runtime.chan", "runtime.selectgo", "runtime.memclrNoHeapPointers",
		}},
		{partCipher, []string{
			"crypto/", root + "internal/aead", root + "internal/siv", root + "internal/ff1", root + "fieldcrypt/datakey", root + "tokenize",
		}},
		{partEncoding, []string{"encoding/", root + "internal/envelope", "google.golang.org/protobuf", "github.com/go-json-experiment", root + "sidecar/serde", root + "mask"}},
		{partCompression, []string{"github.com/klauspost/compress", "github.com/pierrec/lz4", "compress/", "hash/crc32"}},
		{partTransport, []string{
			"github.com/twmb/franz-go", "google.golang.org/grpc", "golang.org/x/net", "net.", "net/", "internal/poll", "syscall.", "internal/runtime/syscall", "bufio.",
			root + "sidecar/rpc", root + "sidecar/rest", root + "sidecar/produce", root + "sidecar/serve",
		}},
		{partWalk, []string{root + "schema", root + "fieldcrypt", root + "sidecar/engine", "unicode/utf8"}},
	}
}

// partOf returns the part that a stack belongs to. Stacks begin with the innermost
// function.
func partOf(stack []string) string {
	all := marks()
	for _, name := range stack {
		for _, m := range all {
			if slices.ContainsFunc(m.texts, func(t string) bool { return strings.HasPrefix(name, t) }) {
				return m.part
			}
		}
	}
	return partOther
}

// splitOf profiles work of this process and says where its CPU time went. The work
// returns how many records it did.
func splitOf(work func() int) ([]report.Share, error) {
	var buf bytes.Buffer
	if err := pprof.StartCPUProfile(&buf); err != nil {
		return nil, fmt.Errorf("scenario: a profile runs already: %w", err)
	}
	n := work()
	pprof.StopCPUProfile()
	times, err := timesOf(&buf)
	if err != nil {
		return nil, err
	}
	return shares(times, n), nil
}

// timesOf returns the nanoseconds of each part of a CPU profile.
func timesOf(r io.Reader) (map[string]float64, error) {
	p, err := profile.Parse(r)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	out := make(map[string]float64)
	for _, s := range p.Sample {
		var stack []string
		for _, l := range s.Location {
			for _, line := range l.Line {
				if line.Function != nil {
					stack = append(stack, line.Function.Name)
				}
			}
		}
		if len(s.Value) > 1 {
			out[partOf(stack)] += float64(s.Value[1]) // CPU time in nanoseconds
		}
	}
	return out, nil
}

// partsInOrder are the parts as a report has them.
func partsInOrder() []string {
	return []string{partWalk, partCipher, partEncoding, partCompression, partTransport, partRuntime, partOther, partWaiting}
}

// shares makes shares of nanoseconds over n records.
func shares(times map[string]float64, n int) []report.Share {
	total := 0.0
	for _, t := range times {
		total += t
	}
	if total == 0 || n == 0 {
		return nil
	}
	var out []report.Share
	for _, name := range partsInOrder() {
		if t := times[name]; t > 0 {
			out = append(out, report.Share{Name: name, Fraction: t / total, Ns: t / float64(n)})
		}
	}
	return out
}
