package main

import (
	"strings"
	"testing"
)

func TestTheDemoRunsToItsEnd(t *testing.T) {
	code, stdout, stderr := fieldveil(t, "demo")
	if code != 0 || !strings.HasSuffix(stdout, "\nEverything held.\n\n") || stderr != "" {
		t.Errorf("exit code %d, %s\n%s", code, stdout, stderr)
	}
}
