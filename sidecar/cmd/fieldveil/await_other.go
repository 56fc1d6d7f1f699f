//go:build !unix

package main

import (
	"context"
	"os/exec"
)

// become runs another program as a child: this system cannot replace one.
func become(t *terminal, path string, args []string) error {
	cmd := exec.CommandContext(context.Background(), path, args[1:]...) //nolint:gosec // to run what the caller names is the command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.in, t.out, t.err
	return cmd.Run()
}
