package hygiene

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyTheEnvironmentCanAskForMoreGoroutines(t *testing.T) {
	for env, gap := range map[string]bool{
		"": false, "none": false, "0": false, "single": false,
		"all": true, "1": true, "2": true, "system": true, "crash": true, "wer": true, "word": true,
	} {
		err := oneGoroutine(env)
		if (err != nil) != gap {
			t.Errorf("GOTRACEBACK=%s: %v", env, err)
		}
		if err != nil && env == "word" && strings.Contains(err.Error(), env) {
			t.Errorf("the text repeats the environment: %v", err)
		}
	}
}

func TestAGapNamesItsMeasureAndItsReason(t *testing.T) {
	g := Gap{Measure: Undumpable, Err: errors.ErrUnsupported}
	if got := g.String(); got != "process hygiene: process not dumpable: unsupported operation" {
		t.Error(got)
	}
}
