// Package tokenize replaces values by tokens: keyed hashes, format-preserving
// encryption, and random tokens that a vault remembers.
package tokenize
