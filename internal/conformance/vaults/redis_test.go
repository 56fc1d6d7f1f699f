//go:build unix

package vaults

import "testing"

func TestRedisIsKilledAndStartedAgain(t *testing.T) {
	r := StartRedis(t)
	r.Kill(t)
	if err := ping(t.Context(), r.Socket()); err == nil {
		t.Error("a killed server answers")
	}
	r.Restart(t)
	if err := ping(t.Context(), r.Socket()); err != nil {
		t.Error(err)
	}
}
