//go:build unix

package sidecar

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
)

const measuredPolicy = `version: 1
dataset: measured
keys: {pii: {kek: "local:pii.kek"}}
topics:
  - {match: measured, format: json, fields: [{path: /full_name, action: encrypt, key: pii}]}
`

// budget is how long a search takes: seconds in CI, and as long as one likes by
// hand.
func budget() string {
	if text := os.Getenv("FIELDVEIL_BUDGET"); text != "" {
		return text
	}
	return "8s"
}

func TestBenchAndTuneSendARealBrokerNothingInClear(t *testing.T) {
	broker := kafkabroker.Start(t)
	newTopic(t, broker.Addr(), "measured")
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const canary = "Quillon Featherstonehaugh"
	write("policy.yaml", measuredPolicy)
	write("records.jsonl", strings.Repeat(`{"full_name":"`+canary+`","city":"Ambridge"}`+"\n", 20))
	fieldveil := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), binary(t), args...)
		cmd.Dir = dir
		cmd.WaitDelay = 20 * time.Second
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %v\n%s%s", args, err, out.String(), errs.String())
		}
		for where, text := range map[string]string{"output": out.String(), "errors": errs.String()} {
			if strings.Contains(text, canary) {
				t.Errorf("%v: a value of a record is in the %s", args, where)
			}
		}
		return out.String()
	}
	target := []string{"--policy", "policy.yaml", "--topic", "measured", "--records", "records.jsonl", "--brokers", broker.Addr(), "--send"}
	fieldveil(append([]string{
		"bench", "--scenario", "produce,sidecar-rest-json,sidecar-grpc-stream", "--rounds", "2", "--slice", "200ms", "--rates", "0.3", "--hold", "300ms",
		"--json", "report.json", "--html", "report.html",
	}, target...)...)
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Cases []struct {
			Name string `json:"name"`
			Rate struct {
				Median float64 `json:"median"`
			} `json:"rate"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(text, &report); err != nil || len(report.Cases) != 3 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, c := range report.Cases {
		t.Logf("%s: %.0f records/s", c.Name, c.Rate.Median)
		if c.Rate.Median <= 0 {
			t.Errorf("%s measured nothing", c.Name)
		}
	}
	for _, surface := range []string{"produce", "rest-json"} {
		out := fieldveil(append([]string{"tune", "--surface", surface, "--budget", budget()}, target...)...)
		t.Logf("%s:\n%s", surface, out)
		if !strings.Contains(out, "Goal: the most records per second.") {
			t.Errorf("%s", out)
		}
	}
	broker.Stop(t)
	sealed, clear := 0, 0
	err = filepath.WalkDir(broker.DataDir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".log" {
			return err
		}
		b, err := os.ReadFile(path)
		sealed += bytes.Count(b, []byte("fv1:"))
		clear += bytes.Count(b, []byte(canary))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Batches may be compressed, so not every envelope can be seen.
	if sealed == 0 || clear != 0 {
		t.Errorf("the broker holds %d envelopes that can be seen, and %d values in clear", sealed, clear)
	}
}
