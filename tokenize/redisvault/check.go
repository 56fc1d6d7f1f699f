package redisvault

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// servers is what all servers together have.
type servers struct {
	waitAOF bool // they know WAITAOF, and have an append-only file
}

// Check looks at the server, or at all servers of a cluster, and returns an
// [*Error] when one of them does not keep rows as the package says. It needs the
// commands INFO and, but with [WithWait] on version 7.2 or [WithoutDurabilityCheck],
// CONFIG GET.
func (s *Store) Check(ctx context.Context) error {
	if e := contextError(ctx, "check"); e != nil {
		return e
	}
	if _, e := s.check(ctx, "check"); e != nil {
		return e
	}
	return nil
}

func (s *Store) check(ctx context.Context, op string) (*servers, *Error) {
	if s.cluster == nil {
		found, e := s.checkServer(ctx, op, s.client)
		if e != nil {
			return nil, e
		}
		s.checked.Store(found)
		return found, nil
	}
	var mu sync.Mutex // guards what follows: shards are asked at once
	var first *Error
	asked := 0
	all := &servers{waitAOF: true}
	// A replica may be the primary tomorrow.
	err := s.cluster.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
		found, e := s.checkServer(ctx, op, node)
		mu.Lock()
		defer mu.Unlock()
		asked++
		if e != nil {
			if first == nil || first.again {
				first = e
			}
			return nil
		}
		all.waitAOF = all.waitAOF && found.waitAOF
		return nil
	})
	switch {
	case err != nil:
		return nil, commandError(ctx, op, err)
	case first != nil:
		return nil, first
	case asked == 0:
		return nil, &Error{Op: op, text: "the cluster has no nodes", again: true}
	}
	s.checked.Store(all)
	return all, nil
}

// A commander is a client of one server, as far as looking at it goes.
type commander interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// checkServer looks at one server.
func (s *Store) checkServer(ctx context.Context, op string, c commander) (*servers, *Error) {
	info := redis.NewStringCmd(ctx, "info")
	if err := c.Process(ctx, info); err != nil {
		return nil, commandError(ctx, op, err)
	}
	has := parseInfo(info.Val())
	aof := has["aof_enabled"] == "1"
	found := &servers{waitAOF: aof && has.since(7, 2)}
	if policy, ok := has["maxmemory_policy"]; ok && policy != "noeviction" || !ok && !s.unchecked {
		return nil, refusal(op, "the server may evict keys: maxmemory-policy is not noeviction")
	}
	if s.wait != nil && s.wait.replicas == 0 && !found.waitAOF {
		return nil, refusal(op, "to wait for no replica takes WAITAOF, so version 7.2 and appendonly yes")
	}
	if s.unchecked {
		return found, nil
	}
	if !aof {
		return nil, refusal(op, "the server loses rows when it restarts: appendonly is not yes")
	}
	if s.wait != nil && found.waitAOF {
		return found, nil
	}
	settings := redis.NewMapStringStringCmd(ctx, "config", "get", "appendfsync")
	if err := c.Process(ctx, settings); err != nil {
		e := commandError(ctx, op, err)
		if e.Code != "" && !e.again {
			e.text = "whether the server flushes cannot be asked: CONFIG GET is refused"
		}
		return nil, e
	}
	if settings.Val()["appendfsync"] != "always" {
		return nil, refusal(op, "the server answers before it flushes: appendfsync is not always")
	}
	return found, nil
}

func refusal(op, text string) *Error { return &Error{Op: op, text: text} }

// info is what the command INFO tells.
type info map[string]string

func parseInfo(text string) info {
	has := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && !strings.HasPrefix(line, "#") {
			has[name] = value
		}
	}
	return has
}

// since tells whether the server is of a version or later. Valkey tells there
// which Redis it is compatible with.
func (has info) since(major, minor int) bool {
	parts := strings.Split(has["redis_version"], ".")
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}
