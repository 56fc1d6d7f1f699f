package sidecar

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// MemoryOfCgroup returns the memory that the cgroup of this process allows, in
// bytes, and false when there is no limit or none can be read. The tree begins at
// the root of the file system, os.DirFS("/"). It knows both versions of cgroups,
// and takes the least of the limits on the way up.
func MemoryOfCgroup(root fs.FS) (int64, bool) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// In a container the path is that of the host, and what is mounted begins
		// lower: each part that is missing is left out by going up.
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if n, ok := readLimit(root, path.Join(base, dir, file)); ok {
				least = min(least, n)
			}
			if dir == "/" {
				break
			}
		}
	}
	// Version 1 writes no limit as the largest number of whole pages.
	if least >= math.MaxInt64-(1<<20) {
		return 0, false
	}
	return least, true
}

func readLimit(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}
