package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat, which is the same on every Linux.
const tick = 10 * time.Millisecond

// cpu returns the CPU time that a part has taken so far, and 0 where there is no
// /proc to tell.
func (p *part) cpu() time.Duration { return cpuOf(p.cmd.Process.Pid) }

func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name of the program, in brackets, may hold blanks.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, errUser := strconv.Atoi(fields[11])
	system, errSystem := strconv.Atoi(fields[12])
	if errUser != nil || errSystem != nil {
		return 0
	}
	return time.Duration(user+system) * tick
}

// spent is CPU time of the parts of a measurement.
type spent struct{ server, client, brokers time.Duration }

// spending returns the CPU time that has been taken so far.
func spending(server, world *part) spent {
	return spent{server.cpu(), cpuOf(os.Getpid()), world.cpu()}
}

// add adds what was taken from before to after.
func (s *spent) add(before, after spent) {
	s.server += after.server - before.server
	s.client += after.client - before.client
	s.brokers += after.brokers - before.brokers
}

// micros is a time in microseconds for each of n records.
func micros(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(max(n, 1)) }

// all is the time of all parts for each of n records, in microseconds. On a host
// that is busy it decides about the rate.
func (s *spent) all(n int) float64 { return micros(s.server+s.client+s.brokers, n) }

// text is the time of each part for each of n records. No broker has a part in an
// echo.
func (s *spent) text(n int) string {
	out := fmt.Sprintf("%.2f, %.2f", micros(s.server, n), micros(s.client, n))
	if s.brokers > 2*tick {
		out += fmt.Sprintf(", %.2f", micros(s.brokers, n))
	}
	return out
}
