package registrytest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Server is a schema registry in memory. It is an http.Handler. All methods
// are safe for concurrent use.
type Server struct {
	store    *store
	checkers map[string]Checker
	users    map[string]string
	tokens   []string
	registry http.Handler
	script   script

	listener net.Listener
	secure   bool
	http     *http.Server
	stopped  chan struct{} // closed when the listener is done with
	once     sync.Once
}

// New returns a Server that listens nowhere: use it as a handler, or call its
// methods. It panics where an option makes no sense, which is a fault of the
// test that calls it; [Start] returns the error.
func New(opts ...Option) *Server {
	s, err := build(opts)
	if err != nil {
		panic(err.Error()) //nolint:forbidigo // the options are written down in the program, and New has no error
	}
	return s
}

func build(opts []Option) (*Server, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{store: newStore(o.level), checkers: o.checkers, users: o.users, tokens: o.tokens}
	s.registry = s.routes()
	return s, nil
}

// Start returns a Server that listens on a free port of the loopback interface.
// The caller must call [Server.Close]. Start fails where an option makes no
// sense, or where no port can be had.
func Start(opts ...Option) (*Server, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	s, err := build(opts)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	s.listener, err = lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	on := s.listener
	if o.tls != nil {
		s.secure = true
		on = tls.NewListener(on, o.tls)
	}
	s.stopped = make(chan struct{})
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // a library does not print
	}
	go func() {
		defer close(s.stopped)
		// It ends with ErrServerClosed, by Close. Nobody is there to hear of
		// another error; requests fail then, which the test sees.
		_ = s.http.Serve(on)
	}()
	return s, nil
}

// URL returns the address of a Server that was started, without a slash at its
// end, and nothing for one that was not.
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	scheme := "http"
	if s.secure {
		scheme = "https"
	}
	return scheme + "://" + s.listener.Addr().String()
}

// Close ends all connections, lets go of held requests and waits for the
// listener to end. Closing again, or a Server that was not started, is fine.
func (s *Server) Close() {
	s.once.Do(func() {
		s.script.close()
		if s.http == nil {
			return
		}
		// Nothing is lost in memory: there is no reason to wait for requests.
		_ = s.http.Close()
		<-s.stopped
	})
}

// ServeHTTP answers a request of the registry protocol. First come the log, the
// gates and the scripted faults, then the user, then the registry.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &statusWriter{ResponseWriter: w}
	call := s.script.begin(r)
	defer func() { s.script.end(call, answer.status) }()
	if !s.script.pass(r) {
		respondError(answer, plain(http.StatusServiceUnavailable)) // for nobody: the client is gone
		return
	}
	switch status := s.script.fault(r); {
	case status == DropConnection:
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to close a connection without an answer
	case status != 0:
		respondError(answer, errorf(status, "scripted fault"))
		return
	}
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="registrytest"`)
		respondError(answer, errorf(http.StatusUnauthorized, "Unauthorized"))
		return
	}
	s.registry.ServeHTTP(answer, r)
}

func (s *Server) authorized(r *http.Request) bool {
	if len(s.users) == 0 && len(s.tokens) == 0 {
		return true
	}
	if user, password, ok := r.BasicAuth(); ok {
		want, known := s.users[user]
		return known && same(want, password)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && slices.ContainsFunc(s.tokens, func(t string) bool { return same(t, token) })
}

// same compares secrets without telling by the time where they differ.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Register adds a schema to a subject, as a POST to its versions does, and
// returns its id. The error is an [*Error].
func (s *Server) Register(subject string, schema Schema) (id int, err error) {
	v, fail := s.register(subject, registration{Schema: schema}, false)
	if fail != nil {
		return 0, fail
	}
	return v.entry.id, nil
}

// Schema returns the schema of an id in the default context. The error is an
// [*Error].
func (s *Server) Schema(id int) (Schema, error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	e, _ := s.store.byID(id, "")
	if e == nil {
		return Schema{}, schemaNotFound(id)
	}
	return e.schema.clone(), nil
}

// Subjects returns the full names of all subjects that have a version, in
// order.
func (s *Server) Subjects() []string {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	out := []string{}
	for _, sub := range s.store.all() {
		if sub.exists(false) {
			out = append(out, sub.name.String())
		}
	}
	return out
}

// SetCompatibility sets the level of a subject, or, where the subject is empty,
// that of all others. The error is an [*Error].
func (s *Server) SetCompatibility(subject, level string) error {
	_, fail := s.configure(subject, encode(map[string]string{"compatibility": level}))
	if fail != nil {
		return fail
	}
	return nil
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
