package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// A phase is one state of the KMS.
type phase struct {
	name    string
	seconds int
	begin   func(*kmstest.Fake)
	// enough ends the phase before its seconds are over, once it returns true
	// for this many seconds.
	enough func(sample) bool
	code   fieldcrypt.Code // of the errors that may come
}

const afterEnough = 3

func phases() []phase {
	return []phase{
		{name: "warm", seconds: 3, begin: healthy},
		{name: "slow, 2 s a call", seconds: 5, begin: slow},
		{name: "throttles 90 %", seconds: 4, begin: throttled},
		{
			name: "down", seconds: 25, begin: failing(kms.ErrUnavailable), code: fieldcrypt.CodeKeyUnavailable,
			enough: func(s sample) bool { return !s.warm },
		},
		{name: "recovered", seconds: 7, begin: healthy, code: fieldcrypt.CodeKeyUnavailable},
		{
			name: "key disabled", seconds: 13, begin: failing(kms.ErrDisabled), code: fieldcrypt.CodeKeyUnusable,
			enough: func(s sample) bool { return !s.warm },
		},
	}
}

// A sample is what one second looked like at its end.
type sample struct {
	count
	last      time.Time // of the last record that was protected
	warm      bool
	age, left time.Duration
	circuit   datakey.CircuitState
	calls     uint64 // so far
	waits     uint64 // callers that had to wait, so far
}

func (p *producer) sample() sample {
	stats := p.keys.Stats()
	c, last := p.take()
	s := sample{count: c, last: last}
	for _, k := range stats.Keys {
		s.warm, s.age, s.left, s.waits = k.Warm > 0, k.Age, k.Left, k.Waits
	}
	for _, e := range stats.Endpoints {
		s.circuit = e.Circuit
		for _, n := range e.Calls {
			s.calls += n.Count
		}
	}
	return s
}

// A show prints the samples and remembers what did not hold.
type show struct {
	out      io.Writer
	producer *producer
	second   int
	before   sample
	broken   []string
}

func (s *show) header() {
	s.printf("A data key that is renewed each %v and never used beyond %v, under load.\n\n", refresh, expire)
	s.printf("%6s  %-16s %9s  %-24s %7s %7s  %-9s %5s\n", "second", "the KMS", "records/s", "errors", "key age", "left", "circuit", "calls")
}

func (s *show) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

func (s *show) holdsf(ok bool, format string, args ...any) {
	if !ok {
		s.broken = append(s.broken, fmt.Sprintf(format, args...))
	}
}

func (s *show) play(ctx context.Context, ph phase) error {
	p := s.producer
	ph.begin(p.fake)
	begun, first := time.Now(), s.before
	var back time.Duration
	enough := 0
	for n := range ph.seconds {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		now := p.sample()
		s.second++
		name := ph.name
		if n > 0 {
			name = ""
		}
		s.line(name, now)
		s.check(ph, now)
		if now.records > 0 && back == 0 {
			back = time.Since(begun)
		}
		s.before = now
		if ph.enough != nil && ph.enough(now) {
			enough++
		}
		if enough == afterEnough {
			break
		}
	}
	last := s.before.last.Sub(begun)
	switch ph.name {
	case "slow, 2 s a call":
		s.holdsf(s.before.waits == first.waits, "%s: %d callers waited for the KMS", ph.name, s.before.waits-first.waits)
	case "down":
		s.holdsf(enough > 0 && last < expire, "%s: records were protected for %v", ph.name, last)
	case "recovered":
		s.holdsf(back > 0 && back <= 6*time.Second, "%s: the first record came after %v", ph.name, back)
	case "key disabled":
		s.holdsf(enough > 0 && last <= refresh+6*time.Second, "%s: records were protected for %v", ph.name, last)
	}
	return nil
}

// check compares one second with what holds in every second.
func (s *show) check(ph phase, now sample) {
	for code, n := range now.errors {
		s.holdsf(code == ph.code, "%s, second %d: %d errors %s", ph.name, s.second, n, code)
	}
	s.holdsf(now.age <= expire, "%s, second %d: a key of %v", ph.name, s.second, now.age)
	// Who comes before the circuit is open waits for three attempts and the pauses
	// between them, which are 0.4 seconds at most.
	atOnce := 50 * time.Millisecond
	if s.before.circuit == datakey.CircuitClosed {
		atOnce = 500 * time.Millisecond
	}
	s.holdsf(now.slowest() <= atOnce, "%s, second %d: errors took %v", ph.name, s.second, now.slowest())
	if s.before.circuit == datakey.CircuitOpen && now.circuit == datakey.CircuitOpen {
		n := now.calls - s.before.calls
		s.holdsf(n <= 2, "%s, second %d: %d calls while the circuit is open", ph.name, s.second, n)
	}
}

func (s *show) line(name string, now sample) {
	age, left := "-", "-"
	if now.warm {
		age, left = seconds(now.age), seconds(now.left)
	}
	var failed []string
	for _, code := range []fieldcrypt.Code{fieldcrypt.CodeKeyUnavailable, fieldcrypt.CodeKeyUnusable} {
		if n := now.errors[code]; n > 0 {
			failed = append(failed, fmt.Sprintf("%d %s", n, code))
		}
	}
	if len(failed) == 0 {
		failed = []string{"-"}
	}
	s.printf("%6d  %-16s %9d  %-24s %7s %7s  %-9s %5d\n", s.second, name, now.records, strings.Join(failed, ", "), age, left,
		strings.ReplaceAll(string(now.circuit), "_", " "), now.calls-s.before.calls)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func (s *show) verdict() error {
	if len(s.broken) == 0 {
		s.printf("\nAll held: no error and no wait while the KMS was slow or throttled, none before the key\n" +
			"expired, no seal after it, back within 5 seconds, and an end soon after the key was disabled.\n")
		return nil
	}
	s.printf("\nDid not hold:\n")
	for _, b := range s.broken {
		s.printf("  %s\n", b)
	}
	return errors.New("not all of it held")
}
