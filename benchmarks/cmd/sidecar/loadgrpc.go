package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

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

func records(n int) []*v1.Record {
	out := make([]*v1.Record, n)
	for i := range out {
		out[i] = &v1.Record{Topic: topicAvro, Value: framed()}
	}
	return out
}

// window is how many batches of a stream wait for their answers.
const window = 64

// A stream sends batches over one stream.
type stream struct {
	conn   *grpc.ClientConn
	s      grpc.ClientStream
	cancel context.CancelFunc
	tail   []byte // of a batch: its records
	last   uint64
	look   bool // into the answers
}

func newStream(addr string, look bool) (load, error) { return openStream(addr, look) }

// openStream opens a stream. Only answers of a sidecar are looked into.
func openStream(addr string, look bool) (*stream, error) {
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{conn: conn, cancel: cancel, look: look}
	if err := s.open(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stream) open(ctx context.Context) error {
	tail, err := proto.Marshal(&v1.StreamBatch{Records: records(batchSize)})
	if err != nil {
		return err
	}
	s.tail = tail
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

func (s *stream) close() {
	s.cancel()
	_ = s.conn.Close() // nothing is under way
}

// next returns the next batch, in two pieces: its number, and what all have.
func (s *stream) next() *opaque {
	s.last++
	number := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), s.last)
	head := protowire.AppendTag(nil, 2, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(number)+len(s.tail))) // a length
	return &opaque{mem.BufferSlice{mem.SliceBuffer(append(head, number...)), mem.SliceBuffer(s.tail)}}
}

// receive takes an answer.
func (s *stream) receive() error {
	var m opaque
	if err := s.s.RecvMsg(&m); err != nil {
		return err
	}
	defer m.b.Free()
	if !s.look {
		return nil
	}
	return delivered(m.b.Materialize(), batchSize, ackField, resultsField)
}

// run implements load.
func (s *stream) run(d time.Duration) (int, error) {
	return s.exchange(d, 0, nil)
}

// exchange sends batches for a time, one every pause or as many as the window
// holds, and tells took how long each waited for its answer since it was due.
func (s *stream) exchange(d, pause time.Duration, took func(time.Duration)) (int, error) {
	places := make(chan time.Time, window)
	if pause > 0 {
		places = make(chan time.Time, 1<<16)
	}
	sent := make(chan error, 1)
	go func() {
		defer close(places)
		begin := time.Now()
		for due := begin; due.Sub(begin) < d; {
			if pause > 0 {
				due = due.Add(pause)
				time.Sleep(time.Until(due)) //nolint:forbidigo // a rate, and nothing to wait for
			} else {
				due = time.Now()
			}
			places <- due
			if err := s.s.SendMsg(s.next()); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	n := 0
	for due := range places {
		if err := s.receive(); err != nil {
			s.cancel()
			for range places { // the sender ends
			}
			return 0, errors.Join(err, <-sent)
		}
		if took != nil {
			took(time.Since(due))
		}
		n += batchSize
	}
	return n, <-sent
}

// unary calls Produce with one record from many goroutines.
type unary struct {
	conn *grpc.ClientConn
	m    *opaque
	look bool
}

const unaryCallers = 64

func newUnary(addr string, look bool) (load, error) {
	m, err := marshal(&v1.ProduceRequest{Records: records(1)})
	if err != nil {
		return nil, err
	}
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	return &unary{conn, m, look}, nil
}

func (u *unary) close() { _ = u.conn.Close() } // nothing is under way

func (u *unary) call() error {
	var out opaque
	if err := u.conn.Invoke(context.Background(), v1.ProduceService_Produce_FullMethodName, u.m, &out); err != nil {
		return err
	}
	defer out.b.Free()
	if !u.look {
		return nil
	}
	return delivered(out.b.Materialize(), 1, responseField)
}

// run implements load.
func (u *unary) run(d time.Duration) (int, error) {
	return together(unaryCallers, d, 1, func(int) error { return u.call() })
}

// together has n goroutines call for a time.
func together(n int, d time.Duration, each int, call func(i int) error) (int, error) {
	var (
		wg    sync.WaitGroup
		total atomic.Int64
		mu    sync.Mutex
		all   error
	)
	end := time.Now().Add(d)
	for i := range n {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := call(i); err != nil {
					mu.Lock()
					all = errors.Join(all, err)
					mu.Unlock()
					return
				}
				total.Add(int64(each))
			}
		})
	}
	wg.Wait()
	return int(total.Load()), all
}
