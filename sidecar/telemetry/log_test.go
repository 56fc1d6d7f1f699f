package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// logTo returns a logger that writes JSON to a buffer.
func logTo(t *testing.T, c LogConfig, opts ...LogOption) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var buf bytes.Buffer
	logger, err := NewLogger(&buf, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return logger, &buf
}

// lines reads what was logged.
func lines(t *testing.T, buf *bytes.Buffer) []map[string]any {
	t.Helper()
	var out []map[string]any
	for d := json.NewDecoder(buf); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

func one(t *testing.T, buf *bytes.Buffer) map[string]any {
	t.Helper()
	all := lines(t, buf)
	if len(all) != 1 {
		t.Fatalf("%d lines: %v", len(all), all)
	}
	return all[0]
}

func TestTheLogShowsWhatIsAllowed(t *testing.T) {
	logger, buf := logTo(t, DefaultConfig().Log)
	logger.With("component", "rest").WithGroup("g").Info("started",
		"address", "[::1]:8082", "listener", ":8084", "version", "v1.2.3+dirty", "principal", "spiffe://example.org/orders", "records", 3, "took", 1500*time.Millisecond, "ok", true,
		slog.Group("x", "topic", "orders", "password", "a"), "until", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		"trigger", "watch", "config", "6955ef3db782b941", "finding", fieldcrypt.Finding{Code: "rule-removed", Severity: fieldcrypt.SeverityError, Text: "the tag PII has no rule"},
		"value", "b", "bytes", "c", "file", "/etc/fieldveil/config.yaml", "route", "POST /topics/{topic}")
	line := one(t, buf)
	for key, want := range map[string]any{
		"msg": "started", "level": "INFO", "component": "rest", "address": "[::1]:8082", "listener": ":8084", "version": "v1.2.3+dirty", "principal": "spiffe://example.org/orders", "records": 3.0, "took": 1.5, "ok": true,
		"trigger": "watch", "config": "6955ef3db782b941", "finding": "error [rule-removed]: the tag PII has no rule",
		"topic": "orders", "password": removed, "value": removed, "bytes": removed, "until": "2026-01-02T03:04:05Z",
		"file": "/etc/fieldveil/config.yaml", "route": "POST /topics/{topic}",
	} {
		if line[key] != want {
			t.Errorf("%s: %v, not %v", key, line[key], want)
		}
	}
}

func TestTextIsALineWithoutControlCharacters(t *testing.T) {
	logger, buf := logTo(t, LogConfig{Level: "info", Format: "text"})
	logger.Info("a\nb\x1b[31m\u202e"+strings.Repeat("é", maxText), "topic", "a\nb", "records", 1) //nolint:sloglint // a message that is wrong
	text := buf.String()
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "a?b?[31m?") {
		t.Errorf("%q", text)
	}
	if len(text) > maxText+200 || !strings.Contains(text, "topic="+removed) || !strings.Contains(text, "records=1") {
		t.Errorf("%q", text)
	}
}

func TestTheLevelIsKept(t *testing.T) {
	logger, buf := logTo(t, LogConfig{Level: "warn", Format: "json"})
	logger.Info("no")
	logger.Warn("yes")
	if one(t, buf)["msg"] != "yes" {
		t.Error("the wrong line")
	}
}

func TestEqualErrorsAreWrittenInBurstsAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewObserver(Options{})
		logger, buf := logTo(t, LogConfig{Level: "info", Format: "json", Burst: 2}, WithObserver(o))
		for range 5 {
			logger.Error("broker away", "code", "kafka_unavailable")
		}
		logger.With("code", "kafka_denied").Error("broker away")
		logger.Info("not limited")
		if n := len(lines(t, buf)); n != 4 {
			t.Errorf("%d lines", n)
		}
		timer := time.NewTimer(time.Second)
		<-timer.C
		logger.Error("broker away", "code", "kafka_unavailable")
		if line := one(t, buf); line["suppressed"] != 3.0 {
			t.Errorf("%v", line)
		}
		wantLines(t, scrape(t, o), `fieldveil_log_lines_suppressed_total 3`, `fieldveil_log_lines_total{level="error"} 4`,
			`fieldveil_log_lines_total{level="info"} 1`)
	})
}

func TestTheLimitDoesNotGrowWithMessages(t *testing.T) {
	logger, buf := logTo(t, LogConfig{Level: "info", Format: "json", Burst: 1})
	h, ok := logger.Handler().(*handler)
	if !ok {
		t.Fatal("another handler")
	}
	for i := range 10 * maxWindows {
		logger.Error(fmt.Sprint("message ", i)) //nolint:sloglint // messages that change are what is tested
	}
	if len(h.core.seen) > maxWindows {
		t.Errorf("%d windows", len(h.core.seen))
	}
	if n := len(lines(t, buf)); n != 10*maxWindows {
		t.Errorf("%d lines", n)
	}
}

type quoting struct{ err error }

func (q quoting) Error() string { return "got 4111 1111 1111 1111: " + q.err.Error() }
func (q quoting) Unwrap() error { return q.err }

func TestOfAStrangersErrorTheLogShowsTypeAndFixedText(t *testing.T) {
	for want, err := range map[string]error{
		"syscall.Errno: connection refused":                        &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"*kerr.Error: NOT_LEADER_FOR_PARTITION":                    quoting{kerr.NotLeaderForPartition},
		"*errors.errorString":                                      quoting{errors.New("secret")},
		"*errors.errorString: context canceled":                    quoting{context.Canceled},
		"context.deadlineExceededError: context deadline exceeded": quoting{context.DeadlineExceeded},
		"*net.DNSError: no such host":                              &net.DNSError{Name: "secret", IsNotFound: true},
		"fieldcrypt: protect topic \"orders\" encrypt /email (tag PII): key_unavailable: connection refused": &fieldcrypt.Error{
			Op: "protect", Topic: "orders", Path: "/email", Tag: "PII", Action: "encrypt", Code: fieldcrypt.CodeKeyUnavailable, Err: quoting{syscall.ECONNREFUSED},
		},
		"fieldcrypt: warm: key_unusable: access to the KEK denied": &fieldcrypt.Error{
			Op: "warm", Code: fieldcrypt.CodeKeyUnusable, Err: quoting{kms.ErrDenied},
		},
		"fieldcrypt: protect: topic_ungoverned": quoting{&fieldcrypt.Error{Op: "protect", Topic: "ann smith", Code: fieldcrypt.CodeUngoverned, Err: errors.New("secret")}},
	} {
		if got := ErrorText(err); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	logger, buf := logTo(t, DefaultConfig().Log, WithSafeErrors(func(err error) (string, bool) {
		var q quoting
		return "safe", errors.As(err, &q)
	}))
	logger.Error("x", "error", quoting{io.EOF})
	if line := one(t, buf); line["error"] != "safe" {
		t.Errorf("%v", line)
	}
}

func explode(values []string, i int) string { return values[i] }

func TestAPanicIsLoggedWithoutItsValue(t *testing.T) {
	o := NewObserver(Options{})
	logger, buf := logTo(t, DefaultConfig().Log, WithObserver(o))
	var after int
	func() {
		defer Recover(t.Context(), logger, o, "rest", func() { after++ })
		panic("ann@example.test")
	}()
	line := one(t, buf)
	if line["type"] != "string" || line["where"] != "rest" || after != 1 {
		t.Errorf("%v, %d", line, after)
	}
	if text := fmt.Sprint(line); strings.Contains(text, "ann@") || !strings.Contains(text, "TestAPanicIsLoggedWithoutItsValue") {
		t.Errorf("%v", line)
	}
	func() {
		defer Recover(t.Context(), logger, o, "rest", nil)
		explode([]string{"ann"}, 7)
	}()
	line = one(t, buf)
	// The compiler may inline the function, and its frame stays.
	if s, _ := line["stack"].(string); !strings.Contains(s, "telemetry.explode:") || strings.HasPrefix(s, "runtime.") {
		t.Errorf("%v", line)
	}
	if line["type"] != fmt.Sprintf("%T", boundsError()) {
		t.Errorf("%v", line["type"])
	}
	wantLines(t, scrape(t, o), `fieldveil_panics_total{where="rest"} 2`)
	func() {
		defer Recover(t.Context(), logger, o, "rest", func() { t.Error("called without a panic") })
	}()
}

func TestFindingsAndListsOfErrorsAreShownInOneLine(t *testing.T) {
	logger, buf := logTo(t, DefaultConfig().Log, WithSafeErrors(func(err error) (string, bool) { return err.Error(), true }))
	finding := fieldcrypt.Finding{Code: "mask-off", Severity: fieldcrypt.SeverityError, Line: 7, Path: "/mail", Text: "was masked"}
	logger.Warn("x", "finding", finding, "error", errors.New("a.yaml:1: one\na.yaml:2: two"), "config", "00ff", "trigger", "watch", "change", "ab12")
	line := one(t, buf)
	for key, want := range map[string]string{
		"finding": finding.String(), "error": "a.yaml:1: one; a.yaml:2: two", "config": "00ff", "trigger": "watch", "change": "ab12",
	} {
		if line[key] != want {
			t.Errorf("%s: %v", key, line[key])
		}
	}
	logger.Warn("x", "finding", SafeText("kafka: "+strings.Repeat("é", maxLong)))
	if s, _ := one(t, buf)["finding"].(string); len(s) > maxLong+4 || len(s) < maxLong-4 || !strings.HasPrefix(s, "kafka: é") {
		t.Errorf("%d bytes", len(s))
	}
	logger.Warn("x", "finding", "a plain text", "error", "a plain text")
	if line := one(t, buf); line["finding"] != removed || line["error"] != removed {
		t.Errorf("%v", line)
	}
}

func TestAWrittenStackIsShownWithoutArguments(t *testing.T) {
	logger, buf := logTo(t, DefaultConfig().Log)
	func() {
		defer func() {
			_ = recover()
			logger.Error("x", StackAttr(debug.Stack()))
		}()
		explode([]string{"ann"}, 7)
	}()
	s, _ := one(t, buf)["stack"].(string)
	if !strings.Contains(s, "telemetry.explode:") || !strings.Contains(s, "testing.tRunner:") || strings.ContainsAny(s, "({ \t") && strings.Contains(s, "0x") {
		t.Errorf("%s", s)
	}
	logger.Error("x", StackAttr([]byte("no stack at all\n\tx\n(\n\t:9\n")))
	if line := one(t, buf); line["stack"] != nil {
		t.Errorf("%v", line)
	}
}

func boundsError() (err runtime.Error) {
	defer func() { err, _ = recover().(runtime.Error) }()
	_ = explode(nil, 0)
	return nil
}

func TestTheAbortOfAHandlerGoesOn(t *testing.T) {
	logger, buf := logTo(t, DefaultConfig().Log)
	defer func() {
		if v := recover(); v != any(http.ErrAbortHandler) || buf.Len() != 0 {
			t.Errorf("%v, %s", v, buf)
		}
	}()
	defer Recover(t.Context(), logger, nil, "rest", nil)
	panic(http.ErrAbortHandler)
}

func TestRequestsGetALineAsConfigured(t *testing.T) {
	good := Line{Request: "r-1", Protocol: "v3", Route: "POST /v3/x", Topic: "orders", Policy: "p-7", Status: 200, Records: 2, InBytes: 10, Took: time.Second}
	failed := good
	failed.Failed, failed.Code = 1, "value_rejected"
	for requests, want := range map[string]int{"all": 2, "errors": 1, "none": 0} {
		c := DefaultConfig().Log
		c.Requests = requests
		logger, buf := logTo(t, c)
		r := NewRequests(logger, c)
		r.Log(t.Context(), good)
		r.Log(t.Context(), failed)
		all := lines(t, buf)
		if len(all) != want {
			t.Errorf("%s: %d lines", requests, len(all))
		}
		if want > 0 {
			last := all[len(all)-1]
			if last["code"] != "value_rejected" || last["failed"] != 1.0 || last["topic"] != "orders" || last["policy"] != "p-7" {
				t.Errorf("%v", last)
			}
			if _, there := last["principal"]; there {
				t.Errorf("an empty attribute: %v", last)
			}
		}
	}
}

// A client that opens calls and takes them back pays nothing for them, and would
// write a line with each.
func TestRequestsThatGotNowhereDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewObserver(Options{})
		c := DefaultConfig().Log
		logger, buf := logTo(t, c, WithObserver(o))
		r := NewRequests(logger, c)
		canceled := Line{Route: "/a", Status: 499, Code: "canceled"}
		for range 250 {
			r.Log(t.Context(), canceled)
		}
		if n := len(lines(t, buf)); n != 100 {
			t.Errorf("%d lines in a second", n)
		}
		buf.Reset()
		for range 150 { // what is wrong with records has its lines, and so has what is well
			r.Log(t.Context(), Line{Route: "/a", Status: 422, Code: "value_rejected", Records: 1, Failed: 1})
			r.Log(t.Context(), Line{Route: "/a", Status: 200})
		}
		r.Log(t.Context(), Line{Route: "/a", Status: 401, Code: "unauthenticated"})
		if n := len(lines(t, buf)); n != 301 {
			t.Errorf("%d lines of others", n)
		}
		buf.Reset()
		<-time.After(time.Second) // of the bubble
		r.Log(t.Context(), canceled)
		if line := one(t, buf); line["suppressed"] != 150.0 {
			t.Errorf("%v", line)
		}
		c.Burst = 0
		r = NewRequests(logger, c)
		buf.Reset()
		for range 250 {
			r.Log(t.Context(), canceled)
		}
		if n := len(lines(t, buf)); n != 250 {
			t.Errorf("%d lines without a limit", n)
		}
	})
}

func TestOfALibrarysMessageTheLogKeepsItsKind(t *testing.T) {
	logger, buf := logTo(t, DefaultConfig().Log)
	std := slog.NewLogLogger(Foreign(logger.Handler(), "rest"), slog.LevelWarn)
	std.Printf("http: panic serving 127.0.0.1:1: ann@example.test\ngoroutine 1 [running]")
	std.Printf("something about ann@example.test")
	all := lines(t, buf)
	if len(all) != 2 || all[0]["kind"] != "panic" || all[1]["kind"] != other || all[0]["component"] != "rest" || strings.Contains(fmt.Sprint(all), "ann") {
		t.Errorf("%v", all)
	}
}

func TestAConfigurationIsValidated(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.Traces.OTLPEndpoint = "https://collector:4318"
	c.Traces.Headers = map[string]secret.Secret{"Authorization": secret.Env("TOKEN")}
	c.Metrics.Topics = []string{"orders", "customers.v1"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"log.level":           func(c *Config) { c.Log.Level = "loud" },
		"log.format":          func(c *Config) { c.Log.Format = "xml" },
		"log.requests":        func(c *Config) { c.Log.Requests = "" },
		"log.burst":           func(c *Config) { c.Log.Burst = -1 },
		"metrics.topics:":     func(c *Config) { c.Metrics.Topics = make([]string, MaxTopics+1) },
		"metrics.topics[1]":   func(c *Config) { c.Metrics.Topics = []string{"a", "hunter2 "} },
		"traces.sample_ratio": func(c *Config) { c.Traces.SampleRatio = 1.5 },
		"traces.headers.Authorization: is not set": func(c *Config) { c.Traces.Headers = map[string]secret.Secret{"Authorization": {}} },
		"traces.headers: a name":                   func(c *Config) { c.Traces.Headers = map[string]secret.Secret{"hunter2 ": secret.Value("a")} },
		"traces.headers: there is no":              func(c *Config) { c.Traces.OTLPEndpoint = "" },
		"use https":                                func(c *Config) { c.Traces.OTLPEndpoint = "http://collector" },
		"is no URL":                                func(c *Config) { c.Traces.OTLPEndpoint = "https://ann:hunter2@[" },
		"must not hold a password":                 func(c *Config) { c.Traces.OTLPEndpoint = "https://ann:hunter2@collector" },
		"must have no query":                       func(c *Config) { c.Traces.OTLPEndpoint = "https://collector?key=hunter2" },
		"must begin with https":                    func(c *Config) { c.Traces.OTLPEndpoint = "ftp://collector/hunter2" },
	} {
		bad := c
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := NewLogger(io.Discard, LogConfig{}); err == nil {
		t.Error("a logger without a level")
	}
}

// Whatever is logged is one line of JSON, of bounded length, without characters
// that a terminal obeys, and only what fits its grammar is shown.
func FuzzLogValue(f *testing.F) {
	f.Add("topic", "orders")
	f.Add("route", "POST /topics/{topic}")
	f.Add("a\nb", "c\x1b[0m")
	f.Fuzz(func(t *testing.T, key, value string) {
		logger, buf := logTo(t, DefaultConfig().Log)
		logger.LogAttrs(t.Context(), slog.LevelInfo, "x", slog.String(key, value))
		text := strings.TrimSuffix(buf.String(), "\n")
		if len(text) > 1024 || strings.ContainsFunc(text, odd) {
			t.Errorf("%q", text)
		}
		line := one(t, buf)
		delete(line, "time")
		delete(line, "level")
		delete(line, "msg")
		if len(line) > 1 {
			t.Errorf("%v", line)
		}
		for k, v := range line {
			if v != removed && (k != key || v != value || !fits(allowed()[k], value)) {
				t.Errorf("%q is shown as %q: %q", value, k, v)
			}
		}
	})
}
