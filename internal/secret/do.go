//go:build !goexperiment.runtimesecret

package secret

// Do calls f. In a build with GOEXPERIMENT=runtimesecret, registers and stack
// that f used are overwritten before Do returns, and what it put on the heap as
// soon as the garbage collector finds that nobody has it any more: also what the
// standard library keeps for itself, such as key schedules, which nobody else can
// wipe. That experiment is outside of the compatibility promise of Go, so
// nothing depends on it.
func Do(f func()) { f() }

// Erases tells whether this build erases what a function under Do leaves behind.
const Erases = false
