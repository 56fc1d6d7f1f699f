package rpc

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// reflected are the services that reflection lists.
func reflected() []string {
	return []string{
		v1.ProduceService_ServiceDesc.ServiceName, v1.ProtectService_ServiceDesc.ServiceName, healthpb.Health_ServiceDesc.ServiceName,
	}
}

// newHandler returns the handler of Connect and gRPC-Web, which also speaks gRPC.
func (s *Server) newHandler() http.Handler {
	opts := connect.WithHandlerOptions(
		connect.WithCodec(protoCodec{}),
		connect.WithCodec(jsonCodec{"json"}),
		connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithReadMaxBytes(s.cfg.MaxMessageBytes),
		connect.WithRecover(func(ctx context.Context, spec connect.Spec, _ http.Header, _ any) error {
			s.panicked(spec.Procedure)
			return tallyOf(ctx).fail(internal()).connect()
		}),
		connect.WithRequestInitializer(func(spec connect.Spec, message any) error {
			if r, ok := message.(*request); ok {
				r.kind, r.lim, r.names = kindOf(spec.Procedure), &s.limits, map[string]string{}
			}
			return nil
		}),
	)
	mux := http.NewServeMux()
	guarded := connect.WithHandlerOptions(opts, connect.WithRequestGate(s.gate))
	for _, procedure := range []string{
		v1.ProduceService_Produce_FullMethodName, v1.ProduceService_Check_FullMethodName,
		v1.ProtectService_Protect_FullMethodName, v1.ProtectService_Reveal_FullMethodName,
	} {
		mux.Handle(procedure, s.told(procedure, s.bounded(connect.NewUnaryHandler(procedure, s.unaryConnect, guarded))))
	}
	stream := v1.ProduceService_ProduceStream_FullMethodName
	mux.Handle(stream, s.told(stream, connect.NewBidiStreamHandler(stream, s.bidiConnect, guarded)))

	mux.Handle(healthpb.Health_Check_FullMethodName, s.bounded(connect.NewUnaryHandler(healthpb.Health_Check_FullMethodName, s.checkConnect, opts)))
	mux.Handle(healthpb.Health_Watch_FullMethodName, connect.NewServerStreamHandler(healthpb.Health_Watch_FullMethodName, s.watchConnect, opts))
	if s.cfg.Reflection {
		reflector := grpcreflect.NewStaticReflector(reflected()...)
		mux.Handle(grpcreflect.NewHandlerV1(reflector, connect.WithReadMaxBytes(s.cfg.MaxMessageBytes)))
		mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, connect.WithReadMaxBytes(s.cfg.MaxMessageBytes)))
	}
	return s.counted(mux)
}

func kindOf(procedure string) kind {
	switch procedure {
	case v1.ProduceService_Check_FullMethodName:
		return kindCheck
	case v1.ProtectService_Protect_FullMethodName:
		return kindProtect
	case v1.ProtectService_Reveal_FullMethodName:
		return kindReveal
	case v1.ProduceService_ProduceStream_FullMethodName:
		return kindStream
	default:
		return kindProduce
	}
}

func (s *Server) unaryConnect(ctx context.Context, in *connect.Request[request]) (*connect.Response[response], error) {
	out, fault := s.call(ctx, in.Msg)
	if fault != nil {
		return nil, fault.connect()
	}
	return connect.NewResponse(out), nil
}

func (s *Server) bidiConnect(ctx context.Context, stream *connect.BidiStream[request, response]) error {
	if err := s.stream(ctx, connectWire{stream.Conn(), exchangeOf(ctx)}); err != nil {
		return tallyOf(ctx).fail(s.streamFailure(ctx, err)).connect()
	}
	tallyOf(ctx).end()
	return nil
}

func (s *Server) checkConnect(_ context.Context, in *connect.Request[healthpb.HealthCheckRequest]) (*connect.Response[healthpb.HealthCheckResponse], error) {
	out, fault := s.health.check(in.Msg)
	if fault != nil {
		return nil, fault.connect()
	}
	return connect.NewResponse(out), nil
}

func (s *Server) watchConnect(ctx context.Context, in *connect.Request[healthpb.HealthCheckRequest], out *connect.ServerStream[healthpb.HealthCheckResponse]) error {
	return s.health.watch(ctx, s.draining, in.Msg.GetService(), out.Send).connect()
}

type connectWire struct {
	conn connect.StreamingHandlerConn
	ex   *exchange
}

func (w connectWire) recv(r *request) error  { return w.conn.Receive(r) }
func (w connectWire) send(r *response) error { return w.conn.Send(r) }

// interrupt ends a read of the body that is under way.
func (w connectWire) interrupt() bool {
	return w.ex != nil && http.NewResponseController(w.ex.w).SetReadDeadline(time.Unix(1, 0)) == nil
}

// gate asks the [Guard] before any message is read.
func (s *Server) gate(ctx context.Context, spec connect.Spec, peer connect.Peer, header http.Header) (context.Context, error) {
	c := &Caller{Protocol: protocolName(peer.Protocol), Procedure: spec.Procedure, header: header.Values}
	if ex := exchangeOf(ctx); ex != nil {
		c.Host, c.Remote, c.TLS = ex.r.Host, namedAddr(ex.r.RemoteAddr), ex.r.TLS
	}
	if conn := connOf(ctx); conn != nil {
		c.Remote, c.TLS, c.Conn = conn.RemoteAddr(), conn.tls, conn.below
	}
	named, err := s.deps.Guard.Authenticate(ctx, c)
	if err != nil {
		return nil, tallyOf(ctx).fail(s.guardFailure(err, "")).connect()
	}
	tallyOf(ctx).authenticated(named)
	return named, nil
}

// told tells of the calls of a procedure.
func (s *Server) told(procedure string, next http.Handler) http.Handler {
	if s.deps.Observer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol := "connect"
		switch media := r.Header.Get("Content-Type"); {
		case strings.HasPrefix(media, "application/grpc-web"):
			protocol = "grpc-web"
		case strings.HasPrefix(media, "application/grpc"):
			protocol = "grpc"
		}
		ctx, t, done := s.observed(r.Context(), protocol, procedure, r.Header.Values("X-Request-ID"))
		defer done()
		if t.call.Request != "" {
			w.Header().Set("X-Request-ID", t.call.Request)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func protocolName(name string) string {
	switch name {
	case connect.ProtocolGRPC:
		return "grpc"
	case connect.ProtocolGRPCWeb:
		return "grpc-web"
	default:
		return "connect"
	}
}

// bounded gives the body of a unary call as long as the call may take.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A little longer, because net/http takes the deadline for the end of the
		// connection. What has no deadlines is no server of net/http, and has its
		// own.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.MaxCallTime + s.cfg.HandshakeTimeout))
		next.ServeHTTP(w, r)
	})
}

// An exchange is the request and its answer as net/http has them.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
}

type (
	exchangeKey struct{}
	connKey     struct{}
)

// counted lets Shutdown wait for calls, also for those whose connection is gone,
// for which net/http does not wait.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.stopped {
			s.mu.Unlock()
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.calls.Add(1)
		s.mu.Unlock()
		defer s.calls.Done()
		// The answer to one that is not known repeats it.
		for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
			if v := r.Header.Get(name); v != "" && v != "gzip" && v != "identity" {
				r.Header.Set(name, "unknown")
			}
		}
		ctx := context.WithValue(r.Context(), exchangeKey{}, &exchange{w, r})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func exchangeOf(ctx context.Context) *exchange {
	ex, _ := ctx.Value(exchangeKey{}).(*exchange)
	return ex
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// A namedAddr is an address that net/http has as text.
type namedAddr string

// Network implements [net.Addr].
func (namedAddr) Network() string { return "tcp" }

// String implements [net.Addr].
func (a namedAddr) String() string { return string(a) }

var _ net.Addr = namedAddr("")

// isGRPC says whether a content type is gRPC with binary messages, for which
// grpc-go is.
func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(contentType), "application/grpc")
	return ok && (rest == "" || rest[0] == ';' || rest == "+proto" || strings.HasPrefix(rest, "+proto;"))
}
