//go:build invariants || race

package invariants

// Enabled tells whether the checks are compiled in.
const Enabled = true

// Mangle overwrites b. Call it on a buffer whose lifetime has ended, so that
// anything still reading it shows at once.
func Mangle(b []byte) {
	for i := range b {
		b[i] = 0xA5
	}
}
