package redisvault

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// Limits of one pipeline. A larger batch is cut into several, each with its
	// own round trip.
	maxCommands = 1000
	maxBytes    = 4 << 20

	// attempts bounds how often a call sends a command, beside the attempts that
	// the client makes by itself.
	attempts = 5
	// firstPause lies before the second attempt; each further one is twice as
	// long, and a random part of it is left off.
	firstPause = 10 * time.Millisecond
)

// A batch is one call's commands, one for each entry of what it was given.
type batch struct {
	op     string
	writes bool // the servers must be fit for rows, and replicas confirm
	fenced bool // replicas confirm
	// space returns what the keys of an entry begin with.
	space func(i int) string
	// command makes the command of an entry. full is true where the server does
	// not have the script.
	command func(ctx context.Context, i int, full bool) redis.Cmder
	// size is about how long the command or its answer is; nil for short ones.
	size func(i int) int
	// take reads the answer.
	take func(i int, cmd redis.Cmder) error
}

// run sends the commands of entries until all have answered, in parts.
func (s *Store) run(ctx context.Context, b *batch, entries []int) error {
	if err := contextError(ctx, b.op); err != nil {
		return err
	}
	for len(entries) > 0 {
		n, size := 0, 0
		for n < len(entries) && n < maxCommands {
			if b.size != nil {
				size += b.size(entries[n])
			}
			if size > maxBytes && n > 0 {
				break
			}
			n++
		}
		if err := s.runPart(ctx, b, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// runPart sends one pipeline, and again those commands that may succeed then.
// Their order can change by that, which takes a token for the later of two rows
// that name it: a token that is taken is as good as one that was.
func (s *Store) runPart(ctx context.Context, b *batch, entries []int) error {
	entries = append([]int(nil), entries...)
	full := false
	for attempt := 1; ; attempt++ {
		left, e := s.attempt(ctx, b, entries, full)
		if e == nil {
			return nil
		}
		if e.lost {
			s.checked.Store(nil)
		}
		if !e.again || attempt == attempts {
			return e
		}
		entries = left
		if e.Code == "NOSCRIPT" && !full {
			full = true
			continue
		}
		if !pause(ctx, attempt) {
			return contextError(ctx, b.op)
		}
	}
}

// attempt sends the commands of entries, and returns those that have to be sent
// again with the reason for one of them. An error that no attempt will mend comes
// before others.
func (s *Store) attempt(ctx context.Context, b *batch, entries []int, full bool) (left []int, e *Error) {
	found := s.checked.Load()
	if found == nil && (b.writes || b.fenced && s.wait != nil) {
		if found, e = s.check(ctx, b.op); e != nil {
			return entries, e
		}
	}
	cmds, keys := make([]redis.Cmder, len(entries)), make([]string, len(entries))
	sent := ""
	for n, i := range entries {
		keys[n] = b.space(i)
		// The first command of a scope brings the script to the node of the scope.
		cmds[n] = b.command(ctx, i, full && keys[n] != sent)
		sent = keys[n]
	}
	if s.wait != nil && (b.writes || b.fenced) {
		s.sendAndWait(ctx, cmds, keys, found.waitAOF)
	} else {
		s.send(ctx, s.client, cmds)
	}
	left = entries[:0]
	for n, i := range entries {
		err := cmds[n].Err()
		if err == nil || isNil(err) {
			err = b.take(i, cmds[n])
		}
		if err == nil {
			continue
		}
		left = append(left, i)
		if found := commandError(ctx, b.op, err); e == nil || e.again && (!found.again || e.Code == "NOSCRIPT") {
			found.lost = found.lost || e != nil && e.lost
			e = found
		}
	}
	return left, e
}

// A pipeliner is a client for one server or for a cluster.
type pipeliner interface{ Pipeline() redis.Pipeliner }

// send sends commands in one pipeline, which gives each its answer or its error.
func (s *Store) send(ctx context.Context, client pipeliner, cmds []redis.Cmder) {
	pipe := client.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // it is only queued
	}
	if _, err := pipe.Exec(ctx); err != nil {
		// Exec returns the error of some command. Where it is of none, the
		// pipeline was not sent.
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				return
			}
		}
		fail(cmds, err)
	}
}

// sendAndWait sends commands to the nodes that have their keys, and then has
// each node wait for its replicas. A node that does not get their word fails all
// its commands.
func (s *Store) sendAndWait(ctx context.Context, cmds []redis.Cmder, keys []string, waitAOF bool) {
	for node, part := range s.byNode(ctx, cmds, keys) {
		// What a connection waits for is its own last write. Where the commands
		// find rows of others, a write of its own comes after those.
		fence := redis.NewStatusCmd(ctx, "set", fenceKey(keys[part[0]]), "1")
		wait := redis.NewCmd(ctx, "wait", s.wait.replicas, s.wait.timeout.Milliseconds())
		if waitAOF {
			wait = redis.NewCmd(ctx, "waitaof", 1, s.wait.replicas, s.wait.timeout.Milliseconds())
		}
		mine := make([]redis.Cmder, 0, len(part))
		for _, n := range part {
			mine = append(mine, cmds[n])
		}
		s.send(ctx, node, append(slices.Clip(mine), fence, wait))
		err := fence.Err()
		if err == nil {
			err = s.confirmed(wait, waitAOF)
		}
		if err == nil {
			continue
		}
		if _, ok := serverCode(err); ok && s.cluster != nil {
			s.cluster.ReloadState(ctx) // the key may have moved
		}
		for _, cmd := range mine {
			// What a command says itself is the better reason.
			if cmd.Err() == nil || isNil(cmd.Err()) {
				cmd.SetErr(err)
			}
		}
	}
}

// byNode returns the clients of the nodes that have the keys, with the places of
// the commands of each. Commands whose node is not known have failed.
func (s *Store) byNode(ctx context.Context, cmds []redis.Cmder, keys []string) map[pipeliner][]int {
	nodes := map[pipeliner][]int{}
	if s.cluster == nil {
		for n := range cmds {
			nodes[s.client] = append(nodes[s.client], n)
		}
		return nodes
	}
	known := map[string]*redis.Client{}
	for n, key := range keys {
		node := known[key]
		if node == nil {
			var err error
			if node, err = s.cluster.MasterForKey(ctx, key); err != nil {
				cmds[n].SetErr(err)
				continue
			}
			known[key] = node
		}
		nodes[node] = append(nodes[node], n)
	}
	return nodes
}

// confirmed tells whether enough servers have what was written.
func (s *Store) confirmed(wait *redis.Cmd, waitAOF bool) error {
	if err := wait.Err(); err != nil {
		return err
	}
	if !waitAOF {
		replicas, ok := wait.Val().(int64)
		if !ok {
			return errAnswer
		}
		if replicas < int64(s.wait.replicas) {
			return errUnconfirmed
		}
		return nil
	}
	flushed, ok := wait.Val().([]any)
	if !ok || len(flushed) != 2 {
		return errAnswer
	}
	local, okLocal := flushed[0].(int64)
	replicas, okReplicas := flushed[1].(int64)
	if !okLocal || !okReplicas {
		return errAnswer
	}
	if local < 1 || replicas < int64(s.wait.replicas) {
		return errUnconfirmed
	}
	return nil
}

func fail(cmds []redis.Cmder, err error) {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
}

// pause waits before another attempt, and tells whether there is to be one.
func pause(ctx context.Context, attempt int) bool {
	full := firstPause << (attempt - 1)
	timer := time.NewTimer(full/2 + rand.N(full/2)) //nolint:gosec // jitter, no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
