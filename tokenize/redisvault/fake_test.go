package redisvault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
)

// A fake is a server in this process that runs the scripts, together with a hook
// that answers for the commands it does not have and fails those it is told to.
// What a real server does is tested elsewhere.
type fake struct {
	server *miniredis.Miniredis
	client *redis.Client

	mu        sync.Mutex
	info      map[string]string
	config    map[string]string
	noConfig  bool                        // CONFIG is refused
	confirm   func(cmd string) []int64    // what WAIT and WAITAOF answer
	fail      func(cmd redis.Cmder) error // before the command is sent
	lose      func(cmd redis.Cmder) bool  // the answer, after it was executed
	pipelines int
	sent      map[string]int // commands by name
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{
		server: miniredis.RunT(t),
		info:   map[string]string{"redis_version": "7.0.15", "maxmemory_policy": "noeviction", "aof_enabled": "1"},
		config: map[string]string{"appendfsync": "always"},
		sent:   map[string]int{},
	}
	f.client = redis.NewClient(&redis.Options{Addr: f.server.Addr(), DisableIdentity: true, Protocol: 2})
	f.client.AddHook(f)
	t.Cleanup(func() {
		if err := f.client.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fake) store(t *testing.T, options ...Option) *Store {
	t.Helper()
	s, err := New(f.client, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *fake) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if f.answer(cmd) {
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func (f *fake) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		f.set(func() { f.pipelines++ })
		var rest []redis.Cmder
		for _, cmd := range cmds {
			if !f.answer(cmd) {
				rest = append(rest, cmd)
			}
		}
		var err error
		if len(rest) > 0 {
			err = next(ctx, rest)
		}
		for _, cmd := range rest {
			f.mu.Lock()
			lose := f.lose
			f.mu.Unlock()
			if lose != nil && lose(cmd) {
				err = net.ErrClosed
				cmd.SetErr(err)
			}
		}
		for _, cmd := range cmds {
			err = errors.Join(err, cmd.Err())
		}
		return err
	}
}

// answer answers a command here, or tells that the server has to.
func (f *fake) answer(cmd redis.Cmder) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent[cmd.Name()]++
	if f.fail != nil {
		if err := f.fail(cmd); err != nil {
			cmd.SetErr(err)
			return true
		}
	}
	switch c := cmd.(type) {
	case *redis.MapStringStringCmd:
		if f.noConfig {
			c.SetErr(serverError("ERR unknown command 'CONFIG', with args beginning with: 'get' 'appendfsync'"))
		} else {
			c.SetVal(f.config)
		}
		return true
	case *redis.StringCmd:
		if cmd.Name() == "info" {
			text := "# Server\r\n"
			for k, v := range f.info {
				text += k + ":" + v + "\r\n"
			}
			c.SetVal(text)
			return true
		}
	case *redis.Cmd:
		if strings.HasPrefix(cmd.Name(), "wait") {
			n := f.confirm(strings.TrimSpace(fmt.Sprintln(cmd.Args()...)))
			if len(n) == 1 {
				c.SetVal(n[0])
			} else {
				c.SetVal([]any{n[0], n[1]})
			}
			return true
		}
	}
	return false
}

// serverError is an error that the server answered with.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

func rowsOf(n int) []tokenize.Row {
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = tokenize.Row{Scope: "scope", Index: tokenize.Index{byte(i), byte(i >> 8)}, Token: fmt.Appendf(nil, "tok_%d", i), Sealed: fmt.Appendf(nil, "sealed %d", i)}
	}
	return rows
}

func keysAndRefs(rows []tokenize.Row) (keys []tokenize.Key, refs []tokenize.Ref) {
	for _, r := range rows {
		keys = append(keys, tokenize.Key{Scope: r.Scope, Index: r.Index})
		refs = append(refs, tokenize.Ref{Scope: r.Scope, Token: r.Token})
	}
	return keys, refs
}
