package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A call is a POST, as the demo makes it and as a line for curl says it.
type call struct {
	url, media, body string
}

// curl returns the call as a command of a shell. No body of the demo holds a
// single quote.
func (c call) curl() string {
	return fmt.Sprintf("curl -sS %s \\\n  -H 'Content-Type: %s' \\\n  -d '%s'", c.url, c.media, strings.ReplaceAll(c.body, "\n", "\n      "))
}

// An answer is what came back.
type answer struct {
	status int
	body   string
}

// maxAnswer is more than any answer of the demo has.
const maxAnswer = 1 << 20

func (c call) do(ctx context.Context) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", c.media)
	return send(req)
}

func get(ctx context.Context, url string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	return send(req)
}

// send leaves no connection behind: the sidecar would wait for it when it ends.
func send(req *http.Request) (answer, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return answer{res.StatusCode, string(bytes.TrimSpace(b))}, err
}

// patience is how long the demo waits for an answer.
const patience = 30 * time.Second
