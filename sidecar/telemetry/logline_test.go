package telemetry

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// bothWays writes a line directly, where that is possible, and by package slog.
func bothWays(t testing.TB, l Line) (direct, slog string, removed [2]float64) {
	t.Helper()
	var out [2]string
	for i := range out {
		var buf bytes.Buffer
		o := NewObserver(Options{})
		logger, err := NewLogger(&buf, DefaultConfig().Log, WithObserver(o))
		if err != nil {
			t.Fatal(err)
		}
		if r := NewRequests(logger, DefaultConfig().Log); i == 0 {
			r.Log(t.Context(), l)
		} else {
			r.bySlog(t.Context(), &l)
		}
		out[i] = buf.String()
		removed[i] = testutil.ToFloat64(o.logHidden)
	}
	return out[0], out[1], removed
}

var timeOfLine = regexp.MustCompile(`^{"time":"([^"]*)"`)

func sameLine(t testing.TB, l Line) {
	t.Helper()
	direct, slog, removed := bothWays(t, l)
	for _, s := range []string{direct, slog} {
		if at, err := time.Parse(time.RFC3339Nano, timeOfLine.FindStringSubmatch(s)[1]); err != nil || at.Location() != time.UTC {
			t.Errorf("the time of %s: %v", s, err)
		}
	}
	if a, b := timeOfLine.ReplaceAllString(direct, ""), timeOfLine.ReplaceAllString(slog, ""); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if removed[0] != removed[1] {
		t.Errorf("%v attributes removed", removed)
	}
}

func TestALineOfARequestIsTheOneOfPackageSlog(t *testing.T) {
	full := Line{
		Request: "r-1", Trace: "0af7651916cd43dd8448eb211c80319c", Protocol: "raw", Route: "POST /topics/{topic}/raw", Topic: "orders",
		Principal: "shop", Decision: "allowed", Policy: "p-7", Code: "value_rejected", Status: 422, Records: 100, Failed: 1,
		Unknown: 1, InBytes: 62600, OutBytes: 90000, Took: 1234567 * time.Nanosecond,
	}
	change := func(f func(*Line)) Line {
		l := full
		f(&l)
		return l
	}
	for name, l := range map[string]Line{
		"full":                       full,
		"empty":                      {},
		"a value where a name is":    change(func(l *Line) { l.Principal = "ann@example.test, 4111 1111 1111 1111" }),
		"a topic that is none":       change(func(l *Line) { l.Topic = "a\"b\\c\n" }),
		"a very long name":           change(func(l *Line) { l.Policy = strings.Repeat("p", 1000) }),
		"a name in another script":   change(func(l *Line) { l.Principal = "köln" }),
		"negative numbers":           change(func(l *Line) { l.InBytes, l.Status = -1, -5 }),
		"no time at all":             change(func(l *Line) { l.Took = 0 }),
		"less than a microsecond":    change(func(l *Line) { l.Took = 5 }),
		"a microsecond":              change(func(l *Line) { l.Took = time.Microsecond }),
		"a whole second":             change(func(l *Line) { l.Took = time.Second }),
		"more than a day":            change(func(l *Line) { l.Took = 50 * time.Hour }),
		"a time before the request":  change(func(l *Line) { l.Took = -time.Second }),
		"a time with many decimals":  change(func(l *Line) { l.Took = 123456789 }),
		"a route of a call over RPC": change(func(l *Line) { l.Route = "/fieldveil.v1.ProduceService/Produce" }),
	} {
		t.Run(name, func(t *testing.T) { sameLine(t, l) })
	}
}

func FuzzALineOfARequestIsTheOneOfPackageSlog(f *testing.F) {
	f.Add("raw", "orders", "shop", "", 200, int64(time.Millisecond))
	f.Add("", "a\"b", "\x00\xff", "<&>", -1, int64(0))
	f.Fuzz(func(t *testing.T, protocol, topic, principal, code string, n int, took int64) {
		sameLine(t, Line{Protocol: protocol, Topic: topic, Principal: principal, Code: code, Records: n, Took: time.Duration(took)})
	})
}

func TestALoggerWithAttributesOfItsOwnKeepsThem(t *testing.T) {
	logger, buf := logTo(t, DefaultConfig().Log)
	NewRequests(logger.With("component", "rest"), DefaultConfig().Log).Log(t.Context(), Line{Status: 200, Took: time.Second})
	if got := one(t, buf); got["component"] != "rest" || got["status"] != 200.0 {
		t.Errorf("%v", got)
	}
}

func TestALineAsTextIsWrittenByPackageSlog(t *testing.T) {
	c := DefaultConfig().Log
	c.Format = "text"
	logger, buf := logTo(t, c)
	NewRequests(logger, c).Log(t.Context(), Line{Status: 200, Took: time.Second})
	if got := buf.String(); !strings.Contains(got, "msg=request status=200") {
		t.Errorf("%s", got)
	}
}

func BenchmarkRequestLine(b *testing.B) {
	logger, err := NewLogger(nowhere{}, DefaultConfig().Log)
	if err != nil {
		b.Fatal(err)
	}
	r := NewRequests(logger, DefaultConfig().Log)
	l := Line{Protocol: "raw", Route: "POST /topics/{topic}/raw", Topic: "orders", Decision: "allowed", Status: 200, Records: 1, InBytes: 631, OutBytes: 120, Took: 1234567}
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Log(b.Context(), l)
		}
	})
	b.Run("slog", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.bySlog(b.Context(), &l)
		}
	})
}

type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
