package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A sinkSender takes everything and keeps nothing.
type sinkSender struct{}

func (sinkSender) Admit(int, int) (func(), *produce.Error)                  { return func() {}, nil }
func (sinkSender) AdmitStream() (func(), *produce.Error)                    { return func() {}, nil }
func (sinkSender) Check(context.Context, produce.Record) (r produce.Result) { return r }

func (sinkSender) Produce(_ context.Context, recs []produce.Record, _ produce.Mode) []produce.Result {
	out := make([]produce.Result, len(recs))
	for i := range out {
		out[i] = produce.Result{Outcome: produce.Delivered, Offset: int64(i), Timestamp: fixedTime}
	}
	return out
}

func (sinkSender) Send(_ context.Context, _ produce.Record, done func(produce.Result)) {
	done(produce.Result{Outcome: produce.Delivered, Timestamp: fixedTime, KeySize: -1})
}

type echoRecord struct {
	Key   any `json:"key,omitempty"`
	Value any `json:"value"`
}

// echoJSON is what a service does that reads records with encoding/json and
// gives them back.
func echoJSON(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Records []echoRecord `json:"records"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(in); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// echoBytes gives back what it gets.
func echoBytes(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

const benchDoc = `{"id":%d,"email":"ann.%d@example.test","name":"Ann Example","street":"1 Long Street","city":"Exampleton","phones":["+44 20 7946 0000","+44 20 7946 0001"],"card":{"pan":"4111111111111111","expiry":"12/29"},"active":true,"score":12.5,"note":"%s"}`

func benchBodies() (jsonBody, binaryBody, rawBody, streamBody []byte) {
	note := bytes.Repeat([]byte("lorem ipsum "), 30)
	var j, b, s bytes.Buffer
	j.WriteString(`{"records":[`)
	b.WriteString(`{"records":[`)
	for i := range 100 {
		if i > 0 {
			j.WriteByte(',')
			b.WriteByte(',')
		}
		doc := fmt.Sprintf(benchDoc, i, i, note)
		fmt.Fprintf(&j, `{"key":"c-%d","value":%s}`, i, doc)
		fmt.Fprintf(&b, `{"key":"Yy03","value":"%s"}`, base64.StdEncoding.EncodeToString([]byte(doc)))
		fmt.Fprintf(&s, `{"key":{"type":"STRING","data":"c-%d"},"value":{"type":"JSON","data":%s}}`, i, doc)
	}
	j.WriteString(`]}`)
	b.WriteString(`]}`)
	return j.Bytes(), b.Bytes(), bytes.Repeat([]byte("0123456789abcdef"), 64<<6), s.Bytes()
}

// The two halves of each pair are for one ratio: run them in one go.
func BenchmarkHandler(b *testing.B) {
	s, err := New(Config{}, Deps{Sender: sinkSender{}, Guard: Open{}})
	if err != nil {
		b.Fatal(err)
	}
	jsonBody, binaryBody, rawBody, streamBody := benchBodies()
	const stream = "/v3/clusters/k1/topics/customers/records"
	for _, bb := range []struct {
		name, path, media string
		body              []byte
		h                 http.Handler
	}{
		{"v2 json", "/topics/customers", "application/vnd.kafka.json.v2+json", jsonBody, s},
		{"v2 json beside encoding-json echo", "/topics/customers", "application/json", jsonBody, http.HandlerFunc(echoJSON)},
		{"v2 binary", "/topics/customers", "application/vnd.kafka.binary.v2+json", binaryBody, s},
		{"v2 binary beside encoding-json echo", "/topics/customers", "application/json", binaryBody, http.HandlerFunc(echoJSON)},
		{"v2 binary beside byte echo", "/topics/customers", "application/json", binaryBody, http.HandlerFunc(echoBytes)},
		{"v3 stream", stream, "application/json", streamBody, s},
		{"raw", "/topics/customers/raw", "application/octet-stream", rawBody, s},
		{"raw beside byte echo", "/topics/customers/raw", "application/octet-stream", rawBody, http.HandlerFunc(echoBytes)},
	} {
		b.Run(bb.name+"/handler", func(b *testing.B) {
			b.SetBytes(int64(len(bb.body)))
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, bb.path, bytes.NewReader(bb.body))
				r.Header.Set("Content-Type", bb.media)
				w := httptest.NewRecorder()
				bb.h.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
		b.Run(bb.name+"/server", func(b *testing.B) {
			srv := httptest.NewServer(bb.h)
			defer srv.Close()
			client := srv.Client()
			b.SetBytes(int64(len(bb.body)))
			for b.Loop() {
				req, err := http.NewRequest(http.MethodPost, srv.URL+bb.path, bytes.NewReader(bb.body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Content-Type", bb.media)
				resp, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Fatal(resp.StatusCode)
				}
			}
		})
	}
}
