package registrytest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// args are the decoded parts of a path that stand where a route has a name.
type args map[string]string

// endpoint answers one kind of request. Its answer is written as JSON, unless
// it is a text of the type raw.
type endpoint func(w http.ResponseWriter, r *http.Request, in args) (any, *Error)

// raw is an answer that is written as it is.
type raw string

// route is a path as its segments, those in braces being names, with an
// endpoint for each method.
type route struct {
	segments []string
	methods  map[string]endpoint
}

// router finds the endpoint of a request by the escaped path, so that a name may
// hold slashes. net/http's mux would redirect paths such as /subjects/.. .
type router struct {
	routes []route
	// unescape decodes one segment. Other parts of the interface than this one
	// read a plus sign as a space.
	unescape func(string) (string, error)
}

func newRouter() *router { return &router{unescape: url.PathUnescape} }

// handle adds an endpoint for a pattern such as "GET /subjects/{subject}".
func (rt *router) handle(pattern string, e endpoint) {
	method, path, _ := strings.Cut(pattern, " /")
	segments := strings.Split(path, "/")
	for i := range rt.routes {
		if strings.Join(rt.routes[i].segments, "/") == path {
			rt.routes[i].methods[method] = e
			return
		}
	}
	rt.routes = append(rt.routes, route{segments: segments, methods: map[string]endpoint{method: e}})
}

// ServeHTTP answers a request. The first route whose path fits decides.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	if last := len(segments) - 1; last > 0 && segments[last] == "" {
		segments = segments[:last]
	}
	for _, route := range rt.routes {
		in, ok := route.match(segments, rt.unescape)
		if !ok {
			continue
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		e := route.methods[method]
		if e == nil {
			respondError(w, plain(http.StatusMethodNotAllowed))
			return
		}
		answer, fail := e(w, r, in)
		if fail != nil {
			respondError(w, fail)
			return
		}
		respond(w, http.StatusOK, answer)
		return
	}
	respondError(w, plain(http.StatusNotFound))
}

func (r route) match(segments []string, unescape func(string) (string, error)) (args, bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	in := args{}
	for i, want := range r.segments {
		if !strings.HasPrefix(want, "{") {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		got, err := unescape(segments[i])
		if err != nil || got == "" {
			return nil, false
		}
		in[strings.Trim(want, "{}")] = got
	}
	return in, true
}

func respondError(w http.ResponseWriter, e *Error) {
	respond(w, e.Status, map[string]any{"error_code": e.Code, "message": e.Message})
}

// respond writes an answer. A client that is gone is not worth an error.
func respond(w http.ResponseWriter, status int, answer any) {
	text, ok := answer.(raw)
	body := []byte(text)
	if !ok {
		body = encode(answer)
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
