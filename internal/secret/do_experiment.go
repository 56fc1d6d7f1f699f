//go:build goexperiment.runtimesecret

package secret

import "runtime/secret"

// Do calls f, and has what f leaves behind overwritten: registers and stack
// before it returns, the heap when nobody has it any more. On other systems than
// Linux on amd64 and arm64 it only calls f.
func Do(f func()) { secret.Do(f) }

// Erases tells whether this build erases what a function under Do leaves behind.
const Erases = true
