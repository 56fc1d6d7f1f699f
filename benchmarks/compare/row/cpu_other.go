//go:build !unix

package row

import "time"

// cpuTime returns zero: this system does not tell in a way that is read here.
func cpuTime() time.Duration { return 0 }
