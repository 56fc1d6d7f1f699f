package rest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A slot is one record of a stream, from its bytes to its receipt.
type slot struct {
	b        buffers
	size     int
	key, val shape
	result   produce.Result
	failed   *failure      // decided before it was sent
	ready    chan struct{} // one word: the result is there
	release  func()
}

// A stream is one request to records.
type stream struct {
	c       *call
	frames  framer
	end     time.Time
	pending chan *slot // in their order; as many as the window has
	freed   chan int   // sizes of records whose receipts are out
	held    int        // bytes in flight, as far as the reader knows
	cancel  context.CancelFunc
	wrote   sync.WaitGroup
	stopped atomic.Bool
	lost    any // what the writer panicked with
}

// produceStream serves records: any number of objects in, a receipt for each out
// in the same order, both at once.
func (c *call) produceStream() {
	if !isJSON(c.r.Header.Get("Content-Type")) {
		c.refuse(unsupported("records come as application/json"))
		return
	}
	if zipped, f := c.encoding(); f != nil || zipped {
		c.refuse(unsupported("a stream comes without a content encoding"))
		return
	}
	release, full := c.s.deps.Sender.AdmitStream()
	if full != nil {
		c.refuse(produceFailure(full))
		return
	}
	c.rooms = append(c.rooms, release)
	// Without this the first read after a write would wait for the whole body, and
	// a client that reads receipts as it writes would wait for ever.
	_ = c.control.EnableFullDuplex()
	c.mayWrite()
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	window := c.s.cfg.StreamWindowRecords
	st := &stream{
		c: c, cancel: cancel, end: time.Now().Add(c.s.cfg.StreamTotal),
		// One more is in the hands of the writer, and one in those of the reader.
		pending: make(chan *slot, max(window-2, 0)), freed: make(chan int, window+4),
	}
	in := &counter{r: c.r.Body}
	st.frames = framer{r: in, most: c.s.cfg.MaxRecordBytes, before: st.arm}
	c.w.Header().Set("Content-Type", mediaJSON)
	c.w.WriteHeader(http.StatusOK)
	if c.r.ContentLength < 0 {
		_ = c.control.Flush() // the client may wait for the header before it writes
	}
	_ = c.control.SetWriteDeadline(time.Time{})
	last := st.run(ctx)
	c.mayWrite()
	c.info.BytesIn = in.n
	if st.lost != nil {
		panic(st.lost) //nolint:forbidigo // handed on to the handler, which answers for it
	}
	if last != nil {
		c.info.Code, c.info.Reason = last.code, last.reason
		st.put(appendCRLF(appendFailure(nil, last.code, last.message())))
		_ = c.control.Flush()
		// The rest of the body is not read; without a deadline in the past the
		// server would wait for some of it.
		_ = c.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// run reads and writes until both have ended, and returns the last receipt, if
// there is one to be written. It does not leave the writer behind.
func (st *stream) run(ctx context.Context) *failure {
	st.wrote.Go(st.write)
	defer st.wrote.Wait()
	defer close(st.pending)
	last := st.read(ctx)
	_ = st.c.control.SetReadDeadline(time.Time{})
	time.AfterFunc(st.c.s.cfg.StreamGrace, st.cancel)
	return last
}

// arm sets the time until which a read may wait.
func (st *stream) arm() {
	until := time.Now().Add(st.c.s.cfg.StreamIdle)
	if st.end.Before(until) {
		until = st.end
	}
	_ = st.c.control.SetReadDeadline(until)
	if st.stopped.Load() {
		_ = st.c.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// read reads records and hands them over until the stream ends, and returns its
// last receipt, if it needs one.
func (st *stream) read(ctx context.Context) *failure {
	checked := time.Now()
	for ctx.Err() == nil {
		object, err := st.frames.next()
		if err != nil {
			return frameFailure(err)
		}
		// A stream lasts longer than a token.
		if now := time.Now(); now.Sub(checked) >= st.c.s.cfg.StreamRecheck {
			checked = now
			if err := st.c.s.deps.Guard.Authorize(ctx, st.c.r, OpProduce, st.c.topic); err != nil {
				return guardFailure(err)
			}
		}
		if last := st.one(ctx, object); last != nil {
			return last
		}
	}
	return nil
}

// one hands over one record. What it returns ends the stream.
func (st *stream) one(ctx context.Context, object []byte) *failure {
	st.hold(len(object))
	sl, _ := st.c.s.slots.Get().(*slot)
	sl.size = len(object)
	sl.b.body = append(sl.b.body[:0], object...)
	rec, f := st.parse(ctx, sl)
	if f != nil && f.last {
		st.freed <- sl.size
		st.c.s.recycleSlot(sl)
		return f
	}
	if f == nil {
		release, full := st.c.s.deps.Sender.Admit(1, sl.size)
		if full != nil {
			f = produceFailure(full)
		} else {
			sl.release = release
		}
	}
	queued := false
	defer func() {
		if !queued && sl.release != nil {
			sl.release() // after a panic: nobody else knows the slot
		}
	}()
	if f != nil {
		sl.failed = f
		sl.ready <- struct{}{}
	} else {
		st.c.s.deps.Sender.Send(ctx, rec, func(r produce.Result) {
			sl.result = r
			sl.ready <- struct{}{}
		})
	}
	queued = true
	st.pending <- sl // waits while the window is full; the writer never stops taking
	return nil
}

// hold waits until n bytes more may be in flight.
func (st *stream) hold(n int) {
	for {
		select {
		case m := <-st.freed:
			st.held -= m
			continue
		default:
		}
		if st.held == 0 || st.held+n <= st.c.s.cfg.StreamWindowBytes {
			break
		}
		st.held -= <-st.freed
	}
	st.held += n
}

// parse turns the bytes of a slot into a record. Everything that is wrong with
// its form is a 400; what is wrong with its meaning has a code of its own.
func (st *stream) parse(ctx context.Context, sl *slot) (rec produce.Record, f *failure) {
	b := &sl.b
	if fl := b.scan.reset(b.body); fl != faultNone {
		return rec, badJSON(fl)
	}
	b.scan.take('{')
	in, f := b.parseV3(1, false, &st.c.s.cfg)
	if f == nil && !b.scan.end() {
		f = badJSON(faultSyntax)
	}
	if f != nil {
		// Is it the form of this record, or is there no telling what follows?
		g := *b.fault(f)
		g.code = http.StatusBadRequest
		return rec, &g
	}
	rec, sl.key, sl.val, f = st.c.encodeV3(ctx, b, &in)
	return rec, f
}

// write writes the receipts in the order of the records. It takes every slot,
// whatever happens to the client.
func (st *stream) write() {
	var current *slot
	defer func() {
		if st.lost = recover(); st.lost != nil {
			st.stop()
			st.finish(current)
			for sl := range st.pending {
				<-sl.ready
				st.finish(sl)
			}
		}
	}()
	var out []byte
	for {
		var sl *slot
		var more bool
		select {
		case sl, more = <-st.pending:
		default:
			out = st.flush(out)
			sl, more = <-st.pending
		}
		if !more {
			break
		}
		select {
		case <-sl.ready:
		default:
			out = st.flush(out)
			<-sl.ready
		}
		current = sl
		out = st.receipt(out, sl)
		st.finish(sl)
		const enough = 32 << 10
		if len(out) >= enough {
			st.put(out)
			out = out[:0]
		}
	}
	st.put(out)
}

// receipt appends the receipt of a slot that is ready.
func (st *stream) receipt(out []byte, sl *slot) []byte {
	c := st.c
	f := sl.failed
	if f == nil && sl.result.Outcome != produce.Delivered {
		f = recordFailure(sl.result.Err)
	}
	if f == nil {
		c.observe(http.StatusOK, "", produce.Delivered)
		out = append(out, `{"error_code":200,`...)
		out = c.appendReceipt(out, &sl.result, sl.key, sl.val)
		return appendCRLF(append(out, '}'))
	}
	code, message := f.receipt()
	outcome := f.outcome()
	if sl.failed == nil {
		outcome = sl.result.Outcome
	}
	c.observe(code, f.reason, outcome)
	return appendCRLF(appendFailure(out, code, message))
}

func appendCRLF(dst []byte) []byte { return append(dst, '\r', '\n') }

// finish gives back what a slot held.
func (st *stream) finish(sl *slot) {
	if sl.release != nil {
		sl.release()
	}
	st.freed <- sl.size
	if sl.failed == nil && sl.result.Outcome == produce.Unknown {
		return // nobody shall find out what still reads its bytes
	}
	st.c.s.recycleSlot(sl)
}

func (s *Server) recycleSlot(sl *slot) {
	const kept = 64 << 10
	if cap(sl.b.body) > kept || cap(sl.b.arena) > kept {
		return
	}
	clear(sl.b.headers)
	sl.b.scan.b = nil
	*sl = slot{b: buffers{body: sl.b.body[:0], arena: sl.b.arena[:0], headers: sl.b.headers[:0], scan: sl.b.scan}, ready: sl.ready}
	s.slots.Put(sl)
}

// put writes to the client. A client that does not read, or is gone, ends the
// stream.
func (st *stream) put(out []byte) {
	if len(out) == 0 {
		return
	}
	st.c.mayWrite()
	if _, err := st.c.w.Write(out); err != nil {
		st.stop()
	}
}

// mayWrite gives a write some time, from now on.
func (c *call) mayWrite() { _ = c.control.SetWriteDeadline(time.Now().Add(c.s.cfg.StreamIdle)) }

// flush writes what there is and sees that it leaves.
func (st *stream) flush(out []byte) []byte {
	if len(out) > 0 {
		st.put(out)
		if err := st.c.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			st.stop()
		}
		// HTTP/2 ends a stream at its deadline even when nothing waits to be written.
		_ = st.c.control.SetWriteDeadline(time.Time{})
	}
	return out[:0]
}

// stop ends a stream whose client does not read.
func (st *stream) stop() {
	st.cancel()
	st.stopped.Store(true)
	_ = st.c.control.SetReadDeadline(time.Unix(1, 0))
}
