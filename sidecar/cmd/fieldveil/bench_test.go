package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/sidecar/bench"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

func TestBenchWritesATableAndFilesThatTheNextRunComparesWith(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	args := []string{"bench", "--scenario", "library,reveal", "--workload", "clickstream", "--rounds", "3", "--no-split"}
	code, out, errs := fieldveil(t, append(args, "--json", file("a.json"), "--html", file("a.html"), "--csv", file("a.csv"))...)
	if code != exitOK || !strings.Contains(out, "library") || !strings.Contains(out, "clickstream") {
		t.Fatalf("%d\n%s\n%s", code, out, errs)
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, name := range []string{"a.json", "a.html", "a.csv"} {
		if info, err := os.Stat(file(name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	code, out, errs = fieldveil(t, append(args, "--against", file("a.json"))...)
	if code != exitOK || !strings.Contains(out, "clickstream") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
}

func TestBenchMeasuresTheUsersOwnRecordsAndShowsNoneOfThem(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policy := write("policy.yaml", `
version: 1
dataset: visits
keys: {pii: {kek: "aws-kms://arn:aws:kms:eu-central-1:111122223333:key/one"}}
topics: [{match: visits, format: json, fields: [{path: /name, action: encrypt, key: pii}]}]
`)
	records := write("records.jsonl", strings.Repeat(`{"name":"Canary Featherstone","visits":3}`+"\n", 5))
	code, out, errs := fieldveil(t, "bench", "--policy", policy, "--topic", "visits", "--records", records,
		"--scenario", "library,produce", "--rounds", "2", "--slice", "20ms", "--rates", "0.3", "--hold", "100ms",
		"--json", filepath.Join(dir, "r.json"), "--html", filepath.Join(dir, "r.html"))
	if code != exitOK || !strings.Contains(out, "own records") {
		t.Fatalf("%d\n%s\n%s", code, out, errs)
	}
	text, err := os.ReadFile(filepath.Join(dir, "r.json"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "r.html"))
	if err != nil {
		t.Fatal(err)
	}
	for where, s := range map[string]string{"output": out, "errors": errs, "JSON": string(text), "page": string(page)} {
		if strings.Contains(s, "Featherstone") {
			t.Errorf("a value of a record is in the %s", where)
		}
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil || len(r.Cases) != 2 || r.Cases[1].Latency == nil {
		t.Errorf("%v: %+v", err, r.Cases)
	}
}

func TestBenchRefusesWhatItCannotDo(t *testing.T) {
	for name, args := range map[string][]string{
		"a scenario that is none":       {"--scenario", "smoke"},
		"several workloads and one":     {"--workloads", "order-avro,payments", "--workload", "payments"},
		"a workload that is none":       {"--workloads", "order-avro,lunch"},
		"sending without a cluster":     {"--send"},
		"an earlier run that is no run": {"--against", "nothing.json"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := fieldveil(t, append([]string{"bench"}, args...)...)
			if code == exitOK || out != "" || errs == "" {
				t.Errorf("%d, %q, %q", code, out, errs)
			}
		})
	}
}

func TestALineOfProgressFitsWhateverItSays(t *testing.T) {
	for _, p := range []bench.Progress{
		{Cell: 1, Cells: 2, Name: "library/order-avro"},
		{Cell: 12345, Cells: 99999, Name: strings.Repeat("a-name-that-is-long/", 9), Part: 0.999, Left: 1234*time.Hour + 59*time.Second},
		{Cell: 1, Cells: 1, Name: strings.Repeat("ä", 100), Part: 1},
	} {
		if line := progressLine(p); utf8.RuneCountInString(line) > 79 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}
