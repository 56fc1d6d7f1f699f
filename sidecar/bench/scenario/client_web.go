package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/schema/wire"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/load"
)

// A webClient posts bodies over and over, on a few connections. It does as little
// as can be: what the client does is in both sides of a ratio.
type webClient struct {
	conns    []*webConn
	requests [][]byte
	next     atomic.Uint64
	each     int // records in a body
	look     bool
}

type webConn struct {
	net.Conn

	r    *bufio.Reader
	body []byte
}

// newWeb makes a client of the sidecar, or of the echo.
func newWeb(p *Params, values [][]byte, addr, schema string, look bool) (Client, error) {
	w := &webClient{each: p.batch(), look: look}
	path, media := "/bytes", "application/octet-stream"
	conns := 4
	body := func(i int) []byte { return values[i%len(values)] }
	extra := func(int) (query, headers string) { return "", "" }
	switch p.Surface {
	case SurfaceRaw:
		w.each, conns = 1, 16
		if look {
			path = "/topics/" + p.Set.Topic + "/raw"
			extra = func(i int) (query, headers string) { return besideBody(&p.Set.Records[i%len(values)]) }
		}
	case SurfaceBinary:
		body = func(i int) []byte { return bodyV2("", p.Set, values, i*w.each, w.each, appendBase64, appendBase64) }
		if look {
			path, media = "/topics/"+p.Set.Topic, "application/vnd.kafka.binary.v2+json"
		}
	case SurfaceJSON:
		media = "application/vnd.kafka.json.v2+json"
		head, key := "", appendText
		if p.Set.Framed {
			key = nil // it would need a schema too
			media = "application/vnd.kafka.jsonschema.v2+json"
			head = `"value_schema_id":` + schema + `,`
			values = documents(values)
		}
		body = func(i int) []byte { return bodyV2(head, p.Set, values, i*w.each, w.each, key, appendDocument) }
		path = "/topics/" + p.Set.Topic
		if !look {
			path, media = "/json", "application/json"
		}
	}
	if p.Concurrency > 0 {
		conns = p.Concurrency
	}
	// A few different bodies, so that all records are sent in turn.
	for i := range min(max(1, (len(values)+w.each-1)/w.each), 64) {
		b := body(i)
		query, headers := extra(i)
		head := fmt.Appendf(nil, "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n", path, query, addr, media, headers, len(b))
		w.requests = append(w.requests, append(head, b...))
	}
	for range conns {
		c, err := net.Dial("tcp", addr) //nolint:noctx // loopback
		if err != nil {
			w.Close()
			return nil, err
		}
		w.conns = append(w.conns, &webConn{Conn: c, r: bufio.NewReaderSize(c, 64<<10)})
	}
	return w, nil
}

// documents returns values without their framing.
func documents(values [][]byte) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = v[min(wire.FrameSize, len(v)):]
	}
	return out
}

// bodyV2 is a batch of version 2 of the REST proxy.
func bodyV2(head string, set *input.Set, values [][]byte, from, n int, key, value func(dst, v []byte) []byte) []byte {
	b := []byte("{" + head + `"records":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		rec := &set.Records[(from+i)%len(values)]
		b = append(b, '{')
		if key != nil && rec.Key != nil {
			b = append(key(append(b, `"key":`...), rec.Key), ',')
		}
		for k, h := range rec.Headers {
			if k == 0 {
				b = append(b, `"headers":[`...)
			}
			b = append(appendText(append(b, `{"name":`...), []byte(h.Key)), `,"value":`...)
			b = append(appendBase64(b, h.Value), '}', ',')
			if k == len(rec.Headers)-1 {
				b[len(b)-1] = ']'
				b = append(b, ',')
			}
		}
		b = append(b, `"value":`...)
		b = append(value(b, values[(from+i)%len(values)]), '}')
	}
	return append(b, "]}"...)
}

func appendBase64(dst, v []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v)
	return append(dst, '"')
}

// appendText appends a string of JSON.
func appendText(dst, v []byte) []byte {
	text, err := json.Marshal(string(v))
	if err != nil {
		return append(dst, "null"...) // a string always has a form
	}
	return append(dst, text...)
}

// besideBody returns where key and headers of a record stand beside a raw body.
func besideBody(rec *input.Record) (query, headers string) {
	if rec.Key != nil {
		query = "?key_base64=" + url.QueryEscape(base64.StdEncoding.EncodeToString(rec.Key))
	}
	for _, h := range rec.Headers {
		headers += "X-Kafka-" + h.Key + ": " + string(h.Value) + "\r\n"
	}
	return query, headers
}

func appendDocument(dst, v []byte) []byte {
	if !json.Valid(v) {
		return append(dst, "null"...)
	}
	return append(dst, v...)
}

func (w *webClient) Close() {
	for _, c := range w.conns {
		_ = c.Close() // nothing is under way
	}
}

var errAnswer = errors.New("not all records were accepted")

func (w *webClient) call(c *webConn) error {
	request := w.requests[w.next.Add(1)%uint64(len(w.requests))]
	// A server that refuses a request may end the connection in the middle of it.
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	buf := bytes.NewBuffer(c.body[:0])
	if _, err := io.Copy(buf, res.Body); err != nil {
		return err
	}
	c.body = buf.Bytes()
	// The answer is not shown: an echo holds the records.
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", errAnswer, res.StatusCode)
	}
	if w.look && bytes.Count(c.body, []byte(`"offset":`)) != w.each {
		return errAnswer
	}
	return nil
}

func (w *webClient) Run(ctx context.Context, d time.Duration) (int, error) {
	r, err := load.Closed{Workers: len(w.conns), For: d}.Run(ctx, func(_ context.Context, i int) (int, error) {
		return w.each, w.call(w.conns[i])
	})
	if err != nil {
		return 0, err
	}
	return int(r.Acknowledged), nil
}

// open gives each burst to the next free connection, and waits for one: then the
// bursts behind it are late, as they are for a service with a pool of connections.
func (w *webClient) Open() (send load.Send, burst int, end func()) {
	free := make(chan *webConn, len(w.conns))
	for _, c := range w.conns {
		free <- c
	}
	send = func(ctx context.Context, n int, done func(int, error)) error {
		select {
		case c := <-free:
			go func() {
				err := w.call(c)
				free <- c
				done(n, err)
			}()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return send, w.each, func() {
		for range w.conns {
			<-free
		}
	}
}
