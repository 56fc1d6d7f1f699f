package vaults

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/redisvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// A starter is StartRedis or StartValkey.
type starter func(t testing.TB, settings ...string) *Redis

// startPair runs a primary and a replica that follows it.
func startPair(t *testing.T, start starter) (primary, replica *Redis) {
	t.Helper()
	host, port, err := net.SplitHostPort(process.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	primary = start(t, "--port", port, "--bind", host, "--repl-diskless-sync-delay", "0")
	replica = start(t, "--replicaof", host+" "+port)
	c := redisClient(t, replica.Socket())
	waitUntil(t, func() bool {
		info := c.Info(t.Context(), "replication").Val()
		return strings.Contains(info, "master_link_status:up") && strings.Contains(info, "master_sync_in_progress:0")
	})
	return primary, replica
}

func TestRedisWaitsForReplicas(t *testing.T) {
	for name, start := range map[string]starter{"redis by WAIT": StartRedis, "valkey by WAITAOF": StartValkey} {
		t.Run(name, func(t *testing.T) {
			primary, replica := startPair(t, start)
			s := openRedis(t, redisURL(primary), redisvault.WithWait(1, 2*time.Second))
			if name == "redis by WAIT" { // a quiet replica takes a second for what WAITAOF asks
				vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
			}
			t.Run("a replica that does not answer", func(t *testing.T) {
				rows := benchRows(1)
				refs := []tokenize.Ref{{Scope: rows[0].Scope, Token: rows[0].Token}}
				hasty := openRedis(t, redisURL(primary), redisvault.WithWait(1, 50*time.Millisecond))
				pid := replica.server.cmd.Process.Pid
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				out, err := hasty.Insert(t.Context(), rows)
				_, errRead := hasty.ByIndex(t.Context(), []tokenize.Key{{Scope: rows[0].Scope, Index: rows[0].Index}})
				if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				for call, err := range map[string]error{"Insert": err, "ByIndex": errRead} {
					if e, ok := errors.AsType[*redisvault.Error](err); !ok || !e.Retryable() || !strings.Contains(err.Error(), "confirmed") {
						t.Errorf("%s: %v", call, err)
					}
				}
				if out != nil {
					t.Error("there are outcomes nevertheless")
				}
				if out, err = s.Insert(t.Context(), rows); err != nil || out[0].Status != tokenize.Exists {
					t.Errorf("Insert again: %v", err)
				}
				if found, err := s.ByToken(t.Context(), refs); err != nil || !bytes.Equal(found[0].Token, rows[0].Token) {
					t.Errorf("ByToken: %v", err)
				}
			})
		})
	}
}

func TestValkeyKeepsTheContract(t *testing.T) {
	r := StartValkey(t)
	for name, options := range map[string][]redisvault.Option{"alone": nil, "by WAITAOF": {redisvault.WithWait(0, time.Second)}} {
		t.Run(name, func(t *testing.T) {
			s := openRedis(t, redisURL(r), options...)
			vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
		})
	}
}

// The primary is killed for good under its writers, and the replica takes over.
func TestRedisFailsOverUnderItsWriters(t *testing.T) {
	for name, start := range map[string]starter{"redis by WAIT": StartRedis, "valkey by WAITAOF": StartValkey} {
		t.Run(name, func(t *testing.T) {
			redis.SetLogger(quiet{})
			primary, replica := startPair(t, start)
			s := openRedis(t, redisURL(primary), redisvault.WithWait(1, 2*time.Second))
			w := startWriting(t.Context(), s)
			defer w.stop()
			w.waitFor(t, 50+rand.Int64N(200))
			primary.Kill(t)
			acknowledged := w.batches.Load()
			w.stop()
			c := redisClient(t, replica.Socket())
			if err := c.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
				t.Fatal(err)
			}
			if err := w.history.Check(t.Context(), openRedis(t, redisURL(replica))); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d batches acknowledged; %d values have tokens, and all stand at the replica", acknowledged, w.history.Len())
			checkHalves(t, c)
		})
	}
}

// The server flushes every second only, and WAITAOF waits for that.
func TestValkeyIsKilledUnderItsWriters(t *testing.T) {
	redis.SetLogger(quiet{})
	r := StartValkey(t, "--appendfsync", "everysec")
	s := openRedis(t, redisURL(r), redisvault.WithWait(0, 2500*time.Millisecond))
	w := startWriting(t.Context(), s)
	defer w.stop()
	n := kills(t, 3)
	for range n {
		w.waitFor(t, 1+rand.Int64N(12))
		r.Kill(t)
		r.Restart(t)
	}
	w.waitFor(t, 1)
	w.stop()
	if err := w.history.Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed the server %d times; %d batches acknowledged, %d refused; %d values have tokens, and all stand",
		n, w.batches.Load(), w.failures.Load(), w.history.Len())
	checkHalves(t, redisClient(t, r.Socket()))
}
