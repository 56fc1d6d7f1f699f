package rpc

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

func TestGRPCProduceKeepsNullAndEmptyApart(t *testing.T) {
	r := newRig(t, nil)
	c := v1.NewProduceServiceClient(r.dial(t))
	out, err := c.Produce(t.Context(), &v1.ProduceRequest{
		Topic: "customers", Mode: v1.Mode_MODE_WHOLE,
		Records: []*v1.Record{
			{Key: []byte("k"), Value: []byte("v"), Partition: proto.Int32(3), Timestamp: &timestamppb.Timestamp{Seconds: 5, Nanos: 7e6},
				Headers: []*v1.Header{{Name: "a", Value: []byte("1")}, {Name: "a"}, {Name: "b", Value: []byte{}}}},
			{Topic: "orders", Key: []byte{}},
			{Value: []byte{}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.GetResults()) != 3 || out.GetResults()[2].GetOffset() != 2 || out.GetResults()[0].GetOutcome() != v1.Outcome_OUTCOME_DELIVERED {
		t.Errorf("got %v", out)
	}
	got := r.sender.records()
	want := []produce.Record{
		{Topic: "customers", Partition: 3, Key: []byte("k"), Value: []byte("v"), Timestamp: got[0].Timestamp,
			Headers: []produce.Header{{Key: "a", Value: []byte("1")}, {Key: "a"}, {Key: "b", Value: []byte{}}}},
		{Topic: "orders", Partition: -1, Key: []byte{}},
		{Topic: "customers", Partition: -1, Value: []byte{}},
	}
	if !reflect.DeepEqual(got, want) || got[0].Timestamp.UnixMilli() != 5007 {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !slices.Equal(r.sender.modes, []produce.Mode{produce.Whole}) {
		t.Errorf("modes %v", r.sender.modes)
	}
}

func TestGRPCStreamAcknowledgesInOrder(t *testing.T) {
	for _, mode := range []v1.Mode{v1.Mode_MODE_EACH, v1.Mode_MODE_WHOLE} {
		t.Run(mode.String(), func(t *testing.T) {
			r := newRig(t, func(c *Config, _ *Deps) { c.WindowRecords = 10 })
			s, err := v1.NewProduceServiceClient(r.dial(t)).ProduceStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			const n = 100
			go func() {
				_ = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: "customers", Mode: mode}}})
				for i := range n {
					b := &v1.StreamBatch{Sequence: uint64(i + 1), Records: []*v1.Record{{Value: []byte{byte(i)}}, {Value: []byte{byte(i)}}}}
					_ = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: b}})
				}
				_ = s.CloseSend()
			}()
			first, err := s.Recv()
			if err != nil || first.GetOpened().GetWindowRecords() != 10 {
				t.Fatal(first, err)
			}
			for i := range n {
				m, err := s.Recv()
				if err != nil {
					t.Fatal(err)
				}
				ack := m.GetAck()
				if ack.GetSequence() != uint64(i+1) || len(ack.GetResults()) != 2 || ack.GetResults()[1].GetOffset() != int64(2*i+1) {
					t.Fatalf("acknowledgement %d: %v", i, m)
				}
			}
			if _, err := s.Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v", err)
			}
			for i, rec := range r.sender.records() {
				if rec.Topic != "customers" || rec.Value[0] != byte(i/2) {
					t.Fatalf("record %d is %v", i, rec)
				}
			}
		})
	}
}

// details returns the code, the reason and the details of an error.
func details(t *testing.T, err error) (codes.Code, *errdetails.ErrorInfo, []any) {
	t.Helper()
	st := status.Convert(err)
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return st.Code(), info, st.Details()
		}
	}
	t.Fatalf("no ErrorInfo in %v", err)
	return 0, nil, nil
}

func TestGRPCCallsThatFailSayWhy(t *testing.T) {
	value := []*v1.Record{{Value: []byte("ann@example.test")}}
	tests := []struct {
		name   string
		change func(*rig)
		ctx    func(context.Context) context.Context
		in     *v1.ProduceRequest
		code   codes.Code
		reason string
		path   string
		retry  bool
	}{
		{name: "no records", in: &v1.ProduceRequest{Topic: "t"}, code: codes.InvalidArgument, reason: "request_invalid", path: "records"},
		{name: "no topic", in: &v1.ProduceRequest{Records: value}, code: codes.InvalidArgument, reason: "request_invalid", path: "records[0].topic"},
		{name: "a topic that cannot be", in: &v1.ProduceRequest{Topic: "a b", Records: value}, code: codes.InvalidArgument, reason: "request_invalid", path: "topic"},
		{name: "a negative partition", in: &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}, {Partition: proto.Int32(-2)}}}, code: codes.InvalidArgument, reason: "request_invalid", path: "records[1].partition"},
		{name: "a mode that is not known", in: &v1.ProduceRequest{Topic: "t", Mode: 7, Records: value}, code: codes.InvalidArgument, reason: "request_invalid", path: "mode"},
		{name: "a topic that is denied", in: &v1.ProduceRequest{Topic: "secret", Records: value}, code: codes.PermissionDenied, reason: "permission_denied"},
		{
			name: "a caller who is not known", in: &v1.ProduceRequest{Topic: "t", Records: value}, code: codes.Unauthenticated, reason: "unauthenticated",
			ctx: func(ctx context.Context) context.Context {
				return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer bad")
			},
		},
		{name: "a guard with a fault", in: &v1.ProduceRequest{Topic: "t", Records: value}, code: codes.Internal, reason: "internal", change: func(r *rig) { r.guard.fault = errFake }},
		{name: "a guard that cannot say", in: &v1.ProduceRequest{Topic: "t", Records: value}, code: codes.Unavailable, reason: "authorization_unavailable", retry: true, change: func(r *rig) { r.guard.fault = ErrGuardUnavailable }},
		{name: "no room", in: &v1.ProduceRequest{Topic: "t", Records: value}, code: codes.ResourceExhausted, reason: "overloaded", retry: true, change: func(r *rig) {
			r.sender.admit = &produce.Error{Code: produce.CodeOverloaded, Outcome: produce.Retryable}
		}},
		{name: "a sidecar that drains", in: &v1.ProduceRequest{Topic: "t", Records: value}, code: codes.Unavailable, reason: "draining", retry: true, change: func(r *rig) { r.sender.admit = &produce.Error{Code: produce.CodeDraining, Outcome: produce.Retryable} }},
		{name: "too many records", in: &v1.ProduceRequest{Topic: "t", Records: slices.Repeat([]*v1.Record{{}}, 10_001)}, code: codes.InvalidArgument, reason: "request_invalid", path: "records"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, nil)
			if test.change != nil {
				test.change(r)
			}
			ctx := t.Context()
			if test.ctx != nil {
				ctx = test.ctx(ctx)
			}
			_, err := v1.NewProduceServiceClient(r.dial(t)).Produce(ctx, test.in)
			code, info, all := details(t, err)
			if code != test.code || info.GetReason() != test.reason || info.GetDomain() != "fieldveil" || info.GetMetadata()["path"] != test.path {
				t.Errorf("got %v, %v", code, info)
			}
			var retry, violation bool
			for _, d := range all {
				switch d := d.(type) {
				case *errdetails.RetryInfo:
					retry = d.GetRetryDelay().AsDuration() == r.cfg.RetryAfter
				case *errdetails.BadRequest:
					violation = d.GetFieldViolations()[0].GetField() == test.path
				}
			}
			if retry != test.retry || violation != (test.path != "") {
				t.Errorf("details %v", all)
			}
			if strings.Contains(err.Error(), "ann@") {
				t.Errorf("the error holds data: %v", err)
			}
			if n := len(r.sender.records()); n != 0 {
				t.Errorf("%d records were handed over", n)
			}
		})
	}
}

func TestGRPCMessageThatIsTooLargeIsRefused(t *testing.T) {
	r := newRig(t, nil)
	_, err := v1.NewProduceServiceClient(r.dial(t)).Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{Value: make([]byte, 5<<20)}}})
	if status.Code(err) != codes.ResourceExhausted || len(r.sender.records()) != 0 {
		t.Error(err)
	}
}

func TestGRPCResultsOfRecords(t *testing.T) {
	r := newRig(t, nil)
	script := []*produce.Result{delivered(4), refused(produce.Rejected, "value_rejected"), refused(produce.Retryable, "key_unavailable"), {Outcome: produce.Delivered, Err: &produce.Error{Code: produce.CodeInternal}}, {Outcome: produce.Rejected}}
	r.sender.script = func(produce.Record) *produce.Result {
		res := script[0]
		script = script[1:]
		return res
	}
	out, err := v1.NewProduceServiceClient(r.dial(t)).Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: slices.Repeat([]*v1.Record{{}}, 5)})
	if err != nil {
		t.Fatal(err)
	}
	want := []*v1.RecordResult{
		{Outcome: v1.Outcome_OUTCOME_DELIVERED, Partition: proto.Int32(0), Offset: proto.Int64(4), Timestamp: &timestamppb.Timestamp{Seconds: 1700000000, Nanos: 123e6}},
		{Outcome: v1.Outcome_OUTCOME_REJECTED, Code: "value_rejected", Path: "value:/email", Tag: "PII.EMAIL", Action: "encrypt"},
		{Outcome: v1.Outcome_OUTCOME_RETRYABLE, Code: "key_unavailable", Path: "value:/email", Tag: "PII.EMAIL", Action: "encrypt"},
		// Results that contradict themselves are no deliveries.
		{Outcome: v1.Outcome_OUTCOME_UNKNOWN, Code: "internal"},
		{Outcome: v1.Outcome_OUTCOME_REJECTED, Code: "internal"},
	}
	for i, w := range want {
		if !proto.Equal(out.GetResults()[i], w) {
			t.Errorf("result %d: got %v, want %v", i, out.GetResults()[i], w)
		}
	}
}

func TestGRPCProtectAndReveal(t *testing.T) {
	r := newRig(t, nil)
	c := v1.NewProtectServiceClient(r.dial(t))
	in := &v1.Record{Topic: "customers", Key: []byte("k"), Value: []byte("abc"), Partition: proto.Int32(2), Timestamp: &timestamppb.Timestamp{Seconds: 1}}
	out, err := c.Protect(t.Context(), &v1.ProtectRequest{Record: in})
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(in)
	want.Value, want.Headers = []byte("cba"), []*v1.Header{{Name: "fv", Value: []byte("block")}}
	if !proto.Equal(out.GetRecord(), want) {
		t.Errorf("got %v, want %v", out.GetRecord(), want)
	}

	back, err := c.Reveal(t.Context(), &v1.RevealRequest{Record: out.GetRecord(), Purpose: "support"})
	if err != nil || string(back.GetRecord().GetValue()) != "abc" {
		t.Fatal(back, err)
	}
	if _, err = c.Reveal(t.Context(), &v1.RevealRequest{Record: in, Purpose: "curiosity"}); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	if _, err = c.Reveal(t.Context(), &v1.RevealRequest{Record: in}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	r.protect.err = &produce.Error{Code: "key_unavailable", Outcome: produce.Retryable, Path: "value:/email"}
	if _, err = c.Reveal(t.Context(), &v1.RevealRequest{Record: in, Purpose: "support"}); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	r.protect.err = nil
	r.audit.err = errFake
	back, err = c.Reveal(t.Context(), &v1.RevealRequest{Record: in, Purpose: "support"})
	if code, info, _ := details(t, err); code != codes.Unavailable || info.GetReason() != "audit_unavailable" || back != nil {
		t.Errorf("got %v, %v", back, err)
	}
	lines := []Reveal{
		{"customers", "support", "revealed"}, {"customers", "curiosity", "permission_denied"},
		{"customers", "support", "key_unavailable"}, {"customers", "support", "revealed"},
	}
	if !slices.Equal(r.audit.lines, lines) {
		t.Errorf("audit: got %v", r.audit.lines)
	}
}

func TestGRPCHealthFollowsTheServer(t *testing.T) {
	r := newRig(t, nil)
	c := healthpb.NewHealthClient(r.dial(t))
	w, err := c.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "fieldveil.v1.ProduceService"})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := w.Recv()
		if err != nil || got.GetStatus() != want {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
		now, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || now.GetStatus() != want {
			t.Fatalf("Check: got %v, %v, want %v", now, err, want)
		}
	}
	expect(healthpb.HealthCheckResponse_NOT_SERVING)
	r.SetServing(true)
	expect(healthpb.HealthCheckResponse_SERVING)
	r.Drain()
	expect(healthpb.HealthCheckResponse_NOT_SERVING)
	if _, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
}
