package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"time"
)

type awaitCmd struct {
	URL     string        `name:"url" default:"http://127.0.0.1:9191/readyz" help:"Where the sidecar says whether it is ready."`
	Timeout time.Duration `default:"1m" help:"How long to wait; 0 waits for ever."`
	Command []string      `arg:"" optional:"" passthrough:"" help:"What to run then, in place of this program, after --."`
}

// Help is the second paragraph of the help text.
func (awaitCmd) Help() string {
	return "It is for programs that send their first records at once, on clusters that do not start sidecars first: " +
		"fieldveil await -- ./producer. The exit code is 1 when the sidecar does not become ready, and then nothing runs; " +
		"otherwise it is that of the command."
}

// awaitEvery is how often the sidecar is asked, awaitEach how long one answer may
// take.
const (
	awaitEvery = 250 * time.Millisecond
	awaitEach  = 2 * time.Second
)

// Run waits, then becomes the command.
func (c awaitCmd) Run(t *terminal) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("--url: expected http:// or https:// and a host")
	}
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	path := ""
	if len(command) > 0 {
		// Who misspelt it is told at once.
		if path, err = exec.LookPath(command[0]); err != nil {
			return err
		}
	}
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if c.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
	}
	defer cancel()
	if err := c.wait(ctx); err != nil {
		return err
	}
	if path == "" {
		return nil
	}
	return become(t, path, command)
}

// wait returns when the sidecar is ready.
func (c awaitCmd) wait(ctx context.Context) error {
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: awaitEach}
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		last := c.ask(ctx, client)
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w", c.Timeout, last)
		}
	}
}

var errNotReady = errors.New("the sidecar says that it is not ready")

func (c awaitCmd) ask(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // nothing of it was read
	if res.StatusCode != http.StatusOK {
		return errNotReady
	}
	return nil
}
