package auth

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
)

// Middleware authenticates every request and hands it on with its principal in the
// context and without its Authorization header, so that nothing behind it can show
// one. current returns the Auth that is in force. refuse answers callers that are
// not let in; nil is [Refuse]. The server needs [ConnContext]
// for Unix sockets.
func Middleware(current func() *Auth, refuse func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	if refuse == nil {
		refuse = Refuse
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req := Request{TLS: r.TLS, Target: TargetOf(r)}
			values := r.Header.Values("Authorization")
			if len(values) > 0 {
				req.Authorization = values[0]
			}
			if len(values) > 1 || (len(values) == 1 && values[0] == "") {
				refuse(w, r, unauthenticated(ReasonHeader))
				return
			}
			req.Remote, _ = r.Context().Value(peerKey{}).(net.Addr)
			if req.Remote == nil {
				if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
					req.Remote = net.TCPAddrFromAddrPort(at)
				}
			}
			p, err := current().Authenticate(r.Context(), req)
			if err != nil {
				refuse(w, r, err)
				return
			}
			r = r.WithContext(NewContext(r.Context(), p))
			r.Header = r.Header.Clone()
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		})
	}
}

// TargetOf returns for whom a request of net/http says that it is.
func TargetOf(r *http.Request) Target {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return Target{Host: r.Host, Origin: r.Header.Values("Origin"), Local: local}
}

// HTTPMiddleware is [Middleware] for an Auth that stays.
func (a *Auth) HTTPMiddleware(next http.Handler) http.Handler {
	return Middleware(func() *Auth { return a }, nil)(next)
}

// Refuse answers with the status of an error of this package, and its fixed words.
func Refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status, text := http.StatusUnauthorized, ErrUnauthenticated.Error()
	switch {
	case errors.Is(err, ErrDenied):
		status, text = http.StatusForbidden, ErrDenied.Error()
	case errors.Is(err, ErrHost):
		status, text = http.StatusMisdirectedRequest, ErrHost.Error()
	case errors.Is(err, ErrOrigin):
		status, text = http.StatusForbidden, ErrOrigin.Error()
	case errors.Is(err, ErrUnavailable):
		status, text = http.StatusServiceUnavailable, ErrUnavailable.Error()
	default:
		Challenge(w.Header())
	}
	http.Error(w, text, status)
}

// Challenge adds to the header of an answer with status 401 what a caller may show.
func Challenge(h http.Header) {
	h.Add("WWW-Authenticate", `Bearer realm="fieldveil"`)
	h.Add("WWW-Authenticate", `Basic realm="fieldveil", charset="UTF-8"`)
}
