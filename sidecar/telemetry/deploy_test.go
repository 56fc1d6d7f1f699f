package telemetry

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
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

// What dashboard and alerts ask for is scraped, with those labels, and a value of
// a label that they name is one that the sidecar gives.
func TestTheDashboardAndTheAlertsAskForWhatIsScraped(t *testing.T) {
	families, err := everything().Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	scraped := map[string]bool{}
	for _, f := range families {
		scraped[f.GetName()] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				scraped[f.GetName()+suffix] = true
			}
		}
	}
	values := map[string][]string{
		"code": codes(), "outcome": slices.Concat(outcomes(), kmsOutcomes(), reloadOutcomes(), auditOutcomes(), []string{"exported"}), "reason": dropReasons(),
		"state": circuitStates(), "cause": drainCauses(), "decision": authDecisions(), "method": authMethods(), "level": logLevels(),
		"unit": {"records", "bytes"}, "status": statusClasses(), "operation": kmsOps(),
	}
	for _, code := range receiptCodes() {
		values["code"] = append(values["code"], strconv.Itoa(code))
	}
	name := regexp.MustCompile(`\b(?:fieldveil|go|process)_[a-z_]+\b`)
	matcher := regexp.MustCompile(`\b([a-z_]+)(?:=~|!~|!=|=)\\?"([a-z0-9_|]+)\\?"`)
	for path, least := range map[string]int{"grafana/dashboard.json": 45, "prometheus/rules.yaml": 20} {
		text, err := os.ReadFile("../../deploy/" + path)
		if err != nil {
			t.Fatal(err)
		}
		names := name.FindAllString(string(text), -1)
		for _, n := range names {
			if !scraped[n] {
				t.Errorf("%s: %s is not scraped", path, n)
			}
		}
		found := 0
		for _, m := range matcher.FindAllStringSubmatch(string(text), -1) {
			known, closed := values[m[1]]
			for value := range strings.SplitSeq(m[2], "|") {
				found++
				if closed && !slices.Contains(known, value) {
					t.Errorf("%s: no %s is %s", path, m[1], value)
				}
			}
		}
		if len(names) < least || found < 10 {
			t.Errorf("%s: %d names and %d values were found", path, len(names), found)
		}
	}
}
