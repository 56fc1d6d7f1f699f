package telemetry

import (
	"bytes"
	"os"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func TestTheConfigurationsUnderDeployAreValid(t *testing.T) {
	for _, path := range []string{"base", "overlays/production"} {
		text, err := os.ReadFile("../../deploy/kustomize/" + path + "/config.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Telemetry yaml.Node      `yaml:"telemetry"`
			Rest      map[string]any `yaml:",inline"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		section, err := yaml.Marshal(&file.Telemetry)
		if err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		d := yaml.NewDecoder(bytes.NewReader(section))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if c.Log.Requests != requestsErrors || len(c.Metrics.Topics) != 1 {
			t.Errorf("%s: %+v", path, c)
		}
	}
}

func TestThePolicyUnderDeployIsValid(t *testing.T) {
	if _, err := fieldcrypt.LoadPolicy("../../deploy/kustomize/base/policy.yaml"); err != nil {
		t.Error(err)
	}
}
