package rpc

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/experimental"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// Windows of HTTP/2 for gRPC, in bytes. They are fixed, so that what a client can
// make the server hold is known.
const (
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
)

// callWorkers is how many goroutines wait for calls. A call waits for brokers on a
// deep stack, and one that gets a goroutine of its own pays for growing it: a
// sixth of what a small call costs. More calls at a time get such goroutines.
const callWorkers = 128

// requestID is the id of a call in metadata.
const requestID = "x-request-id"

// newGRPC returns the grpc-go server, which serves the connections that speak
// nothing but gRPC.
func (s *Server) newGRPC() *grpc.Server {
	c := &s.cfg
	buffers := newPool()
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(newGRPCCodec(buffers)),
		experimental.BufferPool(buffers),
		grpc.Creds(handshaken{}),
		grpc.MaxRecvMsgSize(c.MaxMessageBytes),
		grpc.MaxHeaderListSize(uint32(c.MaxHeaderBytes)),             //nolint:gosec // Validate bounds it
		grpc.MaxConcurrentStreams(uint32(c.MaxStreamsPerConnection)), //nolint:gosec // Validate bounds it
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: c.MinPingInterval, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: c.IdleTimeout}),
		grpc.ConnectionTimeout(c.HandshakeTimeout),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.WaitForHandlers(true),
		grpc.NumStreamWorkers(callWorkers),
		// grpc-go's own answer repeats the name that was called.
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			return (&failure{code: codes.Unimplemented, reason: reasonMethod, words: "no such method"}).grpc()
		}),
	)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: v1.ProduceService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			s.unary("Produce", v1.ProduceService_Produce_FullMethodName, kindProduce),
			s.unary("Check", v1.ProduceService_Check_FullMethodName, kindCheck),
			{
				StreamName: "ProduceStream", ServerStreams: true, ClientStreams: true,
				Handler: s.guarded(v1.ProduceService_ProduceStream_FullMethodName, s.bidi),
			},
		},
		Metadata: v1.ProduceService_ServiceDesc.Metadata,
	}, s)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: v1.ProtectService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			s.unary("Protect", v1.ProtectService_Protect_FullMethodName, kindProtect),
			s.unary("Reveal", v1.ProtectService_Reveal_FullMethodName, kindReveal),
		},
		Metadata: v1.ProtectService_ServiceDesc.Metadata,
	}, s)
	healthpb.RegisterHealthServer(g, &grpcHealth{h: &s.health, stopped: s.draining})
	if c.Reflection {
		reflection.Register(g)
	}
	return g
}

// unary returns the handler of a unary method. To grpc-go it is a stream of one
// message each way, which is the same on the wire: grpc-go reads the message of a
// unary method before its handler can ask who calls.
func (s *Server) unary(name, method string, k kind) grpc.StreamDesc {
	handle := func(ctx context.Context, t *tally, ss grpc.ServerStream) error {
		ctx, err := s.deps.Guard.Authenticate(ctx, grpcCaller(ctx, method))
		if err != nil {
			return t.fail(s.guardFailure(err, "")).grpc()
		}
		t.authenticated(ctx)
		r := newRequest(k, &s.limits)
		if err := ss.RecvMsg(r); err != nil {
			r.release()
			return t.fail(s.receiveFailure(ctx, err)).grpc()
		}
		out, fault := s.call(ctx, r)
		if fault != nil {
			r.release()
			return fault.grpc()
		}
		return ss.SendMsg(out)
	}
	return grpc.StreamDesc{StreamName: name, Handler: s.guarded(method, handle)}
}

// bidi is the handler of ProduceStream.
func (s *Server) bidi(ctx context.Context, t *tally, ss grpc.ServerStream) error {
	ctx, err := s.deps.Guard.Authenticate(ctx, grpcCaller(ctx, v1.ProduceService_ProduceStream_FullMethodName))
	if err != nil {
		return t.fail(s.guardFailure(err, "")).grpc()
	}
	t.authenticated(ctx)
	if err := s.stream(ctx, grpcWire{ss}); err != nil {
		return t.fail(s.streamFailure(ctx, err)).grpc()
	}
	t.end()
	return nil
}

type grpcWire struct{ ss grpc.ServerStream }

func (w grpcWire) recv(r *request) error  { return w.ss.RecvMsg(r) }
func (w grpcWire) send(r *response) error { return w.ss.SendMsg(r) }

// guarded turns a panic of a handler into an error, and tells of the call.
func (s *Server) guarded(method string, next func(context.Context, *tally, grpc.ServerStream) error) grpc.StreamHandler {
	return func(_ any, ss grpc.ServerStream) (err error) {
		ctx, t, done := s.observed(ss.Context(), "grpc", method, metadata.ValueFromIncomingContext(ss.Context(), requestID))
		defer done()
		if t != nil && t.call.Request != "" {
			_ = ss.SetHeader(metadata.Pairs(requestID, t.call.Request)) // it fails once the call is over
		}
		defer func() {
			if recover() != nil {
				s.panicked(method)
				err = t.fail(internal()).grpc()
			}
		}()
		return next(ctx, t, ss)
	}
}

func grpcCaller(ctx context.Context, method string) *Caller {
	c := &Caller{Protocol: "grpc", Procedure: method}
	if p, ok := peer.FromContext(ctx); ok {
		c.Remote = p.Addr
		if info, ok := p.AuthInfo.(connInfo); ok {
			c.TLS, c.Conn = info.conn.tls, info.conn.below
		}
	}
	c.header = func(name string) []string { return metadata.ValueFromIncomingContext(ctx, name) }
	if host := c.header(":authority"); len(host) == 1 {
		c.Host = host[0]
	}
	return c
}

// receiveFailure is a message that could not be read. What the transport says of
// it is not repeated.
func (*Server) receiveFailure(ctx context.Context, err error) *failure {
	if ctx.Err() != nil {
		return &failure{code: status.FromContextError(ctx.Err()).Code(), reason: string(produce.CodeCanceled), words: "the call ended before the message was read"}
	}
	f := &failure{code: codeOf(err), reason: string(produce.CodeInvalid), words: "the message cannot be read"}
	switch f.code {
	case codes.ResourceExhausted:
		f.reason, f.words = reasonLarge, "the message is larger than the sidecar takes"
	case codes.Canceled, codes.DeadlineExceeded:
		f.reason, f.words = string(produce.CodeCanceled), "the call ended before the message was read"
	case codes.Unimplemented:
		f.words = "the message is compressed in a way that is not known"
	default:
		if f.code != codes.Unavailable {
			f.code = codes.InvalidArgument
		}
	}
	return f
}

// streamFailure is why a stream ended: a failure, or an error of the transport.
func (s *Server) streamFailure(ctx context.Context, err error) *failure {
	if f, ok := err.(*failure); ok { //nolint:errorlint // it is never wrapped
		return f
	}
	return s.receiveFailure(ctx, err)
}

// errClient is a use as a client's credentials, for which they are not.
var errClient = errors.New("rpc: these credentials are a server's")

// handshaken are the credentials of connections whose handshake is over: they
// come from the splitter.
type handshaken struct{}

// ServerHandshake implements [credentials.TransportCredentials].
func (handshaken) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := raw.(*conn)
	if !ok {
		return nil, nil, errForm
	}
	return c, connInfo{c}, nil
}

// ClientHandshake implements [credentials.TransportCredentials].
func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errClient
}

// Info implements [credentials.TransportCredentials].
func (handshaken) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{} }

// Clone implements [credentials.TransportCredentials].
func (h handshaken) Clone() credentials.TransportCredentials { return h }

// OverrideServerName implements [credentials.TransportCredentials].
func (handshaken) OverrideServerName(string) error { return errClient }

// A connInfo is what a call of grpc-go sees of its connection.
type connInfo struct{ conn *conn }

// AuthType implements [credentials.AuthInfo].
func (connInfo) AuthType() string { return "fieldveil" }
