//go:build linux

package auth

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestAUnixSocketSaysWhoCalls(t *testing.T) {
	self := fmt.Sprintf("uid:%d", os.Getuid())
	for name, tt := range map[string]struct {
		u    Unix
		mode fs.FileMode
		want string
	}{
		"the own user by default":  {Unix{}, 0o600, self},
		"a user of the list":       {Unix{Mode: "0666", UIDs: []uint32{uint32(os.Getuid())}}, 0o666, self},
		"a group of the list":      {Unix{Mode: "660", GIDs: []uint32{7, uint32(os.Getgid())}}, 0o660, self},
		"a user that is not on it": {Unix{UIDs: []uint32{54321}}, 0o600, ""},
		"a group that is not":      {Unix{GIDs: []uint32{54321}}, 0o600, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := mustNew(t, Config{Unix: tt.u})
			path := filepath.Join(t.TempDir(), "s")
			l, err := a.Listen(t.Context(), "unix:"+path)
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: a.HTTPMiddleware(nameHandler()), ConnContext: ConnContext, ReadHeaderTimeout: time.Minute, ErrorLog: quiet()}
			var wg sync.WaitGroup
			wg.Go(func() { _ = s.Serve(l) })
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != tt.mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			want := tt.want + " HTTP/1.1"
			if tt.want == "" {
				want = "auth: not authenticated\n"
			}
			if string(body) != want || err != nil {
				t.Errorf("%q, want %q, %v", body, want, err)
			}
			transport.CloseIdleConnections()
			s.Close()
			wg.Wait()
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestASocketIsReplacedOnlyWhenItIsDead(t *testing.T) {
	a := mustNew(t, Config{})
	path := filepath.Join(t.TempDir(), "s")
	dead, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listen(t.Context(), "unix:"+path); err == nil {
		t.Error("a socket that another listens on was replaced")
	}
	if u, ok := dead.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // as a process that was killed leaves it
	}
	dead.Close()
	l, err := a.Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatalf("a dead socket: %v", err)
	}
	if l.Addr().String() != path {
		t.Errorf("address %v", l.Addr())
	}
	// Another took the name: it is not ours to remove.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "x")
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file of another was removed: %v", err)
	}
	if _, err := a.Listen(t.Context(), "unix:"+path); err == nil {
		t.Error("a file was replaced")
	}
	if _, err := a.Listen(t.Context(), "unix:"+filepath.Join(path, "x", "y")); err == nil {
		t.Error("a socket in no directory")
	}
}
