package telemetry

import (
	"strings"
	"testing"
)

func TestTheIDOfARequestIsTheCallersWhereItIsOne(t *testing.T) {
	for _, good := range []string{"r-1", "a", "-", "..", "0123456789._-ABCxyz", strings.Repeat("a", 64)} {
		if got := RequestID([]string{good}); got != good {
			t.Errorf("%q became %q", good, got)
		}
	}
	seen := map[string]bool{}
	for name, given := range map[string][]string{
		"none": nil, "an empty one": {""}, "two": {"a", "b"}, "one that is too long": {strings.Repeat("a", 65)},
		"one with a space": {"a b"}, "one with a line": {"a\nb"}, "an address": {"ann@example.test"}, "a slash": {"a/b"}, "other letters": {"é"},
	} {
		got := RequestID(given)
		if !isRequestID(got) || seen[got] || len(given) > 0 && got == given[0] {
			t.Errorf("%s: %q", name, got)
		}
		seen[got] = true
	}
}

func TestTheTraceOfACallerIsKnownWithoutSpans(t *testing.T) {
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	if got := TraceID(CallerTrace(t.Context(), map[string][]string{"Traceparent": {parent}})); got != "0123456789abcdef0123456789abcdef" {
		t.Errorf("got %q", got)
	}
	for _, bad := range [][]string{nil, {""}, {"ann@example.test"}, {parent, parent}} {
		if got := TraceID(CallerTrace(t.Context(), map[string][]string{"Traceparent": bad})); got != "" {
			t.Errorf("%q: got %q", bad, got)
		}
	}
}

func TestALineOfARequestHasTheNamesOfItsCallerAndItself(t *testing.T) {
	c := DefaultConfig().Log
	logger, buf := logTo(t, c)
	for _, principal := range []string{"local", "billing", "jwt:client-7", "jwt:auth0|x", "cn:billing", "spiffe://example.org/ns/a/sa/b", "uid:1000"} {
		buf.Reset()
		NewRequests(logger, c).Log(t.Context(), Line{Request: "-a.b_", Trace: "0123456789abcdef0123456789abcdef", Principal: principal, Status: 200})
		if line := one(t, buf); line["principal"] != principal || line["request"] != "-a.b_" || line["trace"] != "0123456789abcdef0123456789abcdef" {
			t.Errorf("%v", line)
		}
	}
	for _, bad := range []string{"a\nb", `a"b`, " a", "a\x1b", strings.Repeat("a", 254), "a{b", "cn:Ann Example", "jwt:ann@example.test"} {
		buf.Reset()
		NewRequests(logger, c).Log(t.Context(), Line{Request: "a/b", Principal: bad, Status: 200})
		if line := one(t, buf); line["principal"] != removed || line["request"] != removed {
			t.Errorf("%v", line)
		}
	}
}
