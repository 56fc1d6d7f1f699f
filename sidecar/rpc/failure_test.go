package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// The transport may tell of the end of a call before the context of the stream does.
func TestTheEndOfACallIsNoMessageThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"a context that ended":            {context.DeadlineExceeded, codes.DeadlineExceeded, string(produce.CodeCanceled)},
		"one that was canceled, wrapped":  {fmt.Errorf("reading: %w", context.Canceled), codes.Canceled, string(produce.CodeCanceled)},
		"a status of gRPC":                {status.Error(codes.Canceled, "x"), codes.Canceled, string(produce.CodeCanceled)},
		"an error of Connect":             {connect.NewError(connect.CodeDeadlineExceeded, nil), codes.DeadlineExceeded, string(produce.CodeCanceled)},
		"a message that is too large":     {status.Error(codes.ResourceExhausted, "x"), codes.ResourceExhausted, reasonLarge},
		"a message that is none":          {status.Error(codes.Internal, "x"), codes.InvalidArgument, string(produce.CodeInvalid)},
		"what no library is known to say": {errors.New("x"), codes.InvalidArgument, string(produce.CodeInvalid)},
	} {
		t.Run(name, func(t *testing.T) {
			f := (*Server)(nil).receiveFailure(t.Context(), tt.err)
			if f.code != tt.code || f.reason != tt.reason {
				t.Errorf("code %v, reason %s", f.code, f.reason)
			}
		})
	}
}
