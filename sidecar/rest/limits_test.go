package rest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

func zipped(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBodiesAreBounded(t *testing.T) {
	const v2json = "application/vnd.kafka.json.v2+json"
	good := `{"records":[{"value":1}]}`
	packed := zipped(t, good)
	for name, tt := range map[string]struct {
		body   io.Reader
		zip    bool
		length int64 // -1 for not known, 0 for as it is
		status int
	}{
		"a gzip body is read":                             {body: bytes.NewReader(packed), zip: true, status: 200},
		"a gzip body of two members is read as one":       {body: io.MultiReader(bytes.NewReader(zipped(t, good[:9])), bytes.NewReader(zipped(t, good[9:]))), zip: true, length: -1, status: 200},
		"a body of unknown length is read":                {body: strings.NewReader(good), length: -1, status: 200},
		"a long body of unknown length is read":           {body: strings.NewReader(`{"records":[{"value":"` + strings.Repeat("x", 300<<10) + `"}]}`), length: -1, status: 200},
		"half a gzip body is refused":                     {body: bytes.NewReader(packed[:len(packed)-9]), zip: true, status: 400},
		"what is no gzip is refused":                      {body: strings.NewReader(good), zip: true, status: 400},
		"a gzip body that unpacks to too much is refused": {body: bytes.NewReader(zipped(t, strings.Repeat(" ", 900<<10)+good)), zip: true, status: 413},
		"a gzip body over the limit is refused":           {body: bytes.NewReader(zipped(t, strings.Repeat(" ", 2<<20)+good)), zip: true, status: 413},
		"a body over the limit is refused":                {body: strings.NewReader(strings.Repeat(" ", 1<<20) + good), status: 413},
		"a body over the limit of unknown length is too":  {body: strings.NewReader(strings.Repeat(" ", 1<<20) + good), length: -1, status: 413},
		"a body at the limit is read":                     {body: strings.NewReader(strings.Repeat(" ", 1<<20-len(good)) + good), status: 200},
		"a body that is not UTF-8 is refused":             {body: strings.NewReader("{\"records\":[{\"value\":\"\xff\"}]}"), status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			sender := &fakeSender{}
			s := newServer(t, Config{MaxBodyBytes: 1 << 20}, Deps{Sender: sender})
			r := httptest.NewRequest(http.MethodPost, "/topics/customers", tt.body)
			r.Header.Set("Content-Type", v2json)
			if tt.length != 0 {
				r.ContentLength = tt.length
			}
			if tt.zip {
				r.Header.Set("Content-Encoding", "gzip")
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.status)
			}
			if sent := len(sender.sent) > 0; sent != (tt.status == 200) {
				t.Errorf("sent: %v", sent)
			}
			if sender.taken != 0 {
				t.Errorf("%d rooms are still taken", sender.taken)
			}
		})
	}
}

func TestABodyThatDoesNotComeIs408(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, newServer(t, Config{}, Deps{Sender: &fakeSender{}}))
		var wg sync.WaitGroup
		write(&wg, c, "POST /topics/customers HTTP/1.1\r\nHost: t\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: 99\r\n\r\n{")
		status, closes, body := answerOf(t, c)
		if status != http.StatusRequestTimeout || !closes {
			t.Errorf("%d %s", status, body)
		}
		wg.Wait()
	})
}

func TestTheTimeForTheBodyDoesNotEndARequestThatIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := &slowSender{wait: 20 * time.Minute}
		c := dial(t, newServer(t, Config{ProduceTimeout: time.Hour}, Deps{Sender: sender}))
		var wg sync.WaitGroup
		write(&wg, c, "POST /topics/customers/raw HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx")
		status, _, _ := answerOf(t, c)
		wg.Wait()
		if status != http.StatusOK {
			t.Error(status)
		}
	})
}

func TestAConnectionServesManyRequests(t *testing.T) {
	s := newServer(t, Config{}, Deps{Sender: &fakeSender{}})
	srv := httptest.NewServer(s)
	defer srv.Close()
	for range 3 {
		for path, media := range map[string]string{"/topics/customers": "application/vnd.kafka.json.v2+json", recordsPath: "application/json"} {
			body := `{"records":[{"value":1}]}`
			if path == recordsPath {
				body = `{"value":{"type":"JSON","data":1}}`
			}
			resp, err := srv.Client().Post(srv.URL+path, media, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.Close {
				t.Errorf("%s: %s, close %v", path, resp.Status, resp.Close)
			}
		}
	}
}

func TestRoomIsTakenBeforeABodyIsRead(t *testing.T) {
	sender := &sizeSender{full: &produce.Error{Code: produce.CodeOverloaded, Outcome: produce.Retryable}}
	s := newServer(t, Config{}, Deps{Sender: sender})
	for _, length := range []int64{5, -1} {
		r := httptest.NewRequest(http.MethodPost, "/topics/customers/raw", errReader{})
		r.ContentLength = length
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 429 {
			t.Errorf("length %d: %d", length, w.Code)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("read before there was room") }

// A sizeSender has no room for bytes.
type sizeSender struct {
	fakeSender

	full *produce.Error
}

func (s *sizeSender) Admit(int, int) (func(), *produce.Error) { return nil, s.full }

func TestAConfigNamesEveryKeyThatIsWrong(t *testing.T) {
	c := Config{MaxBodyBytes: -1, MaxGzipRatio: 5000, StreamIdle: -1, PublicURL: "ftp://user:secret@host"}
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"max_body_bytes: ", "max_gzip_ratio: ", "stream_idle: ", "public_url: "} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Error("a password is shown")
	}
	d := DefaultConfig()
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	if filled(Config{}) != d {
		t.Error("the zero Config does not stand for the defaults")
	}
	if _, err := New(Config{}, Deps{Sender: &fakeSender{}}); err == nil {
		t.Error("a surface without a Guard")
	}
}

func TestAKeyThatOccursTwiceIsFoundAmongMany(t *testing.T) {
	for _, n := range []int{2, manyNames - 1, manyNames, manyNames + 1, 1000} {
		for _, twice := range []int{-1, 0, n / 2, n - 1} {
			var b strings.Builder
			b.WriteString(`{"first":0`)
			for i := range n {
				fmt.Fprintf(&b, `,"k%d":{"k%d":1}`, i, i)
			}
			if twice >= 0 {
				fmt.Fprintf(&b, `,"\u006b%d":1`, twice)
			}
			b.WriteByte('}')
			var s scanner
			if f := s.reset([]byte(b.String())); f != faultNone {
				t.Fatal(f)
			}
			_, f := s.value(0)
			if want := map[bool]fault{true: faultDuplicate, false: faultNone}[twice >= 0]; f != want {
				t.Errorf("%d keys, key %d twice: %v", n, twice, f.text())
			}
		}
	}
}
