// Package invariants holds checks that cost too much for a release build: they
// are compiled in under the build tag "invariants" and under the race detector,
// and are empty otherwise.
package invariants
