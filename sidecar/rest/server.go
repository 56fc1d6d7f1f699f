package rest

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A Server is the HTTP surface. It is an [http.Handler], immutable, and safe for
// concurrent use.
type Server struct {
	cfg        Config
	deps       Deps
	challenges []string
	bufs       sync.Pool // of *buffers
	slots      sync.Pool // of *slot
}

// New returns the surface of cfg, wired to deps.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Sender == nil || deps.Guard == nil {
		return nil, errors.New("rest: Deps needs a Sender and a Guard")
	}
	s := &Server{cfg: filled(cfg), deps: deps, challenges: deps.Challenges}
	if len(s.challenges) == 0 {
		s.challenges = []string{"Bearer"}
	}
	s.cfg.PublicURL = strings.TrimRight(s.cfg.PublicURL, "/")
	if s.deps.Observer == nil {
		s.deps.Observer = unobserved{}
	}
	s.bufs.New = func() any { return new(buffers) }
	s.slots.New = func() any { return &slot{ready: make(chan struct{}, 1)} }
	return s, nil
}

// ConfigureServer sets what the surface needs of the server that serves it: the
// limits of a request's header, HTTP/2 without TLS beside HTTP/1.1 when no
// protocols were chosen, and no time-out of the server's own for bodies and
// answers, because streams last; the handler sets those of each request itself.
func (s *Server) ConfigureServer(srv *http.Server) {
	srv.ReadHeaderTimeout = s.cfg.HeaderTimeout
	srv.ReadTimeout = 0
	srv.WriteTimeout = 0
	srv.IdleTimeout = s.cfg.KeepAlive
	srv.MaxHeaderBytes = s.cfg.MaxHeaderBytes
	if srv.Protocols == nil {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
}

// A call is one request on its way. One goroutine uses it, except where said.
type call struct {
	s       *Server
	w       *countingWriter
	r       *http.Request
	info    RequestInfo
	media   string // of the answer
	allow   string
	v3      bool
	unread  bool   // the body, or some of it
	topic   string // of the path
	cluster string
	params  [3]string
	rooms   []func() // what Admit gave
	control *http.ResponseController
}

// A countingWriter remembers what was answered.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{s: s, w: &countingWriter{ResponseWriter: w}, r: r, media: mediaJSON}
	c.control = http.NewResponseController(w)
	c.info = RequestInfo{Route: "none", Method: knownMethod(r.Method)}
	defer func() {
		for _, release := range c.rooms {
			release()
		}
		lost := recover()
		if lost != nil {
			s.deps.Observer.Panicked(c.info.Route, debug.Stack())
			if c.w.status == 0 {
				c.fail(internalFailure())
				lost = nil
			} else {
				c.info.Reason = "internal"
			}
		}
		c.info.Status, c.info.BytesOut = c.w.status, c.w.bytes
		c.info.Duration = time.Since(start)
		s.deps.Observer.Request(r.Context(), c.info)
		if lost != nil {
			// The answer has begun and cannot be taken back: the client must see that
			// it is not whole.
			panic(http.ErrAbortHandler) //nolint:forbidigo // the documented way to cut a connection
		}
	}()
	_ = c.control.SetWriteDeadline(start.Add(s.cfg.BodyTimeout + s.cfg.ProduceTimeout + s.cfg.BodyTimeout))
	c.serve()
}

func (c *call) serve() {
	h := c.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	rt, f := c.route(c.r.Method, c.r.URL.Path)
	if f != nil {
		c.unread = c.r.ContentLength != 0
		c.fail(f)
		return
	}
	c.info.Route, c.v3 = rt.name, rt.v3
	if !rt.v3 {
		c.media = mediaV2
	}
	if c.topic != "" && !validTopic(c.topic) {
		c.refuse(&failure{status: 400, code: 40002, reason: "topic_invalid", text: "not the name of a topic"})
		return
	}
	if err := c.s.deps.Guard.Authorize(c.r.Context(), c.r, rt.op, c.topic); err != nil {
		c.refuse(guardFailure(err))
		return
	}
	if f := c.accept(rt.v3); f != nil && rt.op != OpNone {
		c.refuse(f)
		return
	}
	if rt.v3 && c.cluster != "" {
		if f := c.checkCluster(); f != nil {
			c.refuse(f)
			return
		}
	}
	rt.serve(c)
}

// refuse answers with f before the body was read.
func (c *call) refuse(f *failure) {
	c.unread = c.r.ContentLength != 0
	c.fail(f)
}

// admit takes room for what the request needs, until it ends.
func (c *call) admit(records, size int) *failure {
	release, err := c.s.deps.Sender.Admit(records, size)
	if err != nil {
		return produceFailure(err)
	}
	c.rooms = append(c.rooms, release)
	return nil
}

// observe tells of the answer to one record.
func (c *call) observe(code int, reason string, outcome produce.Outcome) {
	c.info.Records++
	if outcome != produce.Delivered {
		c.info.Failed++
		if outcome == produce.Unknown {
			c.info.Unknown++
		}
		if c.info.First == "" {
			c.info.First = reason
		}
	} else {
		c.info.Topic = c.topic
	}
	c.s.deps.Observer.Record(RecordInfo{Route: c.info.Route, Code: code, Reason: reason, Outcome: outcome})
}

func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions:
		return m
	default:
		return "OTHER"
	}
}

// validTopic says whether Kafka could have a topic of that name.
func validTopic(name string) bool {
	const longest = 249
	if name == "" || len(name) > longest || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// checkCluster refuses an id that cannot be one, and in strict mode any other
// than that of the cluster.
func (c *call) checkCluster() *failure {
	if !validTopic(c.cluster) {
		return notFound("the cluster does not exist")
	}
	if !c.s.cfg.StrictCluster {
		return nil
	}
	if c.s.deps.Cluster == nil {
		return notFound("this sidecar answers no reads of the cluster")
	}
	info, err := c.s.deps.Cluster.Cluster(c.r.Context())
	if err != nil {
		return clusterFailure(err)
	}
	if info.ID != c.cluster {
		return notFound("the cluster does not exist")
	}
	return nil
}

type unobserved struct{}

func (unobserved) Request(context.Context, RequestInfo) {}
func (unobserved) Record(RecordInfo)                    {}
func (unobserved) Panicked(string, []byte)              {}

// withTimeout is the context of the records of one request.
func (c *call) withTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.r.Context(), c.s.cfg.ProduceTimeout)
}
