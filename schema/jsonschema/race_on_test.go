//go:build race

package jsonschema

// raceDetector is true in a build under which a sync.Pool forgets on purpose, so
// that what is allocated says nothing.
const raceDetector = true
