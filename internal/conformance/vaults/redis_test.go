package vaults

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/redisvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

func TestRedisIsKilledAndStartedAgain(t *testing.T) {
	r := StartRedis(t)
	r.Kill(t)
	if err := ping(t.Context(), r.Socket()); err == nil {
		t.Error("a killed server answers")
	}
	r.Restart(t)
	if err := ping(t.Context(), r.Socket()); err != nil {
		t.Error(err)
	}
}

// redisURL returns how a server's socket is named to clients.
func redisURL(r *Redis) string { return "unix://" + r.Socket() }

func openRedis(t testing.TB, url string, options ...redisvault.Option) *redisvault.Store {
	t.Helper()
	s, err := redisvault.Open(t.Context(), url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// quiet keeps the client from telling each server that is not there.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func redisClient(t testing.TB, socket string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestRedisKeepsTheContract(t *testing.T) {
	r := StartRedis(t)
	for _, protocol := range []string{"2", "3"} {
		t.Run("protocol "+protocol, func(t *testing.T) {
			s := openRedis(t, redisURL(r)+"?protocol="+protocol)
			vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
		})
	}
}

func TestRedisOutlivesItsWriters(t *testing.T) {
	url := os.Getenv(urlEnv)
	if url == "" {
		url = redisURL(StartRedis(t))
		t.Setenv(urlEnv, url)
	}
	vaulttest.Crash(t, func(t *testing.T, _ string) tokenize.Store {
		t.Helper()
		return openRedis(t, url)
	})
}

// killRedis kills a server under writers a few times, and checks what they were
// told. Each start may lose what the one before has in its memory only.
func killRedis(t *testing.T, r *Redis, s *redisvault.Store) {
	t.Helper()
	redis.SetLogger(quiet{})
	w := startWriting(t.Context(), s)
	defer w.stop()
	n := kills(t, 6)
	for range n {
		w.waitFor(t, 20+rand.Int64N(200))
		r.Kill(t)
		r.Restart(t)
		w.waitFor(t, 1)
	}
	w.stop()
	if err := w.history.Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed the server %d times; %d batches acknowledged, %d refused; %d values have tokens, and all stand",
		n, w.batches.Load(), w.failures.Load(), w.history.Len())
	checkHalves(t, redisClient(t, r.Socket()))
}

func TestRedisIsKilledUnderItsWriters(t *testing.T) {
	r := StartRedis(t)
	killRedis(t, r, openRedis(t, redisURL(r)))
}

// checkHalves reads all keys and checks that each row has both of its own, and
// that the count of each scope is that of its rows.
func checkHalves(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := t.Context()
	indexes, tokens, counts := map[string]string{}, map[string]string{}, map[string]int{}
	for keys := c.Scan(ctx, 0, "fieldveil:*", 1000).Iterator(); ; {
		if !keys.Next(ctx) {
			if err := keys.Err(); err != nil {
				t.Fatal(err)
			}
			break
		}
		key := keys.Val()
		value, err := c.Get(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		space, name, _ := strings.Cut(key, "}:")
		switch name[0] {
		case 'i':
			indexes[key] = space + "}:t:" + value[2:2+int(value[1])]
			counts[space]++
		case 't':
			tokens[key] = space + "}:i:" + value
		case 'n':
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			counts[space] -= n
		}
	}
	for index, token := range indexes {
		if tokens[token] != index {
			t.Error("a row has no token of its own")
		}
	}
	if len(tokens) != len(indexes) {
		t.Errorf("%d rows have %d tokens", len(indexes), len(tokens))
	}
	for _, n := range counts {
		if n != 0 {
			t.Errorf("a count is wrong by %d", n)
		}
	}
	t.Logf("%d rows have two keys each", len(indexes))
}

func TestRedisThatLosesRowsIsRefused(t *testing.T) {
	r := StartRedis(t)
	c := redisClient(t, r.Socket())
	for _, test := range []struct {
		name    string
		setting [2]string
		options []redisvault.Option
		refused bool
	}{
		{"appendfsync everysec", [2]string{"appendfsync", "everysec"}, nil, true},
		{"appendfsync everysec, not looked at", [2]string{"appendfsync", "everysec"}, []redisvault.Option{redisvault.WithoutDurabilityCheck()}, false},
		{"appendfsync no", [2]string{"appendfsync", "no"}, nil, true},
		{"appendfsync always", [2]string{"appendfsync", "always"}, nil, false},
		{"appendonly no", [2]string{"appendonly", "no"}, nil, true},
		{"appendonly no, not looked at", [2]string{"appendonly", "no"}, []redisvault.Option{redisvault.WithoutDurabilityCheck()}, false},
		{"appendonly yes", [2]string{"appendonly", "yes"}, nil, false},
		{"evicting", [2]string{"maxmemory-policy", "allkeys-lru"}, nil, true},
		{"evicting, not looked at", [2]string{"maxmemory-policy", "volatile-ttl"}, []redisvault.Option{redisvault.WithoutDurabilityCheck()}, true},
		{"noeviction", [2]string{"maxmemory-policy", "noeviction"}, nil, false},
		{"WAITAOF where it is not known", [2]string{"maxmemory-policy", "noeviction"}, []redisvault.Option{redisvault.WithWait(0, time.Second)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := c.ConfigSet(t.Context(), test.setting[0], test.setting[1]).Err(); err != nil {
				t.Fatal(err)
			}
			// A server that has only begun with its file does not end when asked to.
			waitUntil(t, func() bool {
				return !strings.Contains(c.Info(t.Context(), "persistence").Val(), "aof_rewrite_in_progress:1")
			})
			s, err := redisvault.Open(t.Context(), redisURL(r), test.options...)
			if err == nil {
				err = s.Close()
			}
			e, ok := errors.AsType[*redisvault.Error](err)
			if ok != test.refused || ok && (e.Op != "check" || e.Retryable()) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// waitUntil waits for what a server does by itself.
func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen in time")
		case <-tick.C:
		}
	}
}

func TestRedisThatIsFullIsNoLoss(t *testing.T) {
	r := StartRedis(t, "--maxmemory", "8mb")
	s := openRedis(t, redisURL(r))
	var h vaulttest.History
	var err error
	for range 10_000 {
		var out []tokenize.Outcome
		rows := randomRows("full", 100)
		for i := range rows {
			rows[i].Sealed = make([]byte, 1000)
		}
		if out, err = s.Insert(t.Context(), rows); err != nil {
			break
		}
		for _, o := range out {
			if o.Status != tokenize.Taken {
				h.Add(o.Row)
			}
		}
	}
	if e, ok := errors.AsType[*redisvault.Error](err); !ok || e.Code != "OOM" || !e.Retryable() {
		t.Errorf("Insert: %v", err)
	}
	if err := h.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
	c := redisClient(t, r.Socket())
	checkHalves(t, c)
	if err := c.ConfigSet(t.Context(), "maxmemory", "64mb").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Insert(t.Context(), randomRows("full", 100)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestRedisForgetsItsScripts(t *testing.T) {
	r := StartRedis(t)
	s, c := openRedis(t, redisURL(r)), redisClient(t, r.Socket())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := startWriting(ctx, s)
	defer w.stop()
	for range 20 {
		w.waitFor(t, 5)
		if err := c.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	if n := w.failures.Load(); n > 0 {
		t.Errorf("%d batches were refused: %v", n, w.lastErr.Load())
	}
	if err := w.history.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
}
