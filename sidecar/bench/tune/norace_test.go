//go:build !race

package tune

const fewer = 1
