package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// domain is the domain of every ErrorInfo.
const domain = "fieldveil"

// Reasons that no [produce.Code] names.
const (
	reasonUnauthenticated = "unauthenticated"
	reasonDenied          = "permission_denied"
	reasonHost            = "host_refused"
	reasonOrigin          = "origin_refused"
	reasonGuard           = "authorization_unavailable"
	reasonAudit           = "audit_unavailable"
	reasonIdle            = "stream_idle"
	reasonLarge           = "message_too_large"
	reasonMethod          = "method_unknown"
)

// A failure is why a call failed as a whole. It holds fixed words, names of
// topics and paths of fields, and never data.
type failure struct {
	code   codes.Code
	reason string
	words  string
	path   string        // of a field of the request, or of the record
	topic  string        // a legal name, or empty
	retry  time.Duration // 0 for none
}

// Error returns the words.
func (f *failure) Error() string { return f.words }

// details returns the details, packed. Their bytes are the same each time.
func (f *failure) details() []*anypb.Any {
	info := &errdetails.ErrorInfo{Reason: f.reason, Domain: domain}
	if f.path != "" || f.topic != "" {
		info.Metadata = map[string]string{}
	}
	if f.path != "" {
		info.Metadata["path"] = f.path
	}
	if f.topic != "" {
		info.Metadata["topic"] = f.topic
	}
	details := []proto.Message{info}
	if f.path != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: f.path, Description: f.words, Reason: f.reason},
		}})
	}
	if f.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.retry)})
	}
	out := make([]*anypb.Any, 0, len(details))
	for _, d := range details {
		packed := &anypb.Any{}
		if err := anypb.MarshalFrom(packed, d, proto.MarshalOptions{Deterministic: true}); err == nil {
			out = append(out, packed)
		}
	}
	return out
}

// grpc returns f for grpc-go.
func (f *failure) grpc() error {
	return status.FromProto(&statuspb.Status{
		Code: int32(f.code), Message: f.words, Details: f.details(), //nolint:gosec // codes are small
	}).Err()
}

// connect returns f for Connect, whose codes have the numbers of gRPC.
func (f *failure) connect() error {
	err := connect.NewError(connect.Code(f.code), errors.New(f.words))
	for _, d := range f.details() {
		if detail, derr := connect.NewErrorDetail(d); derr == nil {
			err.AddDetail(detail)
		}
	}
	return err
}

// codeOf returns the code of an error of either library, or of the end of a context
// that one of them returned as it is: the end of a call may be read from the wire
// before the contexts that were made of the call's have heard of it.
func codeOf(err error) codes.Code {
	if c, ok := errors.AsType[*connect.Error](err); ok {
		return codes.Code(c.Code())
	}
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return status.FromContextError(err).Code()
}

// invalid is a request that is not well formed at path.
func invalid(path, words string) *failure {
	return &failure{code: codes.InvalidArgument, reason: string(produce.CodeInvalid), words: words, path: path}
}

func internal() *failure {
	return &failure{code: codes.Internal, reason: string(produce.CodeInternal), words: "a fault of the sidecar"}
}

// guardFailure turns the error of a [Guard] into a failure. What the Guard does
// not explain is a fault, and refused all the same.
func (s *Server) guardFailure(err error, topic string) *failure {
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return &failure{code: codes.Unauthenticated, reason: reasonUnauthenticated, words: "the caller is not known", topic: topic}
	case errors.Is(err, ErrDenied):
		return &failure{code: codes.PermissionDenied, reason: reasonDenied, words: "the caller may not do this", topic: topic}
	case errors.Is(err, ErrHost):
		return &failure{code: codes.PermissionDenied, reason: reasonHost, words: "the call is for another host"}
	case errors.Is(err, ErrOrigin):
		return &failure{code: codes.PermissionDenied, reason: reasonOrigin, words: "the call comes from a page of another origin"}
	case errors.Is(err, ErrGuardUnavailable):
		return &failure{code: codes.Unavailable, reason: reasonGuard, words: "it cannot be said now what the caller may do", topic: topic, retry: s.cfg.RetryAfter}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &failure{code: status.FromContextError(err).Code(), reason: string(produce.CodeCanceled), words: "the call ended before it began"}
	default:
		return internal()
	}
}

// recordFailure turns the error of one record, or of Admit, into the failure of a
// call.
func (s *Server) recordFailure(err error, topic string) *failure {
	var e *produce.Error
	if !errors.As(err, &e) {
		return internal()
	}
	f := &failure{reason: string(e.Code), path: e.Path, topic: topic, words: e.Error()}
	switch e.Code {
	case produce.CodeOverloaded:
		f.code, f.words, f.retry = codes.ResourceExhausted, "the sidecar has no room now", s.cfg.RetryAfter
	case produce.CodeDraining:
		f.code, f.words, f.retry = codes.Unavailable, "the sidecar is being shut down", s.cfg.RetryAfter
	case produce.CodeInvalid, produce.CodeTooLarge:
		f.code = codes.InvalidArgument
	case produce.CodeTopicUnknown, produce.CodePartitionUnknown:
		f.code = codes.NotFound
	case produce.CodeKafkaDenied:
		f.code = codes.PermissionDenied
	case produce.CodeCanceled:
		f.code = codes.Canceled
	case produce.CodeUnknown:
		f.code = codes.DeadlineExceeded
	case produce.CodeInternal:
		f.code = codes.Internal
	default: // of the cluster and of the engine
		switch e.Outcome {
		case produce.Rejected:
			f.code = codes.FailedPrecondition
		case produce.Retryable:
			f.code, f.retry = codes.Unavailable, s.cfg.RetryAfter
		default:
			f.code = codes.Internal
		}
	}
	return f
}
