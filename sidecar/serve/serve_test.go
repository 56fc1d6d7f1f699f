package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

const mail = "ann@example.org"

const peoplePolicy = `version: 1
dataset: people
keys: {pii: {kek: "local:k"}}
topics:
  - {match: people, format: json, fields: [{path: /mail, action: encrypt, key: pii}, {path: /cvv, action: reject}]}
`

// A world is a sidecar before a broker in this process.
type world struct {
	t       *testing.T
	dir     string
	broker  *kfake.Cluster
	addrs   map[string]string
	log     *safeBuffer
	signals chan os.Signal
	ended   chan struct{}
	err     error
}

// A safeBuffer is a buffer that several goroutines may use.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	// full refuses lines of an audit trail, as a disk that is full does.
	full atomic.Bool
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	if s.full.Load() && bytes.Contains(b, []byte(`"prev"`)) {
		return 0, syscall.ENOSPC
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newWorld starts a sidecar whose configuration has further lines.
func newWorld(t *testing.T, policy, more string) *world {
	t.Helper()
	return start(t, func(w *world) {
		w.write("policy.yaml", policy)
		w.write("fieldveil.yaml", w.config(more))
	}, nil)
}

// start starts a sidecar on the files that prepare writes. change may change the
// options, and more those of the broker.
func start(t *testing.T, prepare func(*world), change func(*Options), more ...kfake.Opt) *world {
	t.Helper()
	broker, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(2, "people")}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	w := &world{t: t, dir: t.TempDir(), broker: broker, log: &safeBuffer{}, signals: make(chan os.Signal, 4), ended: make(chan struct{})}
	prepare(w)
	listening := make(chan map[string]net.Addr, 1)
	opts := Options{
		Config: filepath.Join(w.dir, "fieldveil.yaml"), Out: w.log, Signals: w.signals, KMS: localkms.NewInMemory(), Build: telemetry.Build{Version: "v0.0.0"},
		Listening: func(a map[string]net.Addr) { listening <- a },
	}
	if change != nil {
		change(&opts)
	}
	go func() {
		defer close(w.ended)
		w.err = Run(context.WithoutCancel(t.Context()), opts)
	}()
	select {
	case addrs := <-listening:
		w.addrs = map[string]string{}
		for name, a := range addrs {
			w.addrs[name] = a.String()
		}
	case <-w.ended:
		t.Fatalf("it did not start: %v\n%s", w.err, w.log)
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not start\n%s", w.log)
	}
	t.Cleanup(func() {
		w.signals <- syscall.SIGTERM
		select {
		case <-w.ended:
		case <-time.After(30 * time.Second):
			t.Error("it does not end")
		}
	})
	return w
}

func (w *world) config(more string) string {
	return `version: 1
kafka: {properties: {bootstrap.servers: "` + strings.Join(w.broker.ListenAddrs(), ",") + `", linger.ms: "0"}}
listen: {rest: "127.0.0.1:0", grpc: "127.0.0.1:0"}
admin: {addr: "127.0.0.1:0"}
shutdown: {drain_delay: 0s, timeout: 10s}
` + more
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// do makes a request and returns status and body.
func (w *world) do(listener, method, path, media, body string) (status int, answer string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.addrs[listener]+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.log)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// records returns the first n records of the topic.
func (w *world) records(n int) []*kgo.Record {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.broker.ListenAddrs()...), kgo.ConsumeTopics("people"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		f := client.PollFetches(ctx)
		if err := f.Err(); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, f.Records()...)
	}
	return out
}

const v2JSON = "application/vnd.kafka.json.v2+json"

func TestARecordThatIsPostedIsProtectedInTheTopic(t *testing.T) {
	w := newWorld(t, peoplePolicy, "")
	status, body := w.do("rest", http.MethodPost, "/topics/people", v2JSON, `{"records":[{"key":"7","value":{"id":7,"mail":"`+mail+`"}},{"value":null}]}`)
	if status != http.StatusOK || !strings.Contains(body, `"offset":0`) {
		t.Fatalf("%d %s\n%s", status, body, w.log)
	}
	for _, r := range w.records(2) {
		if bytes.Contains(r.Value, []byte(mail)) || r.Key != nil && !bytes.Contains(r.Value, []byte(`"mail":"fv1:`)) {
			t.Errorf("%s", r.Value)
		}
	}
	status, body = w.do("rest", http.MethodPost, "/topics/people", v2JSON, `{"records":[{"value":{"id":7,"cvv":"123"}}]}`)
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "/cvv") || strings.Contains(body, "123") {
		t.Errorf("a value that may not be there: %d %s", status, body)
	}
	status, body = w.do("rest", http.MethodPost, "/topics/none", v2JSON, `{"records":[{"value":1}]}`)
	if status != http.StatusNotFound && status != http.StatusUnprocessableEntity {
		t.Errorf("a topic that is not there: %d %s", status, body)
	}
	if status, body = w.do("rest", http.MethodGet, "/topics", "", ""); status != http.StatusOK || !strings.Contains(body, `"people"`) {
		t.Errorf("topics: %d %s", status, body)
	}
	if strings.Contains(w.log.String(), mail) {
		t.Errorf("the log shows a value: %s", w.log)
	}
}

func TestAStreamOfRecordsEndsAndIsCounted(t *testing.T) {
	w := newWorld(t, peoplePolicy, "")
	status, body := w.do("rest", http.MethodPost, "/v3/clusters/c/topics/people/records", "application/json",
		`{"value":{"type":"JSON","data":{"mail":"`+mail+`"}}}{"value":{"type":"JSON","data":{"cvv":"123"}}}`)
	if status != http.StatusOK || strings.Count(body, `"error_code":200`) != 1 || !strings.Contains(body, "/cvv") {
		t.Fatalf("%d %s\n%s", status, body, w.log)
	}
	if _, body = w.do("admin", http.MethodGet, "/metrics", "", ""); !strings.Contains(body, "\nfieldveil_inflight_streams 0\n") {
		t.Error("a stream that ended is counted as open")
	}
}

func TestTheServicesOfGRPCAnswerAsConnectToo(t *testing.T) {
	w := newWorld(t, peoplePolicy, "audit: {to: file, path: audit.log}\nauth: {rules: [{principals: [local], operations: [produce, protect, reveal], topics: ['*'], tenants: ['*']}]}\n")
	call := func(method, body string) (int, map[string]any) {
		status, answer := w.do("grpc", http.MethodPost, "/fieldveil.v1."+method, "application/json", body)
		var doc map[string]any
		if err := json.Unmarshal([]byte(answer), &doc); err != nil {
			t.Fatalf("%d %s", status, answer)
		}
		return status, doc
	}
	status, doc := call("ProduceService/Produce", `{"topic":"people","records":[{"value":"eyJtYWlsIjoiYW5uQGV4YW1wbGUub3JnIn0="}]}`)
	if status != http.StatusOK {
		t.Fatalf("%d %v\n%s", status, doc, w.log)
	}
	if r := w.records(1)[0]; !bytes.Contains(r.Value, []byte(`"mail":"fv1:`)) {
		t.Errorf("%s", r.Value)
	}
	status, doc = call("ProtectService/Protect", `{"record":{"topic":"people","value":"eyJtYWlsIjoiYW5uQGV4YW1wbGUub3JnIn0="}}`)
	if status != http.StatusOK {
		t.Fatalf("%d %v\n%s", status, doc, w.log)
	}
	sealed, err := json.Marshal(doc["record"])
	if err != nil {
		t.Fatal(err)
	}
	status, doc = call("ProtectService/Reveal", `{"purpose":"case-7","record":`+string(sealed)+`}`)
	back, _ := doc["record"].(map[string]any)
	if status != http.StatusOK || back["value"] != "eyJtYWlsIjoiYW5uQGV4YW1wbGUub3JnIn0=" {
		t.Fatalf("%d %v\n%s", status, doc, w.log)
	}
	trail, err := os.ReadFile(filepath.Join(w.dir, "audit.log"))
	if err != nil || !bytes.Contains(trail, []byte("case-7")) || !bytes.Contains(trail, []byte(`"started"`)) || bytes.Contains(trail, []byte(mail)) {
		t.Errorf("%s, %v", trail, err)
	}
}

func TestARevealThatIsDeniedIsOnRecord(t *testing.T) {
	w := newWorld(t, peoplePolicy, "audit: {to: file, path: audit.log}\n")
	status, body := w.do("grpc", http.MethodPost, "/fieldveil.v1.ProtectService/Reveal", "application/json", `{"purpose":"case-9","record":{"topic":"people","value":"e30="}}`)
	if status != http.StatusForbidden {
		t.Fatalf("%d %s", status, body)
	}
	trail, err := os.ReadFile(filepath.Join(w.dir, "audit.log"))
	if err != nil || !bytes.Contains(trail, []byte(`"outcome":"denied"`)) || !bytes.Contains(trail, []byte("case-9")) {
		t.Errorf("%s, %v", trail, err)
	}
}

func TestWithoutATrailNothingIsRevealed(t *testing.T) {
	w := newWorld(t, peoplePolicy, "auth: {rules: [{principals: [local], operations: ['*'], topics: ['*'], tenants: ['*']}]}\n")
	status, body := w.do("grpc", http.MethodPost, "/fieldveil.v1.ProtectService/Reveal", "application/json", `{"purpose":"x","record":{"topic":"people","value":"eyJtYWlsIjoiYW5uQGV4YW1wbGUub3JnIn0="}}`)
	if status == http.StatusOK || !strings.Contains(body, "audit_unavailable") {
		t.Errorf("%d %s", status, body)
	}
}

func TestTheLogSaysWhyAChangeIsRefusedAndWhatIsOdd(t *testing.T) {
	w := newWorld(t, peoplePolicy, "reload: {watch: false}\n")
	w.write("policy.yaml", strings.Replace(peoplePolicy, ", {path: /cvv, action: reject}", "", 1))
	if status, body := w.do("admin", http.MethodPost, "/reload", "", ""); status == http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	w.write("policy.yaml", strings.Replace(peoplePolicy, "version: 1", "version: 7", 1))
	if status, body := w.do("admin", http.MethodPost, "/reload", "", ""); status == http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{`"trigger":"admin"`, `"outcome":"weaker"`, "/cvv", `"change":"`, `"outcome":"invalid"`, "policy.yaml:1", `"address":"127.0.0.1:`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if strings.Contains(w.log.String(), "[removed]") || t.Failed() {
		t.Errorf("the log: %s", w.log)
	}
}

func TestProbesMetricsAndTheConfigurationAreServed(t *testing.T) {
	w := newWorld(t, peoplePolicy, "")
	for path, want := range map[string]string{
		"/livez": "", "/readyz": `"keys"`, "/startupz": "", "/version": "v0.0.0", "/config": "bootstrap.servers",
		"/metrics": "fieldveil_build_info",
	} {
		if status, body := w.do("admin", http.MethodGet, path, "", ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	w.do("rest", http.MethodPost, "/topics/people", v2JSON, `{"records":[{"value":{"id":7,"mail":"`+mail+`"}}]}`)
	_, body := w.do("admin", http.MethodGet, "/metrics", "", "")
	for _, want := range []string{
		`fieldveil_records_total{code="ok",outcome="delivered",protocol="v2"} 1`, `fieldveil_protect_seconds_count 1`,
		`fieldveil_requests_total{protocol="v2",route="POST /topics/{topic}",status="2xx"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestATrailThatCouldNotBeWrittenIsWrittenAgain(t *testing.T) {
	w := newWorld(t, peoplePolicy, "audit: {to: stdout}\nauth: {rules: [{principals: [local], operations: [protect, reveal], topics: ['*'], tenants: ['*']}]}\n")
	record := func() string {
		status, body := w.do("grpc", http.MethodPost, "/fieldveil.v1.ProtectService/Protect", "application/json", `{"record":{"topic":"people","value":"eyJtYWlsIjoiYW5uQGV4YW1wbGUub3JnIn0="}}`)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		return strings.TrimSpace(body)
	}()
	reveal := func() (int, string) {
		return w.do("grpc", http.MethodPost, "/fieldveil.v1.ProtectService/Reveal", "application/json", `{"purpose":"case-7",`+strings.TrimPrefix(record, "{"))
	}
	if status, body := reveal(); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	w.log.full.Store(true)
	for range 2 {
		if status, body := reveal(); status == http.StatusOK || !strings.Contains(body, "audit_unavailable") {
			t.Fatalf("without a line: %d %s", status, body)
		}
		// Nobody is unready: records are taken as before.
		if status, body := w.do("admin", http.MethodGet, "/readyz", "", ""); status != http.StatusOK || !strings.Contains(body, "audit") {
			t.Errorf("%d %s", status, body)
		}
		if _, body := w.do("admin", http.MethodGet, "/metrics", "", ""); !strings.Contains(body, "fieldveil_audit_up 0\n") {
			t.Error("no alert would tell that the trail is broken")
		}
	}
	w.log.full.Store(false)
	w.do("admin", http.MethodGet, "/readyz", "", "")
	if status, body := reveal(); status != http.StatusOK {
		t.Errorf("after the disk has room: %d %s\n%s", status, body, w.log)
	}
	if _, body := w.do("admin", http.MethodGet, "/metrics", "", ""); !strings.Contains(body, "fieldveil_audit_up 1\n") {
		t.Error("the alert would go on")
	}
	if !strings.Contains(w.log.String(), "the audit trail is written again") {
		t.Errorf("the log does not say so: %s", w.log)
	}
}

func TestTheLimitsOfTheServerHoldForRecordsToo(t *testing.T) {
	w := newWorld(t, peoplePolicy, "limits: {header_bytes: 4096}\n")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addrs["rest"]+"/topics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", 16<<10))
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}
