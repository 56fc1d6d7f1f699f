package sidecar

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// heapFloor is how large the heap looks to the collector at least. What a sidecar
// holds is little, and what it passes on is much, so without it the collector runs
// at each few megabytes, and makes every stack small again that a call has grown.
const heapFloor = 16 << 20

// floorShare is the part of a limit of memory that the floor may be.
const floorShare = 8

// tuneMemory sets the soft limit of the runtime to a part of what the cgroup
// allows, unless somebody set it, and returns the floor of the heap, which the
// caller keeps. The floor is never written to, so it takes up no memory: it makes
// garbage wait until there is as much of it.
func tuneMemory(log *slog.Logger, cfg *config.Config) []byte {
	limit, set := int64(0), false
	_, byHand := os.LookupEnv("GOMEMLIMIT")
	if !byHand && cfg.Limits.Memory != 0 {
		if n, ok := MemoryOfCgroup(os.DirFS("/")); ok {
			limit, set = n/100*int64(cfg.Limits.Memory), true
		}
	}
	if _, own := os.LookupEnv("GOGC"); own || byHand {
		if set {
			debug.SetMemoryLimit(limit)
		}
		return nil // whoever tunes the collector means what he says
	}
	floor := make([]byte, floorFor(limit, set))
	if set {
		// The runtime counts the floor as memory in use.
		debug.SetMemoryLimit(limit + int64(len(floor)))
		log.LogAttrs(context.Background(), slog.LevelInfo, "memory limit from the cgroup", slog.Int64("bytes", limit))
	}
	return floor
}

// floorFor returns the size of the floor, under a limit if there is one.
func floorFor(limit int64, set bool) int64 {
	if set {
		return max(0, min(heapFloor, limit/floorShare))
	}
	return heapFloor
}
