package tune

import (
	"fmt"
	"strings"
	"time"
)

// SidecarYAML returns what to write into the configuration of the sidecar, whose
// own defaults it leaves out. It is empty when there is nothing to write, and is to
// be merged by key with what is there.
//
// A sidecar has one client for all of its callers, so the room that
// limits.in_flight_records needs is that of all who call it at a time.
func (s Settings) SidecarYAML() string {
	d := Defaults()
	var props, limits strings.Builder
	prop := func(differs bool, name, value string) {
		if differs {
			_, _ = fmt.Fprintf(&props, "    %s: %q\n", name, value)
		}
	}
	prop(s.Linger != d.Linger, "linger.ms", fmt.Sprintf("%g", float64(s.Linger)/float64(time.Millisecond)))
	prop(s.Compression != "" && s.Compression != d.Compression, "compression.type", s.Compression)
	prop(s.BatchBytes != 0 && s.BatchBytes != d.BatchBytes, "message.max.bytes", fmt.Sprint(s.BatchBytes))
	prop(s.MaxBuffered != 0 && s.MaxBuffered != d.MaxBuffered, "queue.buffering.max.messages", fmt.Sprint(s.MaxBuffered))
	if need := s.Concurrency * s.BatchRecords; need > inFlightDefault {
		_, _ = fmt.Fprintf(&limits, "  in_flight_records: %d\n", need+need/4)
	}
	var out strings.Builder
	if props.Len() > 0 {
		out.WriteString("kafka:\n  properties:\n" + props.String())
	}
	if limits.Len() > 0 {
		out.WriteString("limits:\n" + limits.String())
	}
	return out.String()
}

// inFlightDefault is what limits.in_flight_records of the sidecar is by default.
const inFlightDefault = 50_000

// SidecarCallers says in a sentence how the sidecar has to be called.
func (s Settings) SidecarCallers() string {
	return fmt.Sprintf("Callers: %s at a time, %s each.", plural(s.Concurrency, "request"), plural(s.BatchRecords, "record"))
}

// GoOptions returns the options of a kgo client, one in a line. It has all that is
// set, because the client's own defaults are others than the sidecar's.
func (s Settings) GoOptions() string {
	var out strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&out, format+"\n", args...) }
	line("kgo.ProducerLinger(%s),", goDuration(s.Linger))
	if codec, ok := map[string]string{
		"none": "NoCompression", "gzip": "GzipCompression", "snappy": "SnappyCompression",
		"lz4": "Lz4Compression", "zstd": "ZstdCompression",
	}[s.Compression]; ok {
		line("kgo.ProducerBatchCompression(kgo.%s()),", codec)
	}
	if s.BatchBytes != 0 {
		line("kgo.ProducerBatchMaxBytes(%d),", s.BatchBytes)
	}
	if s.MaxBuffered != 0 {
		line("kgo.MaxBufferedRecords(%d),", s.MaxBuffered)
	}
	return out.String()
}

// GoCallers says in a sentence how a kgocrypt.Producer on such a client has to be
// called.
func (s Settings) GoCallers() string {
	return fmt.Sprintf("Callers: %s; each hands %s to Produce, then waits for them.",
		plural(s.Concurrency, "goroutine"), plural(s.BatchRecords, "record"))
}

func goDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%d*time.Millisecond", d/time.Millisecond)
	default:
		return fmt.Sprintf("%d*time.Microsecond", d/time.Microsecond)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
