package registrytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func start(t *testing.T, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// call sends a request over the network and returns status and body.
func call(t *testing.T, client *http.Client, method, url, body string, header ...string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

func client() *http.Client { return &http.Client{Timeout: time.Minute} }

func TestOneSchemaGetsOneIDWhoeverAsks(t *testing.T) {
	s := start(t)
	const n = 64
	c := client()
	c.Transport = &http.Transport{MaxIdleConnsPerHost: n}
	defer c.CloseIdleConnections()
	var wg sync.WaitGroup
	ids := make([]string, n)
	for i := range n {
		wg.Go(func() {
			// The same schema under four subjects, in two spellings.
			body := []string{`{"schema":"{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}"}`, `{"schema":"{ \"type\": \"fixed\", \"name\": \"F\", \"size\": 1 }"}`}[i%2]
			status, got, err := call(t, c, "POST", fmt.Sprintf("%s/subjects/s%d/versions", s.URL(), i%4), body)
			if err != nil || status != 200 {
				t.Errorf("%d %s %v", status, got, err)
				return
			}
			var a struct{ ID, Version int }
			if err := json.Unmarshal([]byte(got), &a); err != nil {
				t.Error(err)
			}
			ids[i] = fmt.Sprintf("id %d version %d", a.ID, a.Version)
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if got := slices.Compact(ids); len(got) != 1 || got[0] != "id 1 version 1" {
		t.Errorf("got %q", got)
	}
	if got := s.Subjects(); !slices.Equal(got, []string{"s0", "s1", "s2", "s3"}) {
		t.Errorf("subjects %q", got)
	}
}

func TestIDsHaveNoGapsUnderConcurrency(t *testing.T) {
	s := New(WithCompatibility(LevelNone))
	var wg sync.WaitGroup
	ids := make([]int, 64)
	for i := range ids {
		wg.Go(func() {
			id, err := s.Register("s", Schema{Text: fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i+1)})
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
			if _, err := s.Schema(id); err != nil {
				t.Error(err)
			}
			send(t, s, "GET", "/schemas", "")
			send(t, s, "DELETE", fmt.Sprintf("/subjects/s/versions/%d", i+1), "")
			s.Calls()
		})
	}
	wg.Wait()
	slices.Sort(ids)
	for i, id := range ids {
		if id != i+1 {
			t.Fatalf("ids %v", ids)
		}
	}
}

func TestAuthorization(t *testing.T) {
	s := start(t, WithBasicAuth("alice", "secret"), WithBasicAuth("bob", ""), WithBearerToken("t0ken"))
	tests := []struct {
		name, header string
		want         int
	}{
		{"nobody", "", 401},
		{"a user", "Basic YWxpY2U6c2VjcmV0", 200},
		{"a wrong password", "Basic YWxpY2U6c2VjcmV1", 401},
		{"an empty password", "Basic YWxpY2U6", 401},
		{"a user whose password is empty", "Basic Ym9iOg==", 200},
		{"an unknown user", "Basic Y2Fyb2w6", 401},
		{"a token", "Bearer t0ken", 200},
		{"a scheme in lower case", "bearer t0ken", 200},
		{"a wrong token", "Bearer t0kem", 401},
		{"an empty token", "Bearer ", 401},
		{"a token without a scheme", "t0ken", 401},
		{"a password as a token", "Bearer secret", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/subjects", "/", "/nothing"} {
				status, body, err := call(t, client(), "GET", s.URL()+path, "", "Authorization", tt.header)
				if err != nil {
					t.Fatal(err)
				}
				if status == 404 && path == "/nothing" {
					status = 200
				}
				if status != tt.want || status == 401 && !strings.Contains(body, `"error_code":401`) {
					t.Errorf("%s: %d %s", path, status, body)
				}
			}
		})
	}
	if status, _, err := call(t, client(), "GET", start(t).URL()+"/subjects", "", "Authorization", "Bearer whatever"); err != nil || status != 200 {
		t.Errorf("an open server answers %d, %v", status, err)
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, WithTLS(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}))
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") {
		t.Fatalf("URL %s", s.URL())
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	c := client()
	c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer c.CloseIdleConnections()
	if status, body, err := call(t, c, "GET", s.URL()+"/subjects", ""); err != nil || status != 200 || body != "[]" {
		t.Errorf("%d %s %v", status, body, err)
	}
	if _, _, err := call(t, client(), "GET", s.URL()+"/subjects", ""); err == nil {
		t.Error("an unknown certificate is trusted")
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, opt := range map[string]Option{
		"an unknown level":          WithCompatibility("SIDEWAYS"),
		"no checker":                WithChecker(Avro, nil),
		"a checker for nothing":     WithChecker("", AvroChecker),
		"an empty token":            WithBearerToken(""),
		"TLS without a certificate": WithTLS(&tls.Config{MinVersion: tls.VersionTLS13}),
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Start(opt); err == nil {
				s.Close()
				t.Error("Start took it")
			}
			defer func() {
				if recover() == nil {
					t.Error("New took it")
				}
			}()
			New(opt)
		})
	}
}

func TestScriptedFaults(t *testing.T) {
	s := start(t)
	var mu sync.Mutex
	left := 2
	s.Fail(func(r *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPost && left > 0 {
			left--
			return 503 - left // 502, then 503
		}
		return 0
	})
	var seen []int
	for range 3 {
		status, body, err := call(t, client(), "POST", s.URL()+"/subjects/a/versions", `{"schema":"\"int\""}`)
		if err != nil {
			t.Fatal(err)
		}
		if status >= 500 && body != fmt.Sprintf(`{"error_code":%d,"message":"scripted fault"}`, status) {
			t.Errorf("body %s", body)
		}
		seen = append(seen, status)
	}
	if !slices.Equal(seen, []int{502, 503, 200}) {
		t.Errorf("statuses %v", seen)
	}
	s.Fail(func(*http.Request) int { return DropConnection })
	if status, _, err := call(t, client(), "GET", s.URL()+"/subjects", ""); err == nil {
		t.Errorf("answered with %d", status)
	}
	s.Fail(nil)
	if status, body, err := call(t, client(), "GET", s.URL()+"/subjects?deleted=true", ""); err != nil || status != 200 || body != `["a"]` {
		t.Errorf("%d %s %v: a fault changed something", status, body, err)
	}
	calls := s.Calls()
	last := calls[len(calls)-1]
	// A transport repeats a GET whose connection broke, so only the first and
	// the last calls are certain.
	if calls[0].Status != 502 || calls[2].Status != 200 || calls[3].Status != 0 || last.Method != http.MethodGet || last.Path != "/subjects" || last.Query.Get("deleted") != "true" || last.Status != 200 {
		t.Errorf("calls %v", calls)
	}
}

func TestFaultsThatAreNoStatus(t *testing.T) {
	s := New()
	s.Fail(func(*http.Request) int { return 7 })
	if w := send(t, s, "GET", "/subjects", ""); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

func TestGateHoldsRequests(t *testing.T) {
	s := start(t)
	gate := s.Hold(func(r *http.Request) bool { return r.URL.Path == "/subjects" })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if status, _, err := call(t, client(), "GET", s.URL()+"/subjects", ""); err != nil || status != 200 {
				t.Errorf("%d %v", status, err)
			}
		})
	}
	if err := gate.Wait(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if status, _, err := call(t, client(), "GET", s.URL()+"/config", ""); err != nil || status != 200 {
		t.Errorf("another request is held: %d, %v", status, err)
	}
	for _, c := range s.Calls() {
		if c.Path == "/subjects" && c.Status != 0 {
			t.Error("a held request was answered")
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := gate.Wait(ended, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for more: %v", err)
	}
	gate.Open()
	gate.Open()
	wg.Wait()
	if status, _, err := call(t, client(), "GET", s.URL()+"/subjects", ""); err != nil || status != 200 {
		t.Errorf("an open gate holds: %d, %v", status, err)
	}
}

func TestGateLetsGoOfClientsThatLeave(t *testing.T) {
	s := start(t)
	gate := s.Hold(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/subjects", http.NoBody)
		if err != nil {
			done <- err
			return
		}
		resp, err := client().Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	if err := gate.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	gate.Open()
	if status, _, err := call(t, client(), "GET", s.URL()+"/subjects", ""); err != nil || status != 200 {
		t.Errorf("%d %v", status, err)
	}
}

func TestCloseLetsGoOfHeldRequests(t *testing.T) {
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	gate := s.Hold(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = call(t, client(), "GET", s.URL()+"/subjects", "")
	}()
	if err := gate.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	url := s.URL()
	s.Close()
	s.Close()
	<-done
	if _, _, err := call(t, client(), "GET", url+"/subjects", ""); err == nil {
		t.Error("a closed server answers")
	}
	if w := send(t, s, "GET", "/subjects", ""); w.Code != 200 {
		t.Errorf("as a handler, it answers %d", w.Code)
	}
	late := s.Hold(nil)
	if w := send(t, s, "GET", "/subjects", ""); w.Code != 200 {
		t.Error("a gate after Close holds")
	}
	late.Open()
	New().Close()
}

func TestLogIsBounded(t *testing.T) {
	s := New()
	for i := range maxCalls + 5 {
		send(t, s, "GET", fmt.Sprintf("/schemas/ids/%d", i), "")
	}
	calls := s.Calls()
	if len(calls) != maxCalls || calls[0].Path != "/schemas/ids/5" || calls[0].Status != 404 {
		t.Errorf("%d calls, the first %v", len(calls), calls[0])
	}
}

func TestBodiesAreBounded(t *testing.T) {
	s := New()
	body := func(n int) string {
		return `{"schema":"\"int\"` + strings.Repeat(" ", n-len(`{"schema":"\"int\""}`)) + `"}`
	}
	if w := send(t, s, "POST", "/subjects/a/versions", body(maxBody)); w.Code != 200 {
		t.Errorf("4 MiB: %d %s", w.Code, w.Body)
	}
	if w := send(t, s, "POST", "/subjects/a/versions", body(maxBody+1)); w.Code != 413 || !strings.Contains(w.Body.String(), `"error_code":413`) {
		t.Errorf("one byte more: %d %s", w.Code, w.Body)
	}
}

func TestHelpersDoNotShareMemory(t *testing.T) {
	s := New()
	given := Schema{Text: `"int"`, Metadata: &Metadata{Tags: map[string][]string{"a": {"PII"}}, Properties: map[string]string{"k": "v"}},
		RuleSet: &RuleSet{DomainRules: []Rule{{Name: "r", Type: "CEL", Params: map[string]string{"p": "q"}}}}}
	id := mustRegister(t, s, "a", given)
	given.Metadata.Tags["a"][0], given.Metadata.Properties["k"], given.RuleSet.DomainRules[0].Params["p"] = "x", "x", "x"
	got, err := s.Schema(id)
	if err != nil {
		t.Fatal(err)
	}
	got.RuleSet.DomainRules[0].Name = "y"
	got.Metadata.Properties["k"] = "y"
	again, err := s.Schema(id)
	if err != nil {
		t.Fatal(err)
	}
	if r := again.RuleSet.DomainRules[0]; again.Metadata.Tags["a"][0] != "PII" || again.Metadata.Properties["k"] != "v" || r.Params["p"] != "q" || r.Name != "r" || r.Mode != "WRITEREAD" {
		t.Errorf("got %s", encode(again))
	}
	if again.Format != Avro {
		t.Errorf("format %q", again.Format)
	}
	_, err = s.Schema(99)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeSchemaNotFound || e.Status != 404 {
		t.Errorf("error %v", err)
	}
	if err := s.SetCompatibility("a", "SIDEWAYS"); err == nil {
		t.Error("an unknown level is taken")
	}
	if err := s.SetCompatibility("", LevelNone); err != nil {
		t.Error(err)
	}
	if w := send(t, s, "GET", "/config", ""); !strings.Contains(w.Body.String(), LevelNone) {
		t.Errorf("config %s", w.Body)
	}
}

// Ids and GUIDs depend on all that makes a schema, and on nothing else.
func TestIdentity(t *testing.T) {
	base := func() Schema {
		return Schema{Text: `"int"`, Metadata: &Metadata{}, RuleSet: &RuleSet{}}
	}
	variants := map[string]func(*Schema){
		"base":            func(*Schema) {},
		"no metadata":     func(s *Schema) { s.Metadata = nil },
		"no rule set":     func(s *Schema) { s.RuleSet = nil },
		"text":            func(s *Schema) { s.Text = `"long"` },
		"tags":            func(s *Schema) { s.Metadata.Tags = map[string][]string{"a": {"T"}} },
		"no tags of one":  func(s *Schema) { s.Metadata.Tags = map[string][]string{"a": {}} },
		"property":        func(s *Schema) { s.Metadata.Properties = map[string]string{"a": "b"} },
		"sensitive":       func(s *Schema) { s.Metadata.Sensitive = []string{"a"} },
		"enableAt":        func(s *Schema) { s.RuleSet.EnableAt = "ALL" },
		"domain rule":     func(s *Schema) { s.RuleSet.DomainRules = []Rule{{Name: "r", Type: "CEL"}} },
		"encoding rule":   func(s *Schema) { s.RuleSet.EncodingRules = []Rule{{Name: "r", Type: "CEL"}} },
		"disabled rule":   func(s *Schema) { s.RuleSet.DomainRules = []Rule{{Name: "r", Type: "CEL", Disabled: true}} },
		"rule with a tag": func(s *Schema) { s.RuleSet.DomainRules = []Rule{{Name: "r", Type: "CEL", Tags: []string{"T"}}} },
		"rule with params": func(s *Schema) {
			s.RuleSet.DomainRules = []Rule{{Name: "r", Type: "CEL", Params: map[string]string{"a": "b"}}}
		},
	}
	ids, guids := map[int]string{}, map[string]string{}
	one, other := New(WithCompatibility(LevelNone)), New(WithCompatibility(LevelNone))
	for name, change := range variants {
		schema := base()
		change(&schema)
		// Nothing is inherited: each has a subject of its own.
		id := mustRegister(t, one, name, schema)
		if before, ok := ids[id]; ok {
			t.Errorf("%s and %s have one id", before, name)
		}
		ids[id] = name
		if again := mustRegister(t, one, "again "+name, schema); again != id {
			t.Errorf("%s has the ids %d and %d", name, id, again)
		}
		guid := one.store.contexts["."].byID[id].guid()
		if before, ok := guids[guid]; ok || len(guid) != 36 {
			t.Errorf("%s and %s have the GUID %s", before, name, guid)
		}
		guids[guid] = name
		there := mustRegister(t, other, name, schema)
		if got := other.store.contexts["."].byID[there].guid(); got != guid {
			t.Errorf("%s has the GUID %s here and %s there", name, guid, got)
		}
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	s := start(t)
	if status, body, err := call(t, client(), "HEAD", s.URL()+"/subjects", ""); err != nil || status != 200 || body != "" {
		t.Errorf("%d %q %v", status, body, err)
	}
}
