package registry

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/schema"
)

func TestEveryStatusHasItsClass(t *testing.T) {
	for status, want := range map[int]error{
		300: ErrAnswer, 304: ErrAnswer,
		400: ErrInvalid, 401: ErrDenied, 403: ErrDenied, 404: schema.ErrNotFound, 405: ErrInvalid, 407: ErrDenied,
		408: ErrUnavailable, 409: ErrIncompatible, 413: ErrInvalid, 422: ErrInvalid, 425: ErrUnavailable, 429: ErrUnavailable,
		500: ErrUnavailable, 501: ErrUnavailable, 502: ErrUnavailable, 503: ErrUnavailable, 504: ErrUnavailable, 599: ErrUnavailable,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(map[string]any{id7: status})
			_, err := inside(t, f).Schema(t.Context(), 7)
			if !errors.Is(err, want) || Retryable(err) != errors.Is(want, ErrUnavailable) {
				t.Errorf("%d: %v", status, err)
			}
			api, ok := errors.AsType[*Error](err)
			if !ok || api.Status != status || api.Method != http.MethodGet || api.Path != "/schemas/ids/7" || api.URL != "https://registry.invalid" {
				t.Fatalf("%d: %#v", status, api)
			}
			if status >= 400 && (api.Code != status*100+1 || api.Message != fmt.Sprintf("answer %d", status)) {
				t.Errorf("%d: %+v", status, api)
			}
			wantCalls := 1
			if errors.Is(want, ErrUnavailable) {
				wantCalls = maxRounds
			}
			if n := f.count(id7); n != wantCalls {
				t.Errorf("%d: asked %d times", status, n)
			}
		})
	}
}

func TestMessagesOfARegistryAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for body, want := range map[string]string{
			`{"error_code":40403,"message":"a\u001b[31m\r\nb\u202ec\u0000d"}`: "a [31m b c d",
			`{"error_code":40403,"message":"` + repeat("é", 600) + `"}`:       repeat("é", 254) + "...",
			`{"error_code":40403,"message":"` + repeat("x", 100<<10) + `"}`:   "",
			`<html>not here</html>`:                            "",
			`{"error_code":"40403","message":"x"}`:             "",
			`{"error_code":40403,"message":"x","message":"y"}`: "",
			`{"message":null}`:                                 "",
			`{"message":["x"]}`:                                "",
		} {
			c := inside(t, newFake(map[string]any{id7: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = fmt.Fprint(w, body)
			}}))
			_, err := c.Schema(t.Context(), 7)
			api, ok := errors.AsType[*Error](err)
			if !ok || api.Message != want || !errors.Is(err, schema.ErrNotFound) || len(api.Message) > maxMessage {
				t.Errorf("%.60s: %v", body, err)
			}
		}
	})
}

func TestAnotherURLTakesOver(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	good := `{"schema":"\"string\""}`
	for name, first := range map[string]any{
		"where it fails":            500,
		"where it throttles":        429,
		"where it is a page":        "<html></html>",
		"where it breaks off":       hangUp,
		"where the answer is short": cutShort,
		"where nobody listens":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newFake(map[string]any{id7: first, "GET /schemas/ids/8": first}), newFake(map[string]any{id7: good, "GET /schemas/ids/8": good})
			as, bs := httptest.NewServer(a), httptest.NewServer(b)
			defer as.Close()
			defer bs.Close()
			url := as.URL
			if first == nil {
				url = dead.URL
			}
			c := client(t, []string{url, bs.URL + "/"})
			if _, err := c.Schema(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			asked := a.total()
			if _, err := c.Schema(t.Context(), 8); err != nil || a.total() != asked || b.total() != 2 {
				t.Errorf("%v; the first URL was asked %d times, the second %d", err, a.total(), b.total())
			}
		})
	}
	t.Run("not where the answer is no", func(t *testing.T) {
		for _, status := range []int{404, 401, 403, 422} {
			b := newFake(map[string]any{id7: good})
			bs := httptest.NewServer(b)
			as := httptest.NewServer(newFake(map[string]any{id7: status}))
			if _, err := client(t, []string{as.URL, bs.URL}).Schema(t.Context(), 7); err == nil || b.total() != 0 {
				t.Errorf("%d: %v", status, err)
			}
			as.Close()
			bs.Close()
		}
	})
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = fmt.Fprint(w, `{"schema":"\"string\""}`)
}

func TestRetriesAreATenthOfTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(map[string]any{})
		c := inside(t, f)
		for id := 1; id <= 100; id++ {
			f.set(fmt.Sprintf("GET /schemas/ids/%d", id), 503)
			if _, err := c.Schema(t.Context(), id); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if n := f.total(); n < 115 || n > 100+maxRetryTokens+10 {
			t.Errorf("%d requests for 100 calls", n)
		}
	})
}

func TestARegistryThatAsksForTimeGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for header, least := range map[string]time.Duration{"1": 2 * time.Second, "3600": 2 * longestWait, "-1": 0, "x": 0} {
			c := inside(t, newFake(map[string]any{id7: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(http.StatusTooManyRequests)
			}}))
			start := time.Now()
			_, err := c.Schema(t.Context(), 7)
			if took := time.Since(start); !errors.Is(err, ErrUnavailable) || took < least || took > least+time.Second {
				t.Errorf("%s: %v after %v", header, err, took)
			}
		}
	})
}

func TestASlowRegistryEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newFake(map[string]any{id7: func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
		start := time.Now()
		_, err := inside(t, slow).Schema(t.Context(), 7)
		if took := time.Since(start); !errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || took > 31*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		start = time.Now()
		_, err = inside(t, slow, WithTimeout(time.Second), WithBudget(1500*time.Millisecond)).Schema(t.Context(), 7)
		if took := time.Since(start); !errors.Is(err, ErrUnavailable) || took > 1500*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = inside(t, slow).Schema(ctx, 7)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("%v after %v", err, took)
		}
		slow.set("GET /subjects", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		c := inside(t, slow)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = c.Subjects(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestRedirectsStayOnTheHost(t *testing.T) {
	for _, secure := range []bool{true, false} {
		stolen := newFake(map[string]any{id7: `{"schema":"\"bytes\""}`, "GET /x": `{"schema":"\"bytes\""}`})
		thief := httptest.NewServer(stolen)
		c := "/x?token=CANARY"
		if secure {
			c = thief.URL + "/x?token=CANARY"
		}
		f, cl := serve(t, map[string]any{
			id7:                   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, c, http.StatusTemporaryRedirect) },
			"GET /x?token=CANARY": `{"schema":"\"string\""}`,
			"GET /schemas/ids/8":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
			"POST /subjects/s":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) },
		}, WithBearerToken("CANARY"))
		got, err := cl.Schema(t.Context(), 7)
		if secure && (!errors.Is(err, ErrAnswer) || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), thief.URL)) {
			t.Errorf("%v", err)
		}
		if !secure && (err != nil || got.Schema != `"string"`) {
			t.Errorf("%+v, %v", got, err)
		}
		if stolen.total() != 0 {
			t.Error("the other host was asked")
		}
		if _, err := cl.Schema(t.Context(), 8); !errors.Is(err, ErrAnswer) || f.count("GET /schemas/ids/8") > 5 {
			t.Errorf("a loop: %v", err)
		}
		if _, err := cl.Lookup(t.Context(), "s", Schema{Text: "x"}); !errors.Is(err, ErrAnswer) || f.count("POST /x") != 0 {
			t.Errorf("a POST: %v", err)
		}
		thief.Close()
	}
}

func TestADeletionIsNotRepeated(t *testing.T) {
	const path = "DELETE /subjects/s/versions/3"
	f, c := serve(t, map[string]any{path: hangUp})
	if err := c.DeleteVersion(t.Context(), "s", 3, false); !errors.Is(err, ErrUnavailable) || f.count(path) != 1 {
		t.Errorf("%v, asked %d times", err, f.count(path))
	}
	f.set(path, "3")
	if err := c.DeleteVersion(t.Context(), "s", 3, false); err != nil {
		t.Error(err)
	}
	f.set(path+"?permanent=true", "3")
	if err := c.DeleteVersion(t.Context(), "s", 3, true); err != nil {
		t.Error(err)
	}
	dead := httptest.NewServer(nil)
	dead.Close()
	alive := httptest.NewServer(f)
	defer alive.Close()
	if err := client(t, []string{dead.URL, alive.URL}).DeleteVersion(t.Context(), "s", 3, false); err != nil {
		t.Errorf("where the first URL was not reached: %v", err)
	}
}

func TestFaultsOfTheNetworkHaveTheirWord(t *testing.T) {
	tlsServer := httptest.NewUnstartedServer(newFake(nil))
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	defer tlsServer.Close()
	plain := httptest.NewServer(newFake(nil))
	defer plain.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	none := roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Err: "CANARY", Name: "CANARY", IsNotFound: true}
	})
	other := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("CANARY") })
	for name, tt := range map[string]struct {
		url  string
		opts []Option
		want string
	}{
		"nobody listens":     {dead.URL, nil, "connection refused"},
		"no such host":       {"https://CANARY.invalid", []Option{WithTransport(none)}, "the host is not known"},
		"anything else":      {"https://registry.invalid", []Option{WithTransport(other)}, "network error"},
		"not trusted":        {tlsServer.URL, nil, "the certificate of the server is not trusted"},
		"TLS to a plain one": {strings.Replace(plain.URL, "http:", "https:", 1), nil, "the server does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, []string{tt.url}, tt.opts...)
			c.caller.retries.tokens = 0
			_, err := c.Schema(t.Context(), 7)
			if !errors.Is(err, ErrUnavailable) || !strings.HasSuffix(err.Error(), ": registry unavailable: "+tt.want) {
				t.Error(err)
			}
			if strings.Contains(strings.ReplaceAll(err.Error(), "https://CANARY.invalid", ""), "CANARY") {
				t.Error(err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAPathStandsBeforeAll(t *testing.T) {
	f := newFake(map[string]any{"GET /api/ccompat/v7/schemas/ids/7": `{"schema":"\"string\""}`, "GET /contexts/.a%2Fb/schemas/ids/7": `{"schema":"\"string\""}`})
	s := httptest.NewServer(f)
	defer s.Close()
	for _, path := range []string{"/api/ccompat/v7", "/api/ccompat/v7//", "/contexts/.a%2Fb"} {
		if _, err := client(t, []string{s.URL + path}).Schema(t.Context(), 7); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	endless := func(w io.Writer) {
		for range 1 << 16 {
			if _, err := fmt.Fprint(w, repeat("x", 1024)); err != nil {
				return
			}
		}
	}
	_, c := serve(t, map[string]any{
		id7: func(w http.ResponseWriter, r *http.Request) { endless(w) },
		"GET /schemas/ids/8": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			endless(z)
			z.Close()
		},
	})
	for _, id := range []int{7, 8} {
		if _, err := c.Schema(t.Context(), id); !errors.Is(err, ErrLimit) {
			t.Error(err)
		}
	}
}
