package gcpkmstest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// A Fault is a way in which a [Server] fails. Its parts add up: a fault with a
// delay and a code waits and then fails with the code. One without any part but
// Op and Location answers soundly, and uses up faults that come after it.
type Fault struct {
	// Op and Location say which calls fail; empty means all.
	Op, Location string
	// Times is for how many calls; zero means until ClearFaults.
	Times int

	// Delay is how long it waits. It ends with the caller, and with Close.
	Delay time.Duration
	// Cut closes the connection without an answer.
	Cut bool
	// Code is the gRPC code of an error, Message its text, and Reason what Google
	// adds to it, such as ACCESS_TOKEN_EXPIRED.
	Code            codes.Code
	Message, Reason string

	// Answer makes a sound answer wrong, with checksums that fit.
	Answer kmstest.Fault
	// Corrupt changes a bit of a sound answer after its checksum was taken, and
	// CorruptRequest one of the request before that of the caller is looked at.
	Corrupt, CorruptRequest bool
	// NoChecksum leaves the checksum out of a sound answer.
	NoChecksum bool
	// Unverified has a sound answer say that no checksum of the request was
	// looked at.
	Unverified bool
	// OtherKey has a sound answer name a key that nobody asked for.
	OtherKey bool
	// Oversized makes a sound answer at least so many bytes long.
	Oversized int
	// CutBody closes the connection in the middle of a sound answer.
	CutBody bool
}

// Fault adds a fault. Of those that apply to a call the oldest holds.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults takes all faults away.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault returns the fault of a call, and the empty one when there is none.
func (s *Server) takeFault(op, location string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Op != "" && f.Op != op || f.Location != "" && f.Location != location {
			continue
		}
		taken := *f
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return &taken
	}
	return &Fault{}
}

// before does what happens instead of a call.
func (s *Server) before(ctx context.Context, f *Fault) error {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return errors.New("the server was closed")
		}
	}
	if f.Cut {
		if c := s.listener.of(ctx); c != nil {
			_ = c.Close() // the caller may be gone
		}
		return errors.New("the connection was cut")
	}
	if f.Code != codes.OK {
		return refuse(f.Code, f.Reason, f.Message)
	}
	return nil
}

// end does what happens to a sound answer on its way.
func (s *Server) end(ctx context.Context, f *Fault) {
	if !f.CutBody {
		return
	}
	if c := s.listener.of(ctx); c != nil {
		c.halve()
	}
}

// wrapped makes a wrapped key wrong.
func (f *Fault) wrapped(sealed []byte) []byte {
	switch f.Answer {
	case kmstest.EmptyWrapped:
		return nil
	case kmstest.WrongWrapped:
		sealed[len(sealed)-1] ^= 1
	case kmstest.HugeWrapped:
		const huge = 60 << 10 // as long as an answer can be
		return append(sealed, make([]byte, huge)...)
	case kmstest.Sound, kmstest.WrongPlain, kmstest.ShortPlain, kmstest.LongPlain, kmstest.EmptyPlain:
	}
	if f.Oversized > 0 {
		return append(sealed, make([]byte, f.Oversized)...)
	}
	return sealed
}

// plain makes a data key wrong.
func (f *Fault) plain(key []byte) []byte {
	switch f.Answer {
	case kmstest.EmptyPlain:
		return nil
	case kmstest.ShortPlain:
		return key[:len(key)-1]
	case kmstest.LongPlain:
		return append(key, 0)
	case kmstest.WrongPlain:
		key[0] ^= 1
	case kmstest.Sound, kmstest.EmptyWrapped, kmstest.WrongWrapped, kmstest.HugeWrapped:
	}
	if f.Oversized > 0 {
		return append(key, make([]byte, f.Oversized)...)
	}
	return key
}

func (f *Fault) spoilEncrypted(out *kmspb.EncryptResponse) {
	if f.Corrupt && len(out.GetCiphertext()) > 0 {
		out.Ciphertext = bytes.Clone(out.GetCiphertext())
		out.Ciphertext[0] ^= 1
	}
	if f.NoChecksum {
		out.CiphertextCrc32C = nil
	}
	if f.Unverified {
		out.VerifiedPlaintextCrc32C, out.VerifiedAdditionalAuthenticatedDataCrc32C = false, false
	}
	if f.OtherKey {
		out.Name = "projects/other-project/locations/global/keyRings/other/cryptoKeys/other/cryptoKeyVersions/1"
	}
}

func (f *Fault) spoilDecrypted(out *kmspb.DecryptResponse) {
	if f.Corrupt && len(out.GetPlaintext()) > 0 {
		out.Plaintext = bytes.Clone(out.GetPlaintext())
		out.Plaintext[0] ^= 1
	}
	if f.NoChecksum {
		out.PlaintextCrc32C = nil
	}
}

// A listener knows its connections, to cut them.
type listener struct {
	net.Listener

	mu    sync.Mutex
	conns map[string]*conn // by the address of the peer
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, forget: l.forget}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[raw.RemoteAddr().String()] = c
	return c, nil
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name := c.RemoteAddr().String(); l.conns[name] == c {
		delete(l.conns, name)
	}
}

// of returns the connection of a call.
func (l *listener) of(ctx context.Context) *conn {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[p.Addr.String()]
}

// cut closes all connections.
func (l *listener) cut() {
	l.mu.Lock()
	var all []*conn
	for _, c := range l.conns {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // the other end may be gone
	}
}

// A conn may be cut in the middle of what it writes.
type conn struct {
	net.Conn

	forget func(*conn)
	mu     sync.Mutex
	half   bool
}

func (c *conn) halve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.half = true
}

// Write writes b, or half of it and closes the connection.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	half := c.half
	c.mu.Unlock()
	if !half {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[:len(b)/2])
	return n, errors.Join(err, c.Close(), net.ErrClosed)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.forget(c)
	return c.Conn.Close()
}
