package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// Deps are the parts that a [Server] works with. All but TLS, Observer,
// RequestID and Log are
// required.
type Deps struct {
	// Sender takes the records of ProduceService.
	Sender produce.Sender
	// Protector protects and reveals for ProtectService.
	Protector Protector
	// Guard says who calls and what he may do.
	Guard Guard
	// Audit takes the line of each Reveal.
	Audit Audit
	// Observer hears of calls that have ended, or nil.
	Observer Observer
	// RequestID returns the id of a call, which is one that its caller gave or
	// another. The answer has it in the header x-request-id. Nil for none. Without an
	// Observer there is none.
	RequestID func(given []string) string
	// TLS is for all connections when it is not nil. Its NextProtos are set here.
	TLS *tls.Config
	// Log takes faults of the server itself, without data of requests. Nil for
	// none.
	Log *slog.Logger
}

// A Protector protects and reveals single records. It is safe for concurrent
// use. What it returns may refer to rec, and it changes nothing that rec refers
// to. Its errors are [*produce.Error], which hold names and never data.
type Protector interface {
	// Protect returns what may be sent in place of rec.
	Protect(ctx context.Context, rec produce.Record) (produce.Record, error)
	// Reveal returns what rec was before it was protected.
	Reveal(ctx context.Context, rec produce.Record, purpose string) (produce.Record, error)
}

// An Operation is what a caller wants to do with a topic.
type Operation string

// The operations that a [Guard] is asked about.
const (
	OpProduce Operation = "produce"
	OpCheck   Operation = "check"
	OpProtect Operation = "protect"
	OpReveal  Operation = "reveal"
)

// A Guard says who calls and what he may do. It is safe for concurrent use.
type Guard interface {
	// Authenticate is asked once for each call and stream, before any message of
	// it is read. What it returns is the context of everything that follows. The
	// error is [ErrUnauthenticated], [ErrDenied], [ErrHost], [ErrOrigin] or
	// [ErrGuardUnavailable]; any other is a fault, and the call is refused.
	Authenticate(ctx context.Context, c *Caller) (context.Context, error)
	// Authorize is asked for each topic of each message, with the context of
	// Authenticate, before anything is done with a record. purpose is empty but
	// for [OpReveal]. Errors are those of Authenticate; [ErrUnauthenticated] is
	// for a login that ended while a stream went on.
	Authorize(ctx context.Context, op Operation, topic, purpose string) error
}

// Errors of a [Guard], tested by [errors.Is]. Their texts are never sent.
var (
	ErrUnauthenticated  = errors.New("rpc: the caller is not known")
	ErrDenied           = errors.New("rpc: the caller may not do this")
	ErrHost             = errors.New("rpc: the call is for another host")
	ErrOrigin           = errors.New("rpc: the call comes from a page of another origin")
	ErrGuardUnavailable = errors.New("rpc: it cannot be said now what the caller may do")
)

// A Caller is who makes a call, as the connection and its headers show him.
type Caller struct {
	// Protocol is "grpc", "grpc-web" or "connect".
	Protocol string
	// Procedure is the called method, such as
	// "/fieldveil.v1.ProduceService/Produce".
	Procedure string
	// Host is for whom the call says that it is: the :authority, or the header
	// Host.
	Host string
	// Remote is the address of the peer.
	Remote net.Addr
	// TLS is nil on a connection without it.
	TLS *tls.ConnectionState
	// Conn is the accepted connection, below TLS, for the credentials of the peer
	// of a Unix socket. It is neither read nor written nor closed.
	Conn net.Conn

	header func(name string) []string
}

// Header returns the values of a header of the call. Case does not matter.
func (c *Caller) Header(name string) []string {
	if c.header == nil {
		return nil
	}
	return c.header(name)
}

// An Audit takes a line for each call of Reveal that got as far as its topic.
type Audit interface {
	// Revealed returns when the line is durable. The context is that of
	// [Guard.Authenticate]. With an error the caller gets nothing.
	Revealed(ctx context.Context, r Reveal) error
}

// A Reveal is what an [Audit] notes about one call.
type Reveal struct {
	Topic   string
	Purpose string
	// Outcome is "revealed", [RevealDenied] or the reason of another failure.
	Outcome string
}

// RevealDenied is the Outcome of a call that the [Guard] did not allow.
const RevealDenied = reasonDenied

func (d *Deps) validate() error {
	var errs []error
	need := func(ok bool, name string) {
		if !ok {
			errs = append(errs, errors.New("rpc: "+name+" is missing"))
		}
	}
	need(d.Sender != nil, "Sender")
	need(d.Protector != nil, "Protector")
	need(d.Guard != nil, "Guard")
	need(d.Audit != nil, "Audit")
	return errors.Join(errs...)
}
