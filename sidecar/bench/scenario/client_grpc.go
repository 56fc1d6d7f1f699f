package scenario

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/load"
)

// NewStream makes a client that sends batches over one stream of gRPC to a server of
// the sidecar's messages. The schema is the id of the records' schema there.
func NewStream(p Params, addr, schema string) (Client, error) {
	values, err := reframed(p.Set, schema)
	if err != nil {
		return nil, err
	}
	return newStream(&p, values, addr, true)
}

// newClient makes a client of the sidecar, or of the echo. Framed records get the
// id that the registry of this run gave the schema.
func newClient(p *Params, at addresses, id string, look bool) (Client, error) {
	values, err := reframed(p.Set, id)
	if err != nil {
		return nil, err
	}
	switch p.Surface {
	case SurfaceStream:
		if look {
			return newStream(p, values, at["grpc"], true)
		}
		return newStream(p, values, at["messages"], false)
	case SurfaceUnary:
		if look {
			return newUnary(p, values, at["grpc"], true)
		}
		return newUnary(p, values, at["messages"], false)
	default:
		return newWeb(p, values, at["rest"], id, look)
	}
}

// reframed returns the values of the records under the schema's id in this run.
func reframed(s *input.Set, id string) ([][]byte, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(s.Records))
	for i := range s.Records {
		v := s.Records[i].Value
		if s.Framed && len(v) >= 5 {
			v = append([]byte(nil), v...)
			binary.BigEndian.PutUint32(v[1:], uint32(n))
		}
		out[i] = v
	}
	return out, nil
}

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(opaqueCodec{})))
}

// marshal returns a message that is sent many times.
func marshal(m proto.Message) (*opaque, error) {
	out, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &opaque{mem.BufferSlice{mem.SliceBuffer(out)}}, nil
}

func messages(p *Params, values [][]byte, from, n int) []*v1.Record {
	out := make([]*v1.Record, n)
	for i := range out {
		k := (from + i) % len(values)
		rec := &p.Set.Records[k]
		out[i] = &v1.Record{Topic: p.Set.Topic, Key: rec.Key, Value: values[k]}
		for _, h := range rec.Headers {
			out[i].Headers = append(out[i].Headers, &v1.Header{Name: h.Key, Value: h.Value})
		}
	}
	return out
}

// window is how many batches of a stream wait for their answers.
const window = 64

// A streamClient sends batches over one stream.
type streamClient struct {
	conn   *grpc.ClientConn
	s      grpc.ClientStream
	cancel context.CancelFunc
	tails  [][]byte // of batches: their records
	last   uint64
	batch  int
	look   bool // into the answers
}

// newStream opens a stream. Only answers of a sidecar are looked into.
func newStream(p *Params, values [][]byte, addr string, look bool) (Client, error) {
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &streamClient{conn: conn, cancel: cancel, look: look, batch: p.batch()}
	for i := range min(max(1, (len(values)+s.batch-1)/s.batch), 64) {
		tail, err := proto.Marshal(&v1.StreamBatch{Records: messages(p, values, i*s.batch, s.batch)})
		if err != nil {
			s.Close()
			return nil, err
		}
		s.tails = append(s.tails, tail)
	}
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *streamClient) begin(ctx context.Context) (err error) {
	desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	if s.s, err = s.conn.NewStream(ctx, desc, v1.ProduceService_ProduceStream_FullMethodName); err != nil {
		return err
	}
	hello, err := marshal(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{}}})
	if err != nil {
		return err
	}
	if err := s.s.SendMsg(hello); err != nil {
		return err
	}
	var m opaque
	if err := s.s.RecvMsg(&m); err != nil {
		return err
	}
	m.b.Free()
	return nil
}

func (s *streamClient) Close() {
	s.cancel()
	_ = s.conn.Close() // nothing is under way
}

// next returns the next batch, in two pieces: its number, and what it has in
// common with others.
func (s *streamClient) next() *opaque {
	s.last++
	tail := s.tails[s.last%uint64(len(s.tails))]
	number := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), s.last)
	head := protowire.AppendTag(nil, 2, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(number)+len(tail)))
	return &opaque{mem.BufferSlice{mem.SliceBuffer(append(head, number...)), mem.SliceBuffer(tail)}}
}

// receive takes an answer.
func (s *streamClient) receive() error {
	var m opaque
	if err := s.s.RecvMsg(&m); err != nil {
		return err
	}
	defer m.b.Free()
	if !s.look {
		return nil
	}
	return delivered(m.b.Materialize(), s.batch, ackField, resultsField)
}

func (s *streamClient) Run(ctx context.Context, d time.Duration) (int, error) {
	send, batch, end := s.Open()
	var (
		n     atomic.Int64
		mu    sync.Mutex
		first error
	)
	room := make(chan struct{}, window)
	begin := time.Now()
	for time.Since(begin) < d && ctx.Err() == nil {
		room <- struct{}{}
		mu.Lock()
		err := first
		mu.Unlock()
		if err != nil {
			break
		}
		if err := send(ctx, batch, func(k int, err error) {
			if err == nil {
				n.Add(int64(k))
			} else {
				mu.Lock()
				first = errors.Join(first, err)
				mu.Unlock()
			}
			<-room
		}); err != nil {
			end()
			return 0, err
		}
	}
	end()
	mu.Lock()
	defer mu.Unlock()
	return int(n.Load()), errors.Join(first, ctx.Err())
}

// open sends batches; answers come in their order.
func (s *streamClient) Open() (send load.Send, burst int, end func()) {
	waiting := make(chan func(int, error), 1<<16)
	over := make(chan struct{})
	go func() {
		defer close(over)
		var broken error
		for done := range waiting {
			if broken == nil {
				if broken = s.receive(); broken != nil {
					s.cancel()
				}
			}
			done(s.batch, broken)
		}
	}()
	send = func(_ context.Context, _ int, done func(int, error)) error {
		if err := s.s.SendMsg(s.next()); errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the stream was ended", errAnswer)
		} else if err != nil {
			return err
		}
		waiting <- done
		return nil
	}
	return send, s.batch, func() {
		close(waiting)
		<-over
	}
}

// A unaryClient calls Produce with one record from many goroutines.
type unaryClient struct {
	conn    *grpc.ClientConn
	m       []*opaque
	next    atomic.Uint64
	callers int
	look    bool
}

const unaryCallers = 64

func newUnary(p *Params, values [][]byte, addr string, look bool) (Client, error) {
	u := &unaryClient{look: look, callers: unaryCallers}
	if p.Concurrency > 0 {
		u.callers = p.Concurrency
	}
	for i := range values {
		m, err := marshal(&v1.ProduceRequest{Records: messages(p, values, i, 1)})
		if err != nil {
			return nil, err
		}
		u.m = append(u.m, m)
	}
	var err error
	u.conn, err = dial(addr)
	return u, err
}

func (u *unaryClient) Close() { _ = u.conn.Close() } // nothing is under way

func (u *unaryClient) call(ctx context.Context) error {
	var out opaque
	m := u.m[u.next.Add(1)%uint64(len(u.m))]
	if err := u.conn.Invoke(ctx, v1.ProduceService_Produce_FullMethodName, m, &out); err != nil {
		return err
	}
	defer out.b.Free()
	if !u.look {
		return nil
	}
	return delivered(out.b.Materialize(), 1, responseField)
}

func (u *unaryClient) Run(ctx context.Context, d time.Duration) (int, error) {
	r, err := load.Closed{Workers: u.callers, For: d}.Run(ctx, func(ctx context.Context, _ int) (int, error) { return 1, u.call(ctx) })
	if err != nil {
		return 0, err
	}
	return int(r.Acknowledged), nil
}

func (u *unaryClient) Open() (send load.Send, burst int, end func()) {
	var wg sync.WaitGroup
	room := make(chan struct{}, 4*u.callers)
	send = func(ctx context.Context, n int, done func(int, error)) error {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		wg.Go(func() {
			err := u.call(ctx)
			<-room
			done(n, err)
		})
		return nil
	}
	return send, 1, wg.Wait
}
