package rpc

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A fakeObserver keeps what it hears.
type fakeObserver struct {
	mu    sync.Mutex
	calls []Call
	names []string // that the Guard gave
	heard chan struct{}
}

func (o *fakeObserver) Called(ctx context.Context, c Call) {
	name, _ := ctx.Value(nameKey{}).(string)
	o.mu.Lock()
	o.calls = append(o.calls, c)
	o.names = append(o.names, name)
	o.mu.Unlock()
	o.heard <- struct{}{}
}

// one waits for a call and returns it. The time it took is not looked at.
func (o *fakeObserver) one(t *testing.T) Call {
	t.Helper()
	<-o.heard
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.calls[len(o.calls)-1]
	if c.Took < 0 {
		t.Errorf("took %v", c.Took)
	}
	c.Took = 0
	return c
}

func observedRig(t *testing.T) (*rig, *fakeObserver) {
	t.Helper()
	o := &fakeObserver{heard: make(chan struct{}, 64)}
	return newRig(t, func(_ *Config, d *Deps) { d.Observer = o }), o
}

func TestCallsOverGRPCAreTold(t *testing.T) {
	const produced, checked, revealed = v1.ProduceService_Produce_FullMethodName, v1.ProduceService_Check_FullMethodName, v1.ProtectService_Reveal_FullMethodName
	r, o := observedRig(t)
	cc := r.dial(t)
	produceCall, protectCall := v1.NewProduceServiceClient(cc), v1.NewProtectServiceClient(cc)
	bad := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer bad")
	recs := []*v1.Record{{Value: []byte("abc")}, {Value: []byte("de")}}
	mixed := []*v1.Record{{Value: []byte("abc")}, {Topic: "u", Value: []byte("de")}}
	for _, tt := range []struct {
		name string
		do   func() error
		want Call
	}{
		{"delivered", func() error {
			_, err := produceCall.Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: recs})
			return err
		}, Call{Protocol: "grpc", Procedure: produced, Topic: "t", Records: 2, BytesIn: 5}},
		{"two topics", func() error {
			_, err := produceCall.Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: mixed})
			return err
		}, Call{Protocol: "grpc", Procedure: produced, Records: 2, BytesIn: 5}},
		{"checked", func() error {
			_, err := produceCall.Check(t.Context(), &v1.CheckRequest{Topic: "t", Records: recs[:1]})
			return err
		}, Call{Protocol: "grpc", Procedure: checked, Topic: "t", Records: 1, BytesIn: 3}},
		{"nobody knows who", func() error {
			_, err := produceCall.Produce(bad, &v1.ProduceRequest{Topic: "t", Records: recs})
			return err
		}, Call{Protocol: "grpc", Procedure: produced, Status: codes.Unauthenticated, Code: "unauthenticated"}},
		{"a topic that is denied", func() error {
			_, err := produceCall.Produce(t.Context(), &v1.ProduceRequest{Topic: "secret", Records: recs})
			return err
		}, Call{Protocol: "grpc", Procedure: produced, Status: codes.PermissionDenied, Code: "permission_denied", Records: 2, Failed: 2, BytesIn: 5}},
		{"no records", func() error {
			_, err := produceCall.Produce(t.Context(), &v1.ProduceRequest{Topic: "t"})
			return err
		}, Call{Protocol: "grpc", Procedure: produced, Status: codes.InvalidArgument, Code: "request_invalid"}},
		{"revealed", func() error {
			_, err := protectCall.Reveal(t.Context(), &v1.RevealRequest{Record: &v1.Record{Topic: "t", Value: []byte("abc")}, Purpose: "case"})
			return err
		}, Call{Protocol: "grpc", Procedure: revealed, Topic: "t", Records: 1, BytesIn: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do()
			if got := codeOf(err); got != tt.want.Status {
				t.Errorf("the call says %v", err)
			}
			got := o.one(t)
			got.BytesIn, tt.want.BytesIn = min(got.BytesIn, 1), min(tt.want.BytesIn, 1) // names of topics count too
			if got != tt.want {
				t.Errorf("told %+v\nwant %+v", got, tt.want)
			}
		})
	}
	r.sender.script = func(rec produce.Record) *produce.Result {
		if len(rec.Value) == 2 {
			return &produce.Result{Err: &produce.Error{Code: produce.CodeUnknown, Outcome: produce.Unknown}, Outcome: produce.Unknown}
		}
		return delivered(0)
	}
	if _, err := produceCall.Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: recs}); err != nil {
		t.Fatal(err)
	}
	if c := o.one(t); c.Failed != 1 || c.Unknown != 1 || c.Code != string(produce.CodeUnknown) || c.Topic != "t" {
		t.Errorf("told %+v", c)
	}
	r.sender.script = func(produce.Record) *produce.Result { panic("ann@example.test") }
	if _, err := produceCall.Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: recs}); codeOf(err) != codes.Internal {
		t.Fatal(err)
	}
	if c := o.one(t); c.Status != codes.Internal || c.Code != string(produce.CodeInternal) {
		t.Errorf("told %+v", c)
	}
}

func TestAStreamIsToldWhenItEnds(t *testing.T) {
	r, o := observedRig(t)
	s, err := v1.NewProduceServiceClient(r.dial(t)).ProduceStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(1, "a", "b"), batchMessage(2, "c")} {
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for err = error(nil); err == nil; {
		_, err = s.Recv()
	}
	if err != io.EOF { //nolint:errorlint // grpc-go returns it bare
		t.Fatal(err)
	}
	c := o.one(t)
	if c.Procedure != v1.ProduceService_ProduceStream_FullMethodName || c.Records != 3 || c.Failed != 0 || c.Topic != "t" || c.Status != codes.OK || c.Code != "" {
		t.Errorf("told %+v", c)
	}
}

func TestCallsOverConnectAreTold(t *testing.T) {
	r, o := observedRig(t)
	for _, tt := range []struct {
		name, body string
		want       Call
	}{
		{"delivered", `{"topic":"t","records":[{"value":"YQ=="}]}`, Call{Topic: "t", Records: 1}},
		{"a message that cannot be read", `{"topic":`, Call{Status: codes.InvalidArgument, Code: "request_invalid"}},
		{"a topic that is denied", `{"topic":"secret","records":[{}]}`, Call{Status: codes.PermissionDenied, Code: "permission_denied", Records: 1, Failed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			post(t, client(t, false), "http://"+r.addr+v1.ProduceService_Produce_FullMethodName, tt.body)
			got := o.one(t)
			got.BytesIn = 0
			tt.want.Protocol, tt.want.Procedure = "connect", v1.ProduceService_Produce_FullMethodName
			if got != tt.want {
				t.Errorf("told %+v\nwant %+v", got, tt.want)
			}
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+v1.ProduceService_Produce_FullMethodName, strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer bad")
	res, err := client(t, false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if c := o.one(t); c.Status != codes.Unauthenticated || c.Code != "unauthenticated" {
		t.Errorf("told %+v", c)
	}
}

func TestAnUnknownCompressionIsNotRepeated(t *testing.T) {
	r := newRig(t, nil)
	for _, header := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		for media, path := range map[string]string{
			"application/json": v1.ProduceService_Produce_FullMethodName, "application/connect+json": v1.ProduceService_ProduceStream_FullMethodName,
			"application/grpc-web+proto": v1.ProduceService_Produce_FullMethodName,
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", media)
			req.Header.Set(header, "canary")
			res, err := client(t, true).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || strings.Contains(string(body), "canary") || strings.Contains(res.Header.Get("Grpc-Message")+res.Trailer.Get("Grpc-Message"), "canary") {
				t.Errorf("%s of %s: %s, %v", header, media, body, err)
			}
		}
	}
}

func TestEveryProcedureIsListed(t *testing.T) {
	var want int
	for _, d := range []int{len(v1.ProduceService_ServiceDesc.Methods) + len(v1.ProduceService_ServiceDesc.Streams), len(v1.ProtectService_ServiceDesc.Methods)} {
		want += d
	}
	if got := len(Procedures()); got != want {
		t.Errorf("%d procedures of %d", got, want)
	}
}

type nameKey struct{}

// A namingGuard puts a name into the context of who is let in.
type namingGuard struct{ Guard }

func (g namingGuard) Authenticate(ctx context.Context, c *Caller) (context.Context, error) {
	ctx, err := g.Guard.Authenticate(ctx, c)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, nameKey{}, "billing"), nil
}

func TestACallIsToldWithItsIDAndTheContextOfItsCaller(t *testing.T) {
	o := &fakeObserver{heard: make(chan struct{}, 64)}
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Observer, d.Guard = o, namingGuard{d.Guard}
		d.RequestID = func(given []string) string { return "id-" + strings.Join(given, "+") }
	})
	told := func(t *testing.T, header []string, id, name string) {
		t.Helper()
		c := o.one(t)
		o.mu.Lock()
		defer o.mu.Unlock()
		if got := o.names[len(o.names)-1]; c.Request != id || got != name || len(header) != 1 || header[0] != id {
			t.Errorf("told %q of %q, answered %q, want %q of %q", c.Request, got, header, id, name)
		}
	}
	produceCall := v1.NewProduceServiceClient(r.dial(t))
	req := &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{Value: []byte("abc")}}}
	for token, name := range map[string]string{"Bearer good": "billing", "Bearer bad": ""} {
		t.Run("gRPC "+token, func(t *testing.T) {
			var header metadata.MD
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", token, "x-request-id", "7")
			_, err := produceCall.Produce(ctx, req, grpc.Header(&header))
			if (err == nil) != (name != "") {
				t.Fatal(err)
			}
			told(t, header.Get("x-request-id"), "id-7", name)
		})
		t.Run("Connect "+token, func(t *testing.T) {
			web, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+v1.ProduceService_Produce_FullMethodName, strings.NewReader(`{"topic":"t","records":[{"value":"YQ=="}]}`))
			if err != nil {
				t.Fatal(err)
			}
			web.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {token}}
			res, err := http.DefaultTransport.RoundTrip(web)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			told(t, res.Header.Values("X-Request-ID"), "id-", name)
		})
	}
}
