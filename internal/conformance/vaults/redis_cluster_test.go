package vaults

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/redisvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

const clusterSlots = 16384

// A clusterNode is one of three primaries that share the slots.
type clusterNode struct {
	*redis.Client
	host, port, id string
}

// startCluster runs three primaries and a client for all of them.
func startCluster(t *testing.T, start starter) ([]clusterNode, *redis.ClusterClient) {
	t.Helper()
	ctx := t.Context()
	nodes := make([]clusterNode, 3)
	var addrs []string
	for i := range nodes {
		n := &nodes[i]
		addr := process.FreeAddr(t)
		addrs = append(addrs, addr)
		_, bus, err := net.SplitHostPort(process.FreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		if n.host, n.port, err = net.SplitHostPort(addr); err != nil {
			t.Fatal(err)
		}
		r := start(t, "--port", n.port, "--bind", n.host, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000")
		n.Client = redisClient(t, r.Socket())
		first, last := i*clusterSlots/3, (i+1)*clusterSlots/3-1
		if err := n.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			t.Fatal(err)
		}
		if n.id, err = n.ClusterMyID(ctx).Result(); err != nil {
			t.Fatal(err)
		}
		if err := n.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].Do(ctx, "cluster", "meet", n.host, n.port, bus).Err(); err != nil && i > 0 {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		waitUntil(t, func() bool {
			info := n.ClusterInfo(ctx).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") && strings.Contains(info, "cluster_size:3")
		})
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return nodes, c
}

func TestRedisClusterKeepsTheContract(t *testing.T) {
	for _, test := range []struct {
		name    string
		start   starter
		options []redisvault.Option
	}{
		{"redis", StartRedis, nil},
		{"valkey by WAITAOF", StartValkey, []redisvault.Option{redisvault.WithWait(0, time.Second)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, c := startCluster(t, test.start)
			s, err := redisvault.New(c, test.options...)
			if err != nil {
				t.Fatal(err)
			}
			vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
		})
	}
}

// All rows of the writers' scope go from node to node while they are written.
func TestRedisClusterMovesKeysUnderItsWriters(t *testing.T) {
	nodes, c := startCluster(t, StartRedis)
	s, err := redisvault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := startWriting(t.Context(), s)
	defer w.stop()
	moved := 0
	for round := range 4 {
		w.waitFor(t, 20)
		from, slot := slotInUse(t, nodes)
		moved += moveSlot(t, nodes, from, (from+1+round%2)%3, slot)
	}
	w.waitFor(t, 20)
	w.stop()
	if err := w.history.Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys moved; %d batches acknowledged, %d refused, the last with %v; %d values have tokens, and all stand",
		moved, w.batches.Load(), w.failures.Load(), w.lastErr.Load(), w.history.Len())
	if moved == 0 {
		t.Error("nothing was moved")
	}
	from, _ := slotInUse(t, nodes)
	checkHalves(t, nodes[from].Client)
}

// slotInUse finds the node and the slot that have rows.
func slotInUse(t *testing.T, nodes []clusterNode) (node, slot int) {
	t.Helper()
	for i, n := range nodes {
		key, err := n.RandomKey(t.Context()).Result()
		if err != nil {
			continue // it has none
		}
		at, err := n.ClusterKeySlot(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return i, int(at)
	}
	t.Fatal("no node has keys")
	return 0, 0
}

// moveSlot moves a slot as cluster tools do, and returns how many keys it had.
func moveSlot(t *testing.T, nodes []clusterNode, from, to, slot int) int {
	t.Helper()
	ctx := t.Context()
	source, target := nodes[from], nodes[to]
	do := func(n clusterNode, args ...any) {
		t.Helper()
		if err := n.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do(target, "cluster", "setslot", slot, "importing", source.id)
	do(source, "cluster", "setslot", slot, "migrating", target.id)
	moved := 0
	for {
		keys, err := source.ClusterGetKeysInSlot(ctx, slot, 50).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", target.host, target.port, "", 0, strconv.Itoa(int((5 * time.Second).Milliseconds())), "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		do(source, args...)
		moved += len(keys)
	}
	for _, n := range []clusterNode{target, source} {
		do(n, "cluster", "setslot", slot, "node", target.id)
	}
	for _, n := range nodes {
		waitUntil(t, func() bool { return owns(ctx, n, slot, target.id) })
	}
	return moved
}

// owns tells whether a node knows that owner has the slot.
func owns(ctx context.Context, n clusterNode, slot int, owner string) bool {
	for _, shard := range n.ClusterShards(ctx).Val() {
		for _, r := range shard.Slots {
			if int(r.Start) <= slot && slot <= int(r.End) {
				return len(shard.Nodes) > 0 && shard.Nodes[0].ID == owner
			}
		}
	}
	return false
}
