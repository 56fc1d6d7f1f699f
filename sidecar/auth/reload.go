package auth

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A Reload is what became of files that changed.
type Reload struct {
	// Err is nil where what they hold is in force now. Otherwise what they held
	// before stays so.
	Err error
}

// settle is how long after an event files are read, as it is seldom the last one.
const settle = 100 * time.Millisecond

// maxFile is how long a file of certificates or tokens may be.
const maxFile = 8 << 20

// files returns the files that are read again.
func (a *Auth) files() []string {
	var out []string
	for _, path := range []string{a.config.TLS.Cert, a.config.TLS.Key, a.config.TLS.ClientCA} {
		if path != "" {
			out = append(out, path)
		}
	}
	for _, t := range a.config.Tokens {
		out = append(out, t.File)
	}
	return out
}

// read reads all files, and returns a digest of them besides. With an error the
// digest is that of what could be read.
func (a *Auth) read() (*state, string, error) {
	var (
		text = make(map[string][]byte)
		sum  = sha256.New()
		errs []error
	)
	for _, path := range a.files() {
		b, err := readSmall(path)
		if err != nil {
			errs = append(errs, err)
		}
		text[path] = b
		one := sha256.Sum256(b)
		sum.Write(one[:])
	}
	digest := string(sum.Sum(nil))
	if err := errors.Join(errs...); err != nil {
		return nil, digest, err
	}
	s := &state{}
	if c := &a.config; c.TLS.Cert != "" {
		var err error
		if s.pair, err = newPair(c, text[c.TLS.Cert], text[c.TLS.Key], text[c.TLS.ClientCA]); err != nil {
			return nil, digest, err
		}
	}
	seen := make(map[[sha256.Size]byte]bool)
	for i, t := range a.config.Tokens {
		tokens, err := parseTokens(text[t.File], t.Principal)
		if err != nil {
			return nil, digest, fmt.Errorf("tokens[%d]: %s: %w", i, t.File, err)
		}
		for _, t := range tokens {
			if seen[t.sum] {
				return nil, digest, fmt.Errorf("tokens[%d]: a token of %s stands twice", i, t.name)
			}
			seen[t.sum] = true
		}
		s.tokens = append(s.tokens, tokens...)
	}
	if len(s.tokens) > maxTokens {
		return nil, digest, fmt.Errorf("tokens: more than %d", maxTokens)
	}
	return s, digest, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return b, err
}

// Reload reads the files again. What they hold is in force at once, for callers on
// connections that are there already too; when any of it is wrong, all stays as it
// was. Files that did not change since they were read last are not looked into.
func (a *Auth) Reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	s, digest, err := a.read()
	if digest == a.last {
		return nil
	}
	a.last = digest
	if err != nil {
		err = fmt.Errorf("auth: %w", err)
	} else {
		a.state.Store(s)
	}
	a.observe(Reload{err})
	return err
}

// Run reloads when files change, until ctx ends. It watches their directories, as
// names are changed there when a file or, in Kubernetes, a whole volume is
// replaced, and looks at the files now and then besides.
func (a *Auth) Run(ctx context.Context) error {
	interval := a.config.ReloadInterval
	if interval == 0 {
		interval = defaultReload
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var (
		events chan fsnotify.Event
		failed chan error
	)
	// Where nothing can be watched, looking now and then has to do.
	if w, err := fsnotify.NewWatcher(); err == nil {
		defer func() { _ = w.Close() }()
		var dirs []string
		for _, path := range a.files() {
			if dir := filepath.Dir(path); !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
				_ = w.Add(dir)
			}
		}
		events, failed = w.Events, w.Errors
	}
	// What changed before the watching began.
	_ = a.Reload() // the observer is told
	// Many events come at once, and others' files may be in the directories too.
	var soon <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			if soon == nil {
				soon = time.After(settle)
			}
			continue
		case err := <-failed:
			// Events were lost.
			a.tell(fmt.Errorf("auth: watch files: %w", err))
		case <-soon:
			soon = nil
		case <-tick.C:
		}
		_ = a.Reload() // the observer is told
	}
}

func (a *Auth) tell(err error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.observe(Reload{err})
}

// TLSConfig returns the configuration of servers. It follows the files, for new
// connections. It fails where no TLS is configured.
func (a *Auth) TLSConfig() (*tls.Config, error) {
	s := a.state.Load()
	if s.pair == nil {
		return nil, errors.New("auth: no TLS is configured")
	}
	c := s.pair.config.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return a.state.Load().pair.config, nil }
	return c, nil
}

// HasTLS tells whether TLS is configured.
func (a *Auth) HasTLS() bool { return a.config.TLS.Cert != "" }

// NotAfter returns until when the certificate that callers are shown now is good,
// the zero time without TLS.
func (a *Auth) NotAfter() time.Time {
	p := a.state.Load().pair
	if p == nil {
		return time.Time{}
	}
	return p.config.Certificates[0].Leaf.NotAfter
}
