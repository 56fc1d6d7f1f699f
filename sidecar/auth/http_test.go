package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func request(t *testing.T, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.RemoteAddr, r.Host = "[::1]:99", "[::1]:8082"
	if len(header) > 0 {
		r.Header["Authorization"] = header
	}
	return r
}

func TestRequestsGoOnWithAPrincipalAndWithoutCredentials(t *testing.T) {
	a := mustNew(t, Config{Tokens: []TokenSource{{Principal: "billing", File: write(t, filepath.Join(t.TempDir(), "t"), secretA)}}})
	h := a.HTTPMiddleware(nameHandler())
	for name, tt := range map[string]struct {
		header []string
		status int
		body   string
	}{
		"a token":          {[]string{"Bearer " + secretA}, http.StatusOK, "billing HTTP/1.1"},
		"by Basic":         {[]string{basic("billing", secretA)}, http.StatusOK, "billing HTTP/1.1"},
		"another":          {[]string{"Bearer " + secretB}, http.StatusUnauthorized, "auth: not authenticated\n"},
		"none":             {nil, http.StatusUnauthorized, "auth: not authenticated\n"},
		"an empty one":     {[]string{""}, http.StatusUnauthorized, "auth: not authenticated\n"},
		"two, of one good": {[]string{"Bearer " + secretA, "Bearer " + secretB}, http.StatusUnauthorized, "auth: not authenticated\n"},
	} {
		r, w := request(t, tt.header...), httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Body)
		if err != nil || w.Code != tt.status || string(body) != tt.body {
			t.Errorf("%s: %d %q, %v", name, w.Code, body, err)
		}
		if challenge := w.Header().Values("WWW-Authenticate"); (len(challenge) == 2) != (tt.status == http.StatusUnauthorized) {
			t.Errorf("%s: challenge %q", name, challenge)
		}
		if strings.Contains(string(body), "CANARY") {
			t.Errorf("%s: the answer shows a credential", name)
		}
		if len(r.Header.Values("Authorization")) != len(tt.header) {
			t.Errorf("%s: the request of the caller was changed", name)
		}
	}
}

func TestAnotherConfigurationIsInForceAtOnce(t *testing.T) {
	no := false
	open, closed := mustNew(t, Config{}), mustNew(t, Config{AnonymousLoopback: &no})
	current := open
	var refusals []error
	h := Middleware(func() *Auth { return current }, func(w http.ResponseWriter, _ *http.Request, err error) {
		refusals = append(refusals, err)
		w.WriteHeader(http.StatusTeapot)
	})(nameHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(t))
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	current = closed
	w = httptest.NewRecorder()
	h.ServeHTTP(w, request(t))
	if w.Code != http.StatusTeapot || len(refusals) != 1 || !errors.Is(refusals[0], ErrUnauthenticated) {
		t.Errorf("status %d, refusals %v", w.Code, refusals)
	}
}

func TestWhatRefusalsAnswer(t *testing.T) {
	for err, want := range map[error]int{
		errRule: http.StatusForbidden, unauthenticated(ReasonNone): http.StatusUnauthorized,
		&Error{ErrUnavailable, ReasonKeys}: http.StatusServiceUnavailable,
		errHost:                            http.StatusMisdirectedRequest, errOrigin: http.StatusForbidden,
	} {
		w := httptest.NewRecorder()
		Refuse(w, nil, err)
		if w.Code != want || (w.Header().Get("WWW-Authenticate") != "") != (want == http.StatusUnauthorized) {
			t.Errorf("%v: %d %v", err, w.Code, w.Header())
		}
	}
}

func TestAContextWithoutPrincipal(t *testing.T) {
	if p, ok := FromContext(context.WithoutCancel(t.Context())); ok || p.Name != "" {
		t.Errorf("%+v", p)
	}
}
