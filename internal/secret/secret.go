// Package secret holds key bytes so that they cannot be printed by accident and
// can be wiped.
//
// It promises that a [Bytes] shows a fixed word wherever text is made of it, in
// print, logs, JSON and text encodings, and that [Bytes.Wipe] overwrites the
// one array that the bytes live in. It does not promise that no other copy
// exists: whoever filled the array, the compiler or the operating system may
// have made one.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret shows in place of its bytes.
const Redacted = "[secret]"

// Bytes is a slice of secret bytes that redacts itself. The zero value is
// empty.
type Bytes struct{ b []byte }

// Take makes b secret. It does not copy: the caller gives b up.
func Take(b []byte) Bytes { return Bytes{b: b} }

// Expose returns the bytes themselves, for the constructor of a primitive. The
// result must not be kept, and is overwritten by Wipe.
func (s Bytes) Expose() []byte { return s.b }

// Len returns the number of bytes.
func (s Bytes) Len() int { return len(s.b) }

// Wipe overwrites the bytes with zeros. It must not run while another goroutine
// uses them.
func (s Bytes) Wipe() { Wipe(s.b) }

// Wipe overwrites b with zeros.
func Wipe(b []byte) { clear(b) }

// String returns a fixed word.
func (Bytes) String() string { return Redacted }

// GoString returns a fixed word.
func (Bytes) GoString() string { return Redacted }

// Format writes a fixed word for every verb, so that %x and %d show nothing.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns a fixed word.
func (Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns a fixed word.
func (Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns a fixed word.
func (Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalBinary returns a fixed word.
func (Bytes) MarshalBinary() ([]byte, error) { return []byte(Redacted), nil }
