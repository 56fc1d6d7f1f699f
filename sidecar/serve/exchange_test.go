package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// requestLines returns the lines of requests by their ids.
func (w *world) requestLines() map[string]map[string]any {
	w.t.Helper()
	out := map[string]map[string]any{}
	for text := range strings.Lines(w.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
		if id, ok := line["request"].(string); ok && line["msg"] == "request" {
			out[id] = line
		}
	}
	return out
}

// A line of a request says who asked, under which name, and in which trace,
// whatever he spoke, and where nobody collects spans too.
func TestTheLineOfARequestNamesItsCallerItselfAndItsTrace(t *testing.T) {
	w := start(t, func(w *world) {
		w.write("policy.yaml", peoplePolicy)
		w.write("tokens", deskToken+"\n")
		w.write("fieldveil.yaml", w.config("auth: {tokens: [{principal: desk, file: tokens}]}\n"))
	}, nil)
	const trace = "0123456789abcdef0123456789abcdef"
	header := http.Header{"Traceparent": {"00-" + trace + "-0123456789abcdef-01"}, "Authorization": {"Bearer " + deskToken}}
	post := func(listener, path, media, body, id, token string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.addrs[listener]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		req.Header.Set("Content-Type", media)
		req.Header.Set("X-Request-ID", id)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Values("X-Request-ID"); len(got) != 1 {
			t.Fatalf("%s is answered with %q", id, got)
		}
		return res.Header.Get("X-Request-ID")
	}
	const records, message = `{"records":[{"value":{}}]}`, `{"topic":"people","records":[{"value":"e30="}]}`
	want := map[string]string{} // principals by id
	for _, id := range []string{"rest-1", "..", strings.Repeat("r", 64)} {
		if got := post("rest", "/topics/people", v2JSON, records, id, ""); got != id {
			t.Errorf("%q is answered with %q", id, got)
		}
		want[id] = "desk"
	}
	if got := post("grpc", "/fieldveil.v1.ProduceService/Produce", "application/json", message, "connect-1", ""); got != "connect-1" {
		t.Errorf("answered with %q", got)
	}
	want["connect-1"] = "desk"
	for _, bad := range []string{"", "ann@example.org", strings.Repeat("r", 65)} {
		got := post("rest", "/topics/people", v2JSON, records, bad, "")
		if got == bad || want[got] != "" || len(got) < 16 {
			t.Errorf("%q is answered with %q", bad, got)
		}
		want[got] = "desk"
	}
	want[post("rest", "/topics/people", v2JSON, records, "refused", "another-token-of-nobody")] = ""
	cc, err := grpc.NewClient(w.addrs["grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	var answered metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "grpc-1", "authorization", header.Get("Authorization"), "traceparent", header.Get("Traceparent"))
	if _, err := v1.NewProduceServiceClient(cc).Produce(ctx, &v1.ProduceRequest{Topic: "people", Records: []*v1.Record{{Value: []byte("{}")}}}, grpc.Header(&answered)); err != nil {
		t.Fatal(err)
	}
	if got := answered.Get("x-request-id"); len(got) != 1 || got[0] != "grpc-1" {
		t.Errorf("answered with %q", got)
	}
	want["grpc-1"] = "desk"
	w.stop()
	lines := w.requestLines()
	for id, principal := range want {
		line, there := lines[id]
		got, _ := line["principal"].(string)
		if !there || got != principal || line["trace"] != trace {
			t.Errorf("%s: %v", id, line)
		}
	}
	if strings.Contains(w.log.String(), deskToken) || strings.Contains(w.log.String(), "ann@") || strings.Contains(w.log.String(), "another-token") {
		t.Errorf("the log shows what it must not: %s", w.log)
	}
}

// A span of a request has the pattern of its route, and never its path.
func TestTheSpanOfARequestHasTheRouteOfIt(t *testing.T) {
	var mu sync.Mutex
	var spans bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := io.Copy(&spans, r.Body); err != nil {
			t.Error(err)
		}
	}))
	defer collector.Close()
	w := newWorld(t, peoplePolicy, "telemetry: {traces: {otlp_endpoint: '"+collector.URL+"', sample_ratio: 1, insecure: true}}\n")
	for _, path := range []string{"/topics/people", "/v3/clusters/c/topics/people/records", "/topics/secret-of-a-caller/none"} {
		w.do("rest", http.MethodPost, path, v2JSON, `{"records":[{"value":{}}]}`)
	}
	w.do("grpc", http.MethodPost, "/fieldveil.v1.ProduceService/Produce", "application/json", `{"topic":"people","records":[{"value":"e30="}]}`)
	w.stop()
	mu.Lock()
	defer mu.Unlock()
	for _, route := range []string{
		"POST /topics/{topic}", "POST /v3/clusters/{cluster_id}/topics/{topic}/records", "/fieldveil.v1.ProduceService/Produce", "http.route", "http.response.status_code",
	} {
		if !bytes.Contains(spans.Bytes(), []byte(route)) {
			t.Errorf("no span has %s", route)
		}
	}
	if bytes.Contains(spans.Bytes(), []byte("secret-of-a-caller")) || bytes.Contains(spans.Bytes(), []byte("/topics/people")) {
		t.Error("a span has a path")
	}
}

// stop ends the sidecar and waits for it.
func (w *world) stop() {
	w.t.Helper()
	w.signals <- syscall.SIGTERM
	<-w.ended
}
