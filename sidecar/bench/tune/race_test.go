//go:build race

package tune

// The race detector makes a search slow, and has seen all that it can after a few.
const fewer = 20
