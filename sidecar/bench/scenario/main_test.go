package scenario_test

import (
	"os"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

func TestMain(m *testing.M) {
	if scenario.IsPart() {
		os.Exit(scenario.Play())
	}
	os.Exit(m.Run())
}
