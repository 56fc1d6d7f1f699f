package rest

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

var update = flag.Bool("update", false, "write what is answered into testdata/exchanges")

// An exchange is a request, what the fakes do, what was sent to Kafka, and the
// answer.
type exchange struct {
	name, request, setup, sent, answer string
}

// readExchanges reads a file of exchanges. Each begins with "=== name" and the
// request; "--- setup", "--- sent" and "--- answer" begin the other parts.
func readExchanges(t testing.TB, path string) []exchange {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		x := exchange{name: name}
		into := &x.request
		for line := range strings.Lines(rest) {
			switch strings.TrimSuffix(line, "\n") {
			case "--- setup":
				into = &x.setup
			case "--- sent":
				into = &x.sent
			case "--- answer":
				into = &x.answer
			default:
				*into += line
			}
		}
		for _, p := range []*string{&x.request, &x.setup, &x.sent, &x.answer} {
			*p = strings.TrimSpace(*p)
		}
		all = append(all, x)
	}
	return all
}

func writeExchanges(t *testing.T, path string, all []exchange) {
	t.Helper()
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "=== %s\n%s\n", x.name, x.request)
		if x.setup != "" {
			fmt.Fprintf(&b, "--- setup\n%s\n", x.setup)
		}
		if x.sent != "" {
			fmt.Fprintf(&b, "--- sent\n%s\n", x.sent)
		}
		fmt.Fprintf(&b, "--- answer\n%s\n\n", x.answer)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// httpRequest is the request of x: a line, headers, an empty line, a body.
func (x *exchange) httpRequest(t testing.TB) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(x.request, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, ok := strings.Cut(lines[0], " ")
	if !ok {
		t.Fatalf("%s: no request line", x.name)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, line := range lines[1:] {
		name, v, _ := strings.Cut(line, ": ")
		r.Header.Add(name, v)
	}
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	return r
}

// server is the surface that the setup of x describes.
func (x *exchange) server(t testing.TB) (*Server, *fakeSender) {
	t.Helper()
	sender := &fakeSender{script: map[int]*produce.Error{}}
	cfg := Config{}
	deps := Deps{Sender: sender, Guard: Open{}, Encoders: fakeEncoders{}, Cluster: fakeCluster{}}
	for line := range strings.Lines(x.setup) {
		word := strings.Fields(line)
		arg := func(i int) string {
			if i < len(word) {
				return word[i]
			}
			return ""
		}
		switch word[0] {
		case "record": // record 1 kafka_unavailable /path TAG
			n, err := strconv.Atoi(word[1])
			if err != nil {
				t.Fatal(err)
			}
			sender.script[n] = scripted(arg(2), arg(3), arg(4))
		case "admit":
			sender.full = scripted(word[1], "", "")
		case "streams":
			sender.stream = scripted(word[1], "", "")
		case "guard":
			deps.Guard = fakeGuard{map[string]error{"unauthenticated": ErrUnauthenticated, "denied": ErrDenied, "host": ErrHost, "origin": ErrOrigin, "down": errDown}[word[1]]}
		case "cluster":
			switch word[1] {
			case "none":
				deps.Cluster = nil
			case "down":
				deps.Cluster = fakeCluster{errDown}
			case "denied":
				deps.Cluster = fakeCluster{ErrNoPermission}
			}
		case "registry":
			deps.Encoders = fakeEncoders{encodeError{code: "registry_unavailable", secret: "secret"}}
			if word[1] == "none" {
				deps.Encoders = nil
			}
		case "panics":
			sender.panics = true
		case "strict_status":
			cfg.StrictStatus = true
		case "strict_nulls":
			cfg.StrictNulls = true
		case "strict_cluster":
			cfg.StrictCluster = true
		case "public_url":
			cfg.PublicURL = word[1]
		case "max_records":
			cfg.MaxRecords = 2
		case "max_batch_entries":
			cfg.MaxBatchEntries = 2
		case "max_record_headers":
			cfg.MaxRecordHeaders = 1
		case "small":
			cfg.MaxBodyBytes, cfg.MaxRecordBytes = 1<<10, 1<<10
		default:
			t.Fatalf("%s: setup %q", x.name, line)
		}
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s, sender
}

func bytesText(b []byte) string {
	if b == nil {
		return "null"
	}
	return strconv.Quote(string(b))
}

func sentText(all []produce.Record) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s/%d key=%s value=%s", r.Topic, r.Partition, bytesText(r.Key), bytesText(r.Value))
		for _, h := range r.Headers {
			fmt.Fprintf(&b, " %s=%s", h.Key, bytesText(h.Value))
		}
		if !r.Timestamp.IsZero() {
			fmt.Fprintf(&b, " at=%d", r.Timestamp.UnixMilli())
		}
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

// answerText is an answer with the headers that matter.
func answerText(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", w.Code)
	for _, name := range []string{"Content-Type", "Allow", "Connection", "Retry-After", "Www-Authenticate"} {
		for _, v := range w.Header()[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	b.WriteByte('\n')
	body := w.Body.Bytes()
	const most = 3000
	if len(body) > most {
		body = body[:most]
	}
	b.Write(bytes.ReplaceAll(body, []byte("\r\n"), []byte("<CRLF>\n")))
	return strings.TrimSpace(b.String())
}

func exchangeFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/exchanges/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges: %v", err)
	}
	return files
}

func TestExchangesAreAnsweredByteForByte(t *testing.T) {
	total := 0
	for _, path := range exchangeFiles(t) {
		all := readExchanges(t, path)
		total += len(all)
		var names []string
		for i := range all {
			x := &all[i]
			if slices.Contains(names, x.name) {
				t.Errorf("%s: %q twice", path, x.name)
			}
			names = append(names, x.name)
			t.Run(x.name, func(t *testing.T) {
				s, sender := x.server(t)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, x.httpRequest(t))
				if sender.taken != 0 {
					t.Errorf("%d rooms were not given back", sender.taken)
				}
				answer, sent := answerText(w), sentText(sender.sent)
				if *update {
					x.answer, x.sent = answer, sent
					return
				}
				if answer != x.answer {
					t.Errorf("answer:\n%s\nwant:\n%s", answer, x.answer)
				}
				if sent != x.sent {
					t.Errorf("sent:\n%s\nwant:\n%s", sent, x.sent)
				}
			})
		}
		if *update {
			writeExchanges(t, path, all)
		}
	}
	if total < 80 {
		t.Errorf("%d exchanges, want 80 or more", total)
	}
}
