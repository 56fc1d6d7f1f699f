package rpc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1/fieldveilv1connect"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// serverEnv makes this test binary a server for benchmarks: client and server
// share no heap and no scheduler.
const serverEnv = "FIELDVEIL_RPC_BENCH_SERVER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(serverEnv); kind != "" {
		if err := benchServer(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A discard is a Sender that has delivered everything already.
type discard struct{}

func (discard) Admit(int, int) (func(), *produce.Error)              { return func() {}, nil }
func (discard) AdmitStream() (func(), *produce.Error)                { return func() {}, nil }
func (discard) Check(context.Context, produce.Record) produce.Result { return *delivered(1) }

func (discard) Produce(_ context.Context, recs []produce.Record, _ produce.Mode) []produce.Result {
	out := make([]produce.Result, len(recs))
	for i := range out {
		out[i] = *delivered(int64(i))
	}
	return out
}

func (discard) Send(_ context.Context, _ produce.Record, done func(produce.Result)) {
	done(*delivered(7))
}

// plainResults are results with the generated code.
func plainResults(n int) []*v1.RecordResult {
	return resultsOf(discard{}.Produce(context.Background(), make([]produce.Record, n), 0))
}

type plainGRPC struct {
	v1.UnimplementedProduceServiceServer
}

func (plainGRPC) Produce(_ context.Context, in *v1.ProduceRequest) (*v1.ProduceResponse, error) {
	return &v1.ProduceResponse{Results: plainResults(len(in.GetRecords()))}, nil
}

func (plainGRPC) ProduceStream(s v1.ProduceService_ProduceStreamServer) error {
	for {
		in, err := s.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client is done
		}
		if err := s.Send(plainAck(in)); err != nil {
			return err
		}
	}
}

func plainAck(in *v1.ProduceStreamRequest) *v1.ProduceStreamResponse {
	ack := &v1.StreamAck{Sequence: in.GetBatch().GetSequence(), Results: plainResults(len(in.GetBatch().GetRecords()))}
	return &v1.ProduceStreamResponse{Message: &v1.ProduceStreamResponse_Ack{Ack: ack}}
}

type plainConnect struct {
	fieldveilv1connect.UnimplementedProduceServiceHandler
}

func (plainConnect) Produce(_ context.Context, in *connect.Request[v1.ProduceRequest]) (*connect.Response[v1.ProduceResponse], error) {
	return connect.NewResponse(&v1.ProduceResponse{Results: plainResults(len(in.Msg.GetRecords()))}), nil
}

func (plainConnect) ProduceStream(_ context.Context, s *connect.BidiStream[v1.ProduceStreamRequest, v1.ProduceStreamResponse]) error {
	for {
		in, err := s.Receive()
		if err != nil {
			return nil //nolint:nilerr // the client is done
		}
		if err := s.Send(plainAck(in)); err != nil {
			return err
		}
	}
}

func benchServer(kind string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the client
		os.Exit(0)
	}()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	serve := func(h http.Handler) error { return (&http.Server{Handler: h, Protocols: protocols}).Serve(l) }
	switch kind {
	case "echo":
		return grpc.NewServer(grpc.ForceServerCodecV2(opaqueCodec{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			for {
				var m opaque
				if err := s.RecvMsg(&m); err != nil {
					return nil //nolint:nilerr // the client is done
				}
				if err := s.SendMsg(&m); err != nil {
					return err
				}
			}
		})).Serve(l)
	case "grpc-go":
		g := grpc.NewServer()
		v1.RegisterProduceServiceServer(g, plainGRPC{})
		return g.Serve(l)
	case "ServeHTTP":
		g := grpc.NewServer()
		v1.RegisterProduceServiceServer(g, plainGRPC{})
		return serve(g)
	case "connect-go":
		mux := http.NewServeMux()
		mux.Handle(fieldveilv1connect.NewProduceServiceHandler(plainConnect{}))
		return serve(mux)
	default:
		s, err := New(DefaultConfig(), Deps{Sender: discard{}, Protector: &fakeProtector{}, Guard: openGuard{}, Audit: &fakeAudit{}})
		if err != nil {
			return err
		}
		if kind == "mixed_connections" {
			return serve(s.Handler())
		}
		return s.Serve(l)
	}
}

type openGuard struct{}

func (openGuard) Authenticate(ctx context.Context, _ *Caller) (context.Context, error) {
	return ctx, nil
}
func (openGuard) Authorize(context.Context, Operation, string, string) error { return nil }

// opaque is a message that neither side looks into.
type opaque struct{ b mem.BufferSlice }

type opaqueCodec struct{}

func (opaqueCodec) Name() string { return "proto" }

func (opaqueCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*opaque)
	if !ok {
		return nil, errForm
	}
	return m.b, nil
}

func (opaqueCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*opaque)
	if !ok {
		return errForm
	}
	data.Ref()
	m.b = data
	return nil
}

// startServer runs a server in a second process and connects to it.
func startServer(b *testing.B, kind string) *grpc.ClientConn {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	cc, err := grpc.NewClient(strings.TrimSpace(addr), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(opaqueCodec{})))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cc.Close()
		_ = in.Close()
		_ = cmd.Wait()
	})
	return cc
}

func benchRecord() *v1.Record {
	value := make([]byte, 626)
	for i := range value {
		value[i] = byte(i * 7)
	}
	return &v1.Record{Topic: "customers", Key: []byte("c-1234567"), Value: value}
}

func benchServers() []string {
	return []string{"echo", "grpc-go", "ServeHTTP", "connect-go", "mixed_connections", "sidecar"}
}

func encoded(b *testing.B, m proto.Message) *opaque {
	b.Helper()
	out, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	return &opaque{mem.BufferSlice{mem.SliceBuffer(out)}}
}

// BenchmarkStream sends batches of 100 records of 626 bytes over one stream, 16 at
// a time, and waits for each answer.
func BenchmarkStream(b *testing.B) {
	const size, window = 100, 16
	for _, kind := range benchServers() {
		b.Run(kind, func(b *testing.B) {
			cc := startServer(b, kind)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			s, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, v1.ProduceService_ProduceStream_FullMethodName)
			if err != nil {
				b.Fatal(err)
			}
			open := encoded(b, &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{}}})
			if err := s.SendMsg(open); err != nil {
				b.Fatal(err)
			}
			receive := func() {
				var m opaque
				if err := s.RecvMsg(&m); err != nil {
					b.Error(err)
					return
				}
				m.b.Free()
			}
			receive()
			records := make([]*v1.Record, size)
			for i := range records {
				records[i] = benchRecord()
			}
			batches := make([]*opaque, b.N)
			for i := range batches[:min(b.N, window)] {
				batches[i] = encoded(b, &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: &v1.StreamBatch{Sequence: uint64(i + 1), Records: records}}})
			}
			// Only the number differs, so the bytes of the records are shared.
			tail := encoded(b, &v1.StreamBatch{Records: records}).b[0].ReadOnlyData()
			for i := window; i < b.N; i++ {
				batches[i] = numbered(tail, uint64(i+1))
			}
			places := make(chan struct{}, window)
			b.SetBytes(size * 626)
			b.ResetTimer()
			go func() {
				for _, m := range batches {
					places <- struct{}{}
					if s.SendMsg(m) != nil {
						return
					}
				}
			}()
			for range b.N {
				receive()
				<-places
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// numbered returns a message of a batch in two pieces: its number, and what all
// have.
func numbered(tail []byte, sequence uint64) *opaque {
	number := appendUint(nil, 1, sequence)
	head := []byte{2<<3 | 2}
	for n := uint64(len(number) + len(tail)); ; n >>= 7 {
		if n < 0x80 {
			head = append(head, byte(n))
			break
		}
		head = append(head, byte(n)|0x80)
	}
	return &opaque{mem.BufferSlice{mem.SliceBuffer(append(head, number...)), mem.SliceBuffer(tail)}}
}

// BenchmarkUnary calls Produce with one record from 64 goroutines.
func BenchmarkUnary(b *testing.B) {
	const callers = 64
	for _, kind := range benchServers() {
		b.Run(kind, func(b *testing.B) {
			cc := startServer(b, kind)
			m := encoded(b, &v1.ProduceRequest{Records: []*v1.Record{benchRecord()}})
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error, callers)
			b.ResetTimer()
			for range callers {
				go func() {
					for left.Add(-1) >= 0 {
						var out opaque
						if err := cc.Invoke(b.Context(), v1.ProduceService_Produce_FullMethodName, m, &out); err != nil {
							done <- err
							return
						}
						out.b.Free()
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
