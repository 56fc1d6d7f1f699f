package sidecar

import (
	"bufio"
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
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/sidecar/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const goodConfig = `version: 1
listen: {rest: "127.0.0.1:0", grpc: "127.0.0.1:0"}
admin: {addr: "127.0.0.1:0"}
reload: {watch: false, debounce: 1ms}
shutdown: {drain_delay: 0s, timeout: 30s}
schemas: {registry: {urls: ["https://registry.example"], ca: ca.pem}, memory: tags, memory_keks: ["local:tags.kek"]}
`

const goodPolicy = `version: 1
untagged_field: reject
tenant: {from: header:tenant}
keys: {pii: {kek: "aws-kms:alias/pii-{tenant}", refresh: 5m, expire: 10m, suite: xaes}}
rules:
  - {tag: PCI.CVV, action: reject}
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - {match: "orders", pins: [{path: /email}], validate: true, fields: [{path: /home, action: encrypt, key: pii}]}
  - {match: "customers.*"}
`

// A world is a running server in a directory of its own.
type world struct {
	t        *testing.T
	dir      string
	opts     Options
	signals  chan os.Signal
	outcomes chan string
	addrs    map[string]net.Addr
	done     chan error
	client   *http.Client
	log      *syncBuffer

	built atomic.Int64
	open  atomic.Int64 // generations that are not closed
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), signals: make(chan os.Signal, 4), outcomes: make(chan string, 100), done: make(chan error, 1), log: &syncBuffer{},
		client: &http.Client{Transport: &http.Transport{}},
	}
	w.write("fieldveil.yaml", goodConfig)
	w.write("policy.yaml", goodPolicy)
	w.opts = Options{
		Config: filepath.Join(w.dir, "fieldveil.yaml"), Format: config.New(), Signals: w.signals, Version: "v1.2.3",
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)), Reloaded: func(o string) { w.outcomes <- o },
		Build: w.build,
	}
	return w
}

// build builds a generation that answers with its number, and notices when it is
// used after it was closed.
func (w *world) build(context.Context, *config.Config) (*Generation, error) {
	number := w.built.Add(1)
	w.open.Add(1)
	var closed atomic.Bool
	return &Generation{
		REST: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			first := fmt.Sprint(number)
			_, _ = io.Copy(io.Discard, r.Body)
			if closed.Load() {
				http.Error(rw, "closed", http.StatusInternalServerError)
				return
			}
			_, _ = io.WriteString(rw, first)
		}),
		Close: func(context.Context) { closed.Store(true); w.open.Add(-1) },
	}, nil
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// start runs the server and waits until it listens.
func (w *world) start() {
	w.t.Helper()
	ready := make(chan map[string]net.Addr, 1)
	w.opts.Listening = func(a map[string]net.Addr) { ready <- a }
	go func() { w.done <- Run(w.t.Context(), w.opts) }()
	w.t.Cleanup(w.client.CloseIdleConnections)
	select {
	case w.addrs = <-ready:
	case err := <-w.done:
		w.t.Fatalf("it did not start: %v", err)
	}
}

// end stops the server and returns what it says.
func (w *world) end() error {
	w.t.Helper()
	w.signals <- syscall.SIGTERM
	return <-w.done
}

func (w *world) url(listener, path string) string {
	return "http://" + w.addrs[listener].String() + path
}

func (w *world) do(method, listener, path string) (status int, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url(listener, path), http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (w *world) get(listener, path string) (status int, body string) {
	w.t.Helper()
	return w.do(http.MethodGet, listener, path)
}

// hup reads the configuration again and returns the outcome.
func (w *world) hup() string {
	w.t.Helper()
	w.signals <- syscall.SIGHUP
	return <-w.outcomes
}

func TestItServesUntilASignal(t *testing.T) {
	w := newWorld(t)
	var serving []bool
	w.opts.Serving = func(on bool) { serving = append(serving, on) }
	w.opts.Metrics = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "m 1\n") })
	w.start()
	for _, tt := range []struct {
		listener, path string
		status         int
		want           string
	}{
		{"rest", "/", 200, "1"},
		{"grpc", "/", 404, "404"},
		{"admin", "/livez", 200, "alive"},
		{"admin", "/startupz", 200, "started"},
		{"admin", "/readyz", 200, `{"ready":true,"checks":[{"name":"server","ok":true}],"reload":{"outcome":"ok"`},
		{"admin", "/version", 200, "v1.2.3"},
		{"admin", "/metrics", 200, "m 1"},
		{"admin", "/config", 200, `addr: "127.0.0.1:0"`},
		{"admin", "/debug/pprof/heap", 404, ""},
		{"admin", "/reload", 405, ""},
		{"rest", "/livez", 200, "1"},
	} {
		if status, body := w.get(tt.listener, tt.path); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %s", tt.listener, tt.path, status, body)
		}
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if len(serving) != 2 || !serving[0] || serving[1] || w.open.Load() != 0 {
		t.Errorf("serving %v, %d generations open", serving, w.open.Load())
	}
}

func TestWhatIsWrongAtTheStartEndsIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		want string
	}{
		{"no options", func(w *world) { w.opts = Options{} }, "Options.Build is missing"},
		{"no file", func(w *world) { w.opts.Config += "x" }, "no such file"},
		{"a bad file", func(w *world) { w.write("fieldveil.yaml", "version: 1\nx: 1") }, `unknown key "x"`},
		{"a bad policy", func(w *world) { w.write("policy.yaml", "version: 1") }, "protects nothing"},
		{"nothing can be built", func(w *world) {
			w.opts.Build = func(context.Context, *config.Config) (*Generation, error) { return nil, errors.New("no key") }
		}, "no key"},
		{"the builder panics", func(w *world) {
			w.opts.Build = func(context.Context, *config.Config) (*Generation, error) { panic("s3cr3t") }
		}, "panicked with a string"},
		{"the builder forgets", func(w *world) {
			w.opts.Build = func(context.Context, *config.Config) (*Generation, error) { return nil, nil }
		}, "built nothing"},
		{"an address that is taken", func(w *world) {
			w.opts.Listen = func(_ context.Context, name, _ string) (net.Listener, error) {
				return nil, fmt.Errorf("%s is taken", name)
			}
		}, "listen.rest: rest is taken"},
		{"no audit", func(w *world) {
			w.opts.Audit = func(context.Context, string, string) error { return errors.New("disk full") }
		}, "cannot be audited: disk full"},
		{"services that do not come up", func(w *world) {
			w.opts.Services = func(*config.Config, *Current) ([]Service, error) { return nil, errors.New("no service") }
		}, "no service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.edit(w)
			err := Run(t.Context(), w.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if w.open.Load() != 0 {
				t.Error("a generation stays open")
			}
		})
	}
}

func TestProbesAreAnsweredWhileTheFirstGenerationIsBuilt(t *testing.T) {
	w := newWorld(t)
	building, goOn := make(chan net.Addr), make(chan bool)
	inner := w.build
	w.opts.Build = func(ctx context.Context, cfg *config.Config) (*Generation, error) {
		building <- nil
		<-goOn
		return inner(ctx, cfg)
	}
	// The port is not known before everything listens, so the test takes one.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	w.opts.Env = config.Environment{"FIELDVEIL_ADMIN_ADDR=" + addr.String()}
	go func() { w.done <- Run(t.Context(), w.opts) }()
	<-building
	w.addrs = map[string]net.Addr{"admin": addr}
	t.Cleanup(w.client.CloseIdleConnections)
	for path, want := range map[string]int{"/livez": 200, "/startupz": 503, "/readyz": 503, "/config": 503} {
		if status, body := w.get("admin", path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := w.do(http.MethodPost, "admin", "/reload"); status != 503 {
		t.Errorf("reload: %d", status)
	}
	w.signals <- syscall.SIGHUP // which changes nothing
	w.signals <- syscall.SIGTERM
	close(goOn)
	if err := <-w.done; !errors.Is(err, context.Canceled) && err != nil {
		t.Error(err)
	}
}

func TestUnreadinessNamesItsReason(t *testing.T) {
	w := newWorld(t)
	var keys, kafka error
	var mu sync.Mutex
	inner := w.build
	w.opts.Build = func(ctx context.Context, cfg *config.Config) (*Generation, error) {
		gen, err := inner(ctx, cfg)
		gen.Ready = func(context.Context) []Check {
			mu.Lock()
			defer mu.Unlock()
			return []Check{{Name: "keys", Err: keys}, {Name: "kafka", Err: kafka, Word: "unreachable", Optional: true}}
		}
		return gen, err
	}
	w.start()
	if status, body := w.get("admin", "/readyz"); status != 200 || !strings.Contains(body, `{"name":"kafka","ok":true,"optional":true}`) {
		t.Errorf("%d %s", status, body)
	}
	mu.Lock()
	kafka = errors.New("KANARI: no broker answers at 10.0.0.1")
	mu.Unlock()
	if status, body := w.get("admin", "/readyz"); status != 200 || !strings.Contains(body, `"error":"unreachable"`) || strings.Contains(body, "KANARI") {
		t.Errorf("an optional check: %d %s", status, body)
	}
	mu.Lock()
	keys = fmt.Errorf("KANARI arn:aws:kms:KANARI: %w", kms.ErrDenied)
	mu.Unlock()
	if status, body := w.get("admin", "/readyz"); status != 503 || !strings.Contains(body, `"name":"keys","ok":false,"error":"denied"`) || strings.Contains(body, "KANARI") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := w.get("admin", "/livez"); status != 200 {
		t.Errorf("alive: %d", status)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestTheAdminListenerIsAskedUnderItsOwnNames(t *testing.T) {
	w := newWorld(t)
	w.write("fieldveil.yaml", strings.Replace(goodConfig, `admin: {addr: "127.0.0.1:0"}`, `admin: {addr: "127.0.0.1:0", allowed_hosts: ["*.pods.example"]}`, 1))
	w.opts.Metrics = http.NotFoundHandler()
	w.start()
	for _, path := range []string{"/livez", "/startupz", "/readyz", "/version", "/config", "/metrics", "/nothing", "/reload"} {
		for host, headers := range map[string]map[string]string{
			"evil.example": nil, "127.0.0.1.evil.example": nil, "pods.example": nil,
			"a.pods.example": {"Origin": "http://evil.example"}, "localhost": {"Origin": "null"},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url("admin", path), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			want := http.StatusMisdirectedRequest
			for name, value := range headers {
				req.Header.Set(name, value)
				want = http.StatusForbidden
			}
			res, err := w.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != want || !strings.HasPrefix(string(body), "auth: the request ") {
				t.Errorf("%s of %s: %d %q, %v", path, host, res.StatusCode, body, err)
			}
		}
	}
	for _, host := range []string{"localhost", "[::1]:1", "a.pods.example:9191", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url("admin", "/readyz"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%q: %d", host, res.StatusCode)
		}
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestShutdownIsForThisHostOnly(t *testing.T) {
	w := newWorld(t)
	w.write("fieldveil.yaml", strings.Replace(goodConfig, `admin: {addr: "127.0.0.1:0"}`, `admin: {addr: "127.0.0.1:0", allowed_hosts: [named.example]}`, 1))
	w.start()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url("admin", "/shutdown"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		edit func(*http.Request)
		want int
	}{
		"another name of this host": {func(r *http.Request) { r.Host = "evil.example" }, http.StatusMisdirectedRequest},
		"a name that may read":      {func(r *http.Request) { r.Host = "named.example" }, http.StatusForbidden},
		"a page of another site":    {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		"a page with an origin":     {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
	} {
		r := req.Clone(t.Context())
		tt.edit(r)
		res, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.want {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if status, _ := w.do(http.MethodPost, "admin", "/shutdown"); status != http.StatusAccepted {
		t.Errorf("from here: %d", status)
	}
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}

func TestProfilesAreServedWhereTheyAreOn(t *testing.T) {
	w := newWorld(t)
	w.opts.Env = config.Environment{"FIELDVEIL_ADMIN_PPROF=true"}
	w.start()
	if status, body := w.get("admin", "/debug/pprof/goroutine?debug=1"); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("%d", status)
	}
	if status, _ := w.get("admin", "/debug/pprof/nothing"); status != 404 {
		t.Errorf("%d", status)
	}
	if status, body := w.get("admin", "/debug/pprof/profile?seconds=1"); status != 200 || body == "" {
		t.Errorf("%d", status)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestHTTP2IsSpokenWithoutTLS(t *testing.T) {
	w := newWorld(t)
	w.start()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url("rest", "/"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK {
		t.Error(res.Proto, res.Status)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// Each of them holds a connection and never ends its header.
func TestSlowClientsDoNotKeepOthersOut(t *testing.T) {
	w := newWorld(t)
	w.start()
	for range 300 {
		conn, err := net.Dial("tcp", w.addrs["rest"].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := w.get("rest", "/"); status != 200 || body != "1" {
		t.Errorf("%d %s", status, body)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.opts.Env = config.Environment{"FIELDVEIL_LIMITS_HEADER_BYTES=8192"}
	w.start()
	conn, err := net.Dial("tcp", w.addrs["rest"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Large: "+strings.Repeat("x", 64<<10)+"\r\n\r\n"); err != nil {
		t.Log(err) // it may hang up before all was said
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(line, "431") {
		t.Errorf("%s", line)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestAUnixSocketServesTheSame(t *testing.T) {
	w := newWorld(t)
	w.write("fieldveil.yaml", strings.Replace(goodConfig, `grpc: "127.0.0.1:0"`, `grpc: "", unix: s`, 1))
	w.start()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(w.dir, "s"))
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "1" {
		t.Error(string(b), err)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestAServiceTakesTheListenerOfItsName(t *testing.T) {
	w := newWorld(t)
	own := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "own") })}
	w.opts.Services = func(_ *config.Config, current *Current) ([]Service, error) {
		gen, release := current.Acquire()
		defer release()
		if gen == nil {
			return nil, errors.New("there is no generation yet")
		}
		return []Service{{Name: "grpc", Serve: own.Serve, Shutdown: own.Shutdown, Close: own.Close}}, nil
	}
	w.start()
	if _, body := w.get("grpc", "/"); body != "own" {
		t.Error(body)
	}
	if _, body := w.get("rest", "/"); body != "1" {
		t.Error(body)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestAListenerThatFailsEndsTheServer(t *testing.T) {
	w := newWorld(t)
	broken := make(chan bool)
	w.opts.Services = func(*config.Config, *Current) ([]Service, error) {
		return []Service{{
			Name: "grpc", Close: func() error { return nil }, Shutdown: func(context.Context) error { return nil },
			Serve: func(l net.Listener) error { defer l.Close(); <-broken; return errors.New("out of files") },
		}}, nil
	}
	w.start()
	close(broken)
	if err := <-w.done; err == nil || !strings.Contains(err.Error(), "listener grpc: out of files") {
		t.Error(err)
	}
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}
