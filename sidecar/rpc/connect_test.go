package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1/fieldveilv1connect"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

var update = flag.Bool("update", false, "write the golden files anew")

// overHTTP1 and overHTTP2 are clients as programs have them: HTTP/2 without TLS
// begins without asking.
func client(t testing.TB, http2 bool) *http.Client {
	t.Helper()
	p := &http.Protocols{}
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// post sends a body and returns the status and the answer.
func post(t *testing.T, c *http.Client, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(out)
}

// TestConnectJSONExchanges plays the requests of testdata/golden and compares the
// answers. Each file holds a request and, below it, its answer.
func TestConnectJSONExchanges(t *testing.T) {
	tests := []struct {
		name, method, body string
		change             func(*rig)
	}{
		{name: "produce", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","records":[{"key":"Yy03","value":"eyJpZCI6N30=","headers":[{"name":"src","value":"d2Vi"},{"name":"gone"}],"timestamp":"2026-01-02T03:04:05.678Z"},{"value":""},{"key":"Yy04"}]}`},
		{name: "produce-rejected", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","mode":"MODE_WHOLE","records":[{"value":"eyJpZCI6N30="}]}`, change: func(r *rig) {
			r.sender.script = func(produce.Record) *produce.Result { return refused(produce.Rejected, "value_rejected") }
		}},
		{name: "produce-unknown-field", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","validate_onIy":true,"records":[{"value":"eyJpZCI6N30="}]}`},
		{name: "produce-unknown-field-of-record", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","records":[{"email":"ann@example.test"}]}`},
		{name: "produce-not-base64", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","records":[{"value":"ann@example.test"}]}`},
		{name: "produce-empty", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers"}`},
		{name: "produce-twice", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","topic":"orders","records":[{}]}`},
		{name: "produce-denied", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"secret","records":[{}]}`},
		{name: "produce-overloaded", method: v1.ProduceService_Produce_FullMethodName, body: `{"topic":"customers","records":[{}]}`, change: func(r *rig) {
			r.sender.admit = &produce.Error{Code: produce.CodeOverloaded, Outcome: produce.Retryable}
		}},
		{name: "check", method: v1.ProduceService_Check_FullMethodName, body: `{"topic":"customers","records":[{"value":"e30="}]}`},
		{name: "check-rejected", method: v1.ProduceService_Check_FullMethodName, body: `{"topic":"customers","records":[{"value":"e30="}]}`, change: func(r *rig) {
			r.sender.script = func(produce.Record) *produce.Result { return refused(produce.Rejected, "value_rejected") }
		}},
		{name: "protect", method: v1.ProtectService_Protect_FullMethodName, body: `{"record":{"topic":"customers","value":"YWJj"}}`},
		{name: "protect-rejected", method: v1.ProtectService_Protect_FullMethodName, body: `{"record":{"topic":"customers","value":"YWJj"}}`, change: func(r *rig) {
			r.protect.err = &produce.Error{Code: "value_rejected", Outcome: produce.Rejected, Path: "value:/cvv", Tag: "PCI.CVV", Action: "reject"}
		}},
		{name: "reveal", method: v1.ProtectService_Reveal_FullMethodName, body: `{"record":{"topic":"customers","value":"Y2Jh"},"purpose":"support"}`},
		{name: "health", method: healthpb.Health_Check_FullMethodName, body: `{}`},
	}
	for _, test := range tests {
		for _, over := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(test.name+" over "+over, func(t *testing.T) {
				r := newRig(t, nil)
				r.SetServing(true)
				if test.change != nil {
					test.change(r)
				}
				code, body := post(t, client(t, over == "HTTP/2"), "http://"+r.addr+test.method, test.body)
				// protojson writes spaces at random, on purpose.
				var out bytes.Buffer
				if err := json.Indent(&out, []byte(compact(t, body)), "", "  "); err != nil {
					t.Fatalf("%v in %q", err, body)
				}
				got := "POST " + test.method + "\n" + test.body + "\n\n" + http.StatusText(code) + "\n" + out.String() + "\n"
				file := filepath.Join("testdata", "golden", test.name+".txt")
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(s)); err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	return out.String()
}

// protocols are the ways to call that connect-go's client has.
func protocols() map[string]connect.ClientOption {
	return map[string]connect.ClientOption{
		"gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(), "Connect": connect.WithClientOptions(),
		"Connect JSON": connect.WithProtoJSON(), "gRPC JSON": connect.WithClientOptions(connect.WithGRPC(), connect.WithProtoJSON()),
		"gRPC-Web, gzip": connect.WithClientOptions(connect.WithGRPCWeb(), connect.WithSendGzip()),
		"gRPC, gzip":     connect.WithClientOptions(connect.WithGRPC(), connect.WithSendGzip()),
	}
}

func TestEveryProtocolProducesAndStreams(t *testing.T) {
	for name, opt := range protocols() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
			out, err := c.Produce(t.Context(), connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{Value: []byte{}}, {}}}))
			if err != nil || out.Msg.GetResults()[1].GetOffset() != 1 {
				t.Fatal(out, err)
			}
			if got := r.sender.records(); got[0].Value == nil || got[1].Value != nil {
				t.Errorf("got %v", got)
			}
			_, err = c.Produce(t.Context(), connect.NewRequest(&v1.ProduceRequest{Topic: "secret", Records: []*v1.Record{{}}}))
			var cerr *connect.Error
			if !errors.As(err, &cerr) || cerr.Code() != connect.CodePermissionDenied || len(cerr.Details()) != 1 {
				t.Errorf("got %v", err)
			}

			s := c.ProduceStream(t.Context())
			if err := s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: "t"}}}); err != nil {
				t.Fatal(err)
			}
			if m, err := s.Receive(); err != nil || m.GetOpened() == nil {
				t.Fatal(m, err)
			}
			for i := range 3 {
				b := &v1.StreamBatch{Sequence: uint64(i + 10), Records: []*v1.Record{{Value: []byte("v")}}}
				if err := s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: b}}); err != nil {
					t.Fatal(err)
				}
				if m, err := s.Receive(); err != nil || m.GetAck().GetSequence() != uint64(i+10) || m.GetAck().GetResults()[0].GetOffset() != int64(i+2) {
					t.Fatal(m, err)
				}
			}
			if err := s.CloseRequest(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v", err)
			}
			if err := s.CloseResponse(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProtocolsMayShareAConnection(t *testing.T) {
	r := newRig(t, func(c *Config, _ *Deps) { c.MixedConnections = true })
	hc := client(t, true)
	for name, opt := range protocols() {
		c := fieldveilv1connect.NewProduceServiceClient(hc, "http://"+r.addr, opt)
		if _, err := c.Produce(t.Context(), connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range r.guard.callers {
		if c.Remote.String() != r.guard.callers[0].Remote.String() {
			t.Error("there are two connections")
		}
	}
}

func TestGuardSeesWhoCalls(t *testing.T) {
	for name, opt := range protocols() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
			req := connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}})
			req.Header().Set("Authorization", "Bearer good")
			if _, err := c.Produce(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			got := r.guard.callers[0]
			want := strings.ToLower(strings.Fields(strings.ReplaceAll(name, ",", " "))[0])
			if got.Protocol != want || got.Procedure != v1.ProduceService_Produce_FullMethodName || got.TLS != nil ||
				!strings.HasPrefix(got.Remote.String(), "127.0.0.1:") || got.Conn == nil || got.Header("AUTHORIZATION")[0] != "Bearer good" {
				t.Errorf("got %+v", got)
			}
			req = connect.NewRequest(req.Msg)
			req.Header().Set("Authorization", "Bearer bad")
			if _, err := c.Produce(t.Context(), req); connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Error(err)
			}
		})
	}
}

func TestConnectRefusesLargeMessagesAlsoWhenTheyAreSmallOnTheWire(t *testing.T) {
	r := newRig(t, nil)
	for name, opt := range protocols() {
		c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
		_, err := c.Produce(t.Context(), connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{Value: make([]byte, 5<<20)}}}))
		if connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStreamOverHTTP1IsRefused(t *testing.T) {
	r := newRig(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+v1.ProduceService_ProduceStream_FullMethodName, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/connect+json")
	resp, err := client(t, false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("got %s", resp.Status)
	}
}

func TestConnectWatchFollowsTheServer(t *testing.T) {
	r := newRig(t, nil)
	c := connect.NewClient[healthpb.HealthCheckRequest, healthpb.HealthCheckResponse](client(t, true), "http://"+r.addr+healthpb.Health_Watch_FullMethodName)
	s, err := c.CallServerStream(t.Context(), connect.NewRequest(&healthpb.HealthCheckRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_NOT_SERVING, healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		if !s.Receive() || s.Msg().GetStatus() != want {
			t.Fatalf("got %v, want %v", s.Msg(), want)
		}
		if want == healthpb.HealthCheckResponse_NOT_SERVING {
			r.SetServing(true)
		} else {
			r.Drain()
		}
	}
	// Only the end of the server ends a watch that nobody cancels.
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(context.WithoutCancel(t.Context())) }()
	if s.Receive() || connect.CodeOf(s.Err()) != connect.CodeUnavailable {
		t.Errorf("got %v", s.Err())
	}
	_ = s.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	r := newRig(t, nil)
	cc := r.dial(t)
	list := func(stream interface {
		CloseSend() error
	}, names []string,
	) {
		t.Helper()
		_ = stream.CloseSend()
		for _, want := range reflected() {
			if !strings.Contains(strings.Join(names, " "), want) {
				t.Errorf("%s is not in %v", want, names)
			}
		}
	}
	s, err := reflectionv1.NewServerReflectionClient(cc).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	m, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range m.GetListServicesResponse().GetService() {
		names = append(names, x.GetName())
	}
	list(s, names)

	a, err := reflectionv1alpha.NewServerReflectionClient(cc).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // clients still use v1alpha
	_ = a.Send(&reflectionv1alpha.ServerReflectionRequest{
		MessageRequest: &reflectionv1alpha.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "fieldveil.v1.ProduceService"},
	})
	if m, err := a.Recv(); err != nil || len(m.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 { //nolint:staticcheck // clients still use v1alpha
		t.Error(m, err)
	}
	_ = a.CloseSend()

	over := grpcreflect.NewClient(client(t, true), "http://"+r.addr).NewStream(t.Context())
	services, err := over.ListServices()
	if err != nil || len(services) != 3 {
		t.Error(services, err)
	}
	_, _ = over.Close()
}

func TestReflectionIsOffWhenItIsSwitchedOff(t *testing.T) {
	r := newRig(t, func(c *Config, _ *Deps) { c.Reflection = false })
	s, err := reflectionv1.NewServerReflectionClient(r.dial(t)).ServerReflectionInfo(t.Context(), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err == nil {
		t.Error("it answers")
	}
	if code, _ := post(t, client(t, false), "http://"+r.addr+"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "{}"); code != http.StatusNotFound {
		t.Errorf("got %d", code)
	}
}
