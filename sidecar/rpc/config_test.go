package rpc

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestDefaultsAreValid(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesEveryKeyThatIsWrong(t *testing.T) {
	var c Config
	err := c.Validate()
	if err == nil {
		t.Fatal("a Config of zeros is valid")
	}
	out, merr := yaml.Marshal(&c)
	if merr != nil {
		t.Fatal(merr)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		key, _, _ := strings.Cut(line, ":")
		if key != "reflection" && key != "mixed_connections" && !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not in\n%v", key, err)
		}
	}
}

func TestConfigReadsWhatAFileSays(t *testing.T) {
	c := DefaultConfig()
	if err := yaml.Unmarshal([]byte("max_call_time: 2m\nwindow_records: 7\nreflection: false\n"), &c); err != nil {
		t.Fatal(err)
	}
	if c.MaxCallTime != 2*time.Minute || c.WindowRecords != 7 || c.Reflection || c.MaxRecords != 10_000 {
		t.Errorf("got %+v", c)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	_, err := New(DefaultConfig(), Deps{})
	for _, part := range []string{"Sender", "Protector", "Guard", "Audit"} {
		if err == nil || !strings.Contains(err.Error(), part+" is missing") {
			t.Errorf("%s: got %v", part, err)
		}
	}
}
