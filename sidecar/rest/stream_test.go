package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

const recordsPath = "/v3/clusters/k1/topics/customers/records"

func newServer(t testing.TB, cfg Config, deps Deps) *Server {
	t.Helper()
	if deps.Guard == nil {
		deps.Guard = Open{}
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReceiptsComeWhileTheRequestIsStillOpen(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", h2), func(t *testing.T) {
			s := newServer(t, Config{}, Deps{Sender: &fakeSender{}})
			srv := httptest.NewUnstartedServer(s)
			s.ConfigureServer(srv.Config)
			srv.Start()
			defer srv.Close()
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP1(!h2)
			tr.Protocols.SetUnencryptedHTTP2(h2)
			defer tr.CloseIdleConnections()
			body, feed := io.Pipe()
			// Without full duplex this would wait for ever.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+recordsPath, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := tr.RoundTrip(req) // comes back before the first record was written
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if (resp.ProtoMajor == 2) != h2 {
				t.Fatalf("HTTP/%d", resp.ProtoMajor)
			}
			in := bufio.NewReader(resp.Body)
			for i := range 20 {
				if _, err := fmt.Fprintf(feed, `{"value":{"type":"JSON","data":%d}}`, i); err != nil {
					t.Fatal(err)
				}
				line, err := in.ReadString('\n')
				if err != nil || !strings.HasSuffix(line, "}\r\n") || !strings.Contains(line, fmt.Sprintf(`"offset":%d,`, 90+i)) {
					t.Fatalf("receipt %d: %q, %v", i, line, err)
				}
			}
			_ = feed.Close()
			if rest, err := io.ReadAll(in); err != nil || len(rest) != 0 {
				t.Errorf("after the last: %q, %v", rest, err)
			}
		})
	}
}

// A pipeListener hands out connections in memory, whose deadlines follow the
// clock of a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial starts a server in the bubble and returns a connection to it.
func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	return dialer(t, s)()
}

// dialer starts a server in the bubble and returns what connects to it.
func dialer(t *testing.T, s *Server) func() net.Conn {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: s}
	s.ConfigureServer(srv)
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	var clients []net.Conn
	t.Cleanup(func() {
		for _, c := range clients {
			_ = c.Close()
		}
		_ = srv.Close()
		wg.Wait()
	})
	return func() net.Conn {
		client, server := net.Pipe()
		l.conns <- server
		clients = append(clients, client)
		return client
	}
}

// answerOf reads an answer from a connection, whole. closes says that the server
// takes no other request on it.
func answerOf(t *testing.T, c net.Conn) (status int, closes bool, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Close, string(all)
}

const streamHead = "POST " + recordsPath + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// write sends without waiting for the server to read it all.
func write(wg *sync.WaitGroup, c net.Conn, parts ...string) {
	wg.Go(func() {
		for _, p := range parts {
			if _, err := io.WriteString(c, p); err != nil {
				return
			}
		}
	})
}

func TestAStreamThatSendsNothingEndsWithA408Receipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{StreamIdle: time.Minute}, Deps{Sender: &fakeSender{}})
		c := dial(t, s)
		start := time.Now()
		var wg sync.WaitGroup
		write(&wg, c, streamHead, chunk(`{"value":{"type":"JSON","data":1}}`))
		_, _, body := answerOf(t, c)
		wg.Wait()
		lines := strings.Split(body, "\r\n")
		if len(lines) != 3 || !strings.Contains(lines[0], `"error_code":200`) || !strings.HasPrefix(lines[1], `{"error_code":408,`) {
			t.Errorf("%q", body)
		}
		if took := time.Since(start); took < time.Minute || took > 2*time.Minute {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestAStreamEndsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{StreamIdle: time.Minute, StreamTotal: 5 * time.Minute}, Deps{Sender: &fakeSender{}})
		c := dial(t, s)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.WriteString(c, streamHead)
			tick := time.NewTicker(30 * time.Second)
			defer tick.Stop()
			for range 100 {
				if _, err := io.WriteString(c, chunk(`{"value":{"type":"JSON","data":1}}`)); err != nil {
					return
				}
				<-tick.C
			}
		})
		_, _, body := answerOf(t, c)
		if !strings.Contains(body, `{"error_code":408,`) || strings.Count(body, `:200,`) < 9 {
			t.Errorf("%q", body)
		}
		if took := time.Since(start); took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("ended after %v", took)
		}
		_ = c.Close()
		wg.Wait()
	})
}

func TestAStreamReadsNoMoreThanItsWindow(t *testing.T) {
	for name, cfg := range map[string]Config{
		"records": {StreamWindowRecords: 4},
		"bytes":   {StreamWindowBytes: 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const all = 200
				sender := &fakeSender{hold: make(chan struct{})}
				c := dial(t, newServer(t, cfg, Deps{Sender: sender}))
				var wg sync.WaitGroup
				parts := []string{streamHead}
				pad := strings.Repeat("x", 200)
				for i := range all {
					parts = append(parts, chunk(fmt.Sprintf(`{"value":{"type":"JSON","data":[%d,%q]}}`, i, pad)))
				}
				write(&wg, c, append(parts, "0\r\n\r\n")...)
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				synctest.Wait()
				sender.mu.Lock()
				n, rooms := len(sender.sent), sender.taken
				sender.mu.Unlock()
				if n == 0 || n > 4 {
					t.Errorf("%d records are in flight", n)
				}
				if rooms != n+1 {
					t.Errorf("%d rooms for %d records and a stream", rooms, n)
				}
				close(sender.hold)
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				wg.Wait()
				lines := strings.Split(strings.TrimSpace(string(body)), "\r\n")
				if len(lines) != all {
					t.Fatalf("%d receipts", len(lines))
				}
				for i, line := range lines {
					if !strings.Contains(line, fmt.Sprintf(`"offset":%d,`, 90+i)) {
						t.Fatalf("receipt %d: %s", i, line)
					}
				}
			})
		})
	}
}

func TestAClientThatLeavesTakesNothingWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := &fakeSender{hold: make(chan struct{})}
		seen := &fakeObserver{}
		c := dial(t, newServer(t, Config{}, Deps{Sender: sender, Observer: seen}))
		var wg sync.WaitGroup
		write(&wg, c, streamHead, chunk(`{"value":{"type":"JSON","data":1}}`))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		synctest.Wait()
		_ = c.Close()
		wg.Wait()
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock: longer than the grace
		synctest.Wait()
		if sender.taken != 0 {
			t.Errorf("%d rooms are still taken", sender.taken)
		}
		if len(seen.records) != 1 || seen.records[0].Outcome != produce.Unknown {
			t.Errorf("%+v", seen.records)
		}
	})
}

func TestAPanicCutsAStreamAndNamesNoValue(t *testing.T) {
	sender := &fakeSender{panics: true}
	seen := &fakeObserver{}
	srv := httptest.NewServer(newServer(t, Config{}, Deps{Sender: sender, Observer: seen}))
	defer srv.Close()
	resp, err := srv.Client().Post(srv.URL+recordsPath, "application/json", strings.NewReader(`{"value":{"type":"STRING","data":"CANARY"}}`))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("the answer looks whole")
	}
	srv.Close()
	if got := seen.String(); strings.Contains(got, "CANARY") || len(seen.stacks) != 1 {
		t.Errorf("observed %s", got)
	}
	if sender.taken != 0 {
		t.Errorf("%d rooms are still taken", sender.taken)
	}
}

// A keepingSender keeps what it was given, and says that it does not know what
// became of it.
type keepingSender struct {
	fakeSender

	kept [][]byte
}

func (k *keepingSender) Produce(_ context.Context, recs []produce.Record, _ produce.Mode) []produce.Result {
	out := make([]produce.Result, len(recs))
	for i := range recs {
		k.kept = append(k.kept, recs[i].Value)
		out[i] = produce.Result{Outcome: produce.Unknown, Err: &produce.Error{Code: produce.CodeUnknown}}
	}
	return out
}

func (k *keepingSender) Send(_ context.Context, rec produce.Record, done func(produce.Result)) {
	k.kept = append(k.kept, rec.Value)
	done(produce.Result{Outcome: produce.Unknown, Err: &produce.Error{Code: produce.CodeUnknown}})
}

func TestBytesOfAnUnknownOutcomeAreNeverWrittenAgain(t *testing.T) {
	for name, req := range map[string][3]string{
		"v2":     {"/topics/customers", "application/vnd.kafka.json.v2+json", `{"records":[{"value":"%04d"}]}`},
		"raw":    {"/topics/customers/raw", "text/plain", `"%04d"`},
		"batch":  {recordsPath + ":batch", "application/json", `{"entries":[{"id":"a","value":{"type":"JSON","data":"%04d"}}]}`},
		"stream": {recordsPath, "application/json", `{"value":{"type":"JSON","data":"%04d"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			sender := &keepingSender{}
			s := newServer(t, Config{}, Deps{Sender: sender})
			const all = 100
			for i := range all {
				r := httptest.NewRequest(http.MethodPost, req[0], strings.NewReader(fmt.Sprintf(req[2], i)))
				r.Header.Set("Content-Type", req[1])
				s.ServeHTTP(httptest.NewRecorder(), r)
			}
			if len(sender.kept) != all {
				t.Fatalf("%d records", len(sender.kept))
			}
			for i, v := range sender.kept {
				if want := fmt.Sprintf("%q", fmt.Sprintf("%04d", i)); string(v) != want {
					t.Fatalf("record %d became %s", i, v)
				}
			}
		})
	}
}

func TestManyStreamsAtOnceKeepTheirOwnOrder(t *testing.T) {
	s := newServer(t, Config{StreamWindowRecords: 3}, Deps{Sender: sinkSender{}})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			var body strings.Builder
			for i := range 200 {
				if i%7 == n%7 {
					fmt.Fprintf(&body, `{"value":{"type":"BINARY","data":%d}}`, i)
					continue
				}
				fmt.Fprintf(&body, `{"value":{"type":"JSON","data":%d}}`, i)
			}
			r := httptest.NewRequest(http.MethodPost, recordsPath, strings.NewReader(body.String()))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			dec := json.NewDecoder(w.Body)
			for i := range 200 {
				var got struct {
					Code int `json:"error_code"`
				}
				want := 200
				if i%7 == n%7 {
					want = 422
				}
				if err := dec.Decode(&got); err != nil || got.Code != want {
					t.Errorf("stream %d, receipt %d: %d, %v", n, i, got.Code, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAQuietStreamEndsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, newServer(t, Config{StreamIdle: time.Hour}, Deps{Sender: &fakeSender{}}))
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, part := range []string{streamHead, chunk(`{"value":{"type":"JSON","data":1}}`), "0\r\n\r\n"} {
				_, _ = io.WriteString(c, part)
				time.Sleep(50 * time.Minute) //nolint:forbidigo // the bubble's clock
			}
		})
		_, _, body := answerOf(t, c) // fails on an answer that is cut
		if strings.Count(body, "\r\n") != 1 {
			t.Errorf("%q", body)
		}
		wg.Wait()
	})
}

// An expiringGuard says yes for a while.
type expiringGuard struct{ until time.Time }

func (g expiringGuard) Authorize(context.Context, *http.Request, Operation, string) error {
	if time.Now().After(g.until) {
		return ErrUnauthenticated
	}
	return nil
}

func TestAStreamEndsWhenItsPermissionDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := expiringGuard{time.Now().Add(10 * time.Minute)}
		c := dial(t, newServer(t, Config{}, Deps{Sender: &fakeSender{}, Guard: guard}))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := io.WriteString(c, streamHead); err != nil {
				return
			}
			for range 20 {
				if _, err := io.WriteString(c, chunk(`{"value":{"type":"JSON","data":1}}`)); err != nil {
					return
				}
				time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
			}
		})
		_, _, body := answerOf(t, c)
		lines := strings.Split(strings.TrimSpace(body), "\r\n")
		if n := len(lines); n < 10 || n > 13 || !strings.HasPrefix(lines[n-1], `{"error_code":40101,`) {
			t.Errorf("%q", lines)
		}
		_ = c.Close()
		wg.Wait()
	})
}

func TestAHeaderThatWasDecodedDoesNotConfuseTheRestOfItsRecord(t *testing.T) {
	x := exchange{request: "POST " + recordsPath + "\nContent-Type: application/json\n\n" +
		`{"headers":[{"name":"a","value":"IiI="}],"unknown":1}{"value":{"type":"JSON","data":1}}`}
	s, _ := x.server(t)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, x.httpRequest(t))
	lines := strings.Split(w.Body.String(), "\r\n")
	if len(lines) != 3 || lines[0] != `{"error_code":400,"message":"unknown key unknown"}` || !strings.Contains(lines[1], ":200,") {
		t.Errorf("%q", lines)
	}
}

func TestAQuietStreamOfHTTP2EndsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connect := dialer(t, newServer(t, Config{StreamIdle: time.Hour}, Deps{Sender: &fakeSender{}}))
		tr := &http.Transport{
			Protocols:   new(http.Protocols),
			DialContext: func(context.Context, string, string) (net.Conn, error) { return connect(), nil },
		}
		tr.Protocols.SetUnencryptedHTTP2(true)
		defer tr.CloseIdleConnections()
		body, feed := io.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(50 * time.Minute) //nolint:forbidigo // the bubble's clock
			_, _ = io.WriteString(feed, `{"value":{"type":"JSON","data":1}}`)
			time.Sleep(50 * time.Minute) //nolint:forbidigo // the bubble's clock
			_ = feed.Close()
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://test"+recordsPath, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		all, err := io.ReadAll(resp.Body)
		if err != nil || strings.Count(string(all), "\r\n") != 1 {
			t.Errorf("%q, %v", all, err)
		}
		wg.Wait()
	})
}

func TestAClientThatDoesNotReadReceiptsIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := &fakeSender{}
		seen := &fakeObserver{}
		c := dial(t, newServer(t, Config{StreamWindowRecords: 2}, Deps{Sender: sender, Observer: seen}))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := io.WriteString(c, streamHead); err != nil {
				return
			}
			for range 100 {
				if _, err := io.WriteString(c, chunk(`{"value":{"type":"JSON","data":1}}`)); err != nil {
					return
				}
			}
		})
		resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil) // the header, and no more
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock: longer than a write may take
		synctest.Wait()
		if sender.taken != 0 || len(seen.requests) != 1 {
			t.Errorf("%d rooms are still taken, %d requests have ended", sender.taken, len(seen.requests))
		}
		_ = c.Close()
		wg.Wait()
	})
}

// A panickingObserver panics when it hears of a record.
type panickingObserver struct{ fakeObserver }

func (*panickingObserver) Record(RecordInfo) { panic("CANARY") }

func TestAPanicOfTheWriterOfReceiptsIsThatOfTheRequest(t *testing.T) {
	sender := &fakeSender{}
	seen := &panickingObserver{}
	s := newServer(t, Config{}, Deps{Sender: sender, Observer: seen})
	r := httptest.NewRequest(http.MethodPost, recordsPath, strings.NewReader(strings.Repeat(`{"value":{"type":"JSON","data":1}}`, 50)))
	r.Header.Set("Content-Type", "application/json")
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("%v", err)
			}
		}()
		s.ServeHTTP(httptest.NewRecorder(), r)
	}()
	if sender.taken != 0 || len(seen.stacks) != 1 || strings.Contains(seen.String(), "CANARY") {
		t.Errorf("%d rooms are still taken; %s", sender.taken, seen)
	}
}
