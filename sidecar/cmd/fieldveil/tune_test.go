package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

const sizingPolicy = `
version: 1
tenant: {from: value:/tenant_id}
keys:
  pii: {kek: "aws-kms:alias/{tenant}", also: ["aws-kms:alias/old"], refresh: 5m, expire: 20m}
  dev: {kek: "local:./dev.kek"}
persons: {kek: "aws-kms:alias/persons", by: /id}
rules:
  - {tag: A, action: encrypt, key: pii}
  - {tag: B, action: encrypt, key: dev}
  - {tag: C, action: encrypt, mode: person}
`

func sizingFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(sizingPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSizingReadsThePolicy(t *testing.T) {
	code, stdout, stderr := fieldveil(t, "tune", "sizing", "--policy", sizingFile(t), "--pods", "50", "--tenants", "20", "--restarts", "0", "--json")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var bills []tune.Bill
	for d := json.NewDecoder(strings.NewReader(stdout)); d.More(); {
		var b tune.Bill
		if err := d.Decode(&b); err != nil {
			t.Fatal(err)
		}
		bills = append(bills, b)
	}
	if len(bills) != 2 || bills[0].Provider != "AWS KMS" || bills[1].Provider != "local" {
		t.Fatalf("%+v", bills)
	}
	aws := bills[0]
	// Twenty of the template, the old one, and the one of the persons.
	if aws.KEKs != 22 || aws.KEKsUSD != 22 || aws.Quota != 10_000 {
		t.Errorf("%+v", aws)
	}
	if len(aws.Keys) != 2 || aws.Keys[0].Period != 297 || aws.Keys[0].Scopes != 1000 || aws.Keys[1].Kind != tune.PersonKey || aws.Keys[1].Period != 891 {
		t.Errorf("%+v", aws.Keys)
	}
	if bills[1].USD != 0 || bills[1].Quota != 0 {
		t.Errorf("%+v", bills[1])
	}
}

func TestPricesAndQuotaOfFlagsTakePrecedence(t *testing.T) {
	code, stdout, stderr := fieldveil(t, "tune", "sizing", "--policy", sizingFile(t), "--pods", "1", "--price-per-10k", "1", "--price-per-key", "0", "--quota", "7")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"prices or quota as given by flags", "quota in calls a second 7", "KEKs 0.00"} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("there is no %q in\n%s", want, stdout)
		}
	}
}

func TestWhatDoesNotFitTogetherIsAFaultOfTheCommandLine(t *testing.T) {
	for name, args := range map[string][]string{
		"a bound without a value": {"tune", "--goal", "rate-under-p99"},
		"a rate without a value":  {"tune", "search", "--goal=p99-at-rate"},
		"no process":              {"tune", "--pods=0"},
		"an unknown goal":         {"tune", "--goal=fast"},
		"sizing without a policy": {"tune", "sizing", "--pods=1"},
	} {
		if code, stdout, stderr := fieldveil(t, args...); code != exitUsage || stdout != "" || stderr == "" {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
	}
}

func TestASearchAgainstTheEmbeddedBrokerEndsWithASentence(t *testing.T) {
	code, stdout, stderr := fieldveil(t, "tune", "--budget=1s", "--slice=20ms", "--workload=order-json")
	if code != 0 || !strings.Contains(stderr, "The broker is a process of its own") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"Goal: the most records per second.", "kgo.ProducerLinger("} {
		if !strings.Contains(stdout, want) {
			t.Errorf("there is no %q in\n%s", want, stdout)
		}
	}
	for line := range strings.Lines(stdout + stderr) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestATopicThatIsMadeIsSaid(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	brokers := strings.Join(cluster.ListenAddrs(), ",")
	code, stdout, stderr := fieldveil(t, "tune", "--budget=1s", "--slice=20ms", "--brokers", brokers, "--topic=mine", "--json")
	if code != 0 || !strings.Contains(stderr, `the topic "mine" was not there and was made`) {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if !json.Valid([]byte(stdout)) {
		t.Errorf("not JSON:\n%s", stdout)
	}
}

// simple is a target whose rate follows the callers.
func simple(ctx context.Context, s tune.Settings, d time.Duration, _ float64) (tune.Sample, error) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return tune.Sample{}, ctx.Err()
	}
	return tune.Sample{Rate: float64(1000 * s.Concurrency), P50: 0.001, P99: 0.002, P999: 0.003, BytesOut: 1000}, nil
}

func TestAnInterruptedSearchPrintsTheBestSoFarAsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		var out bytes.Buffer
		c := tuneSearchCmd{Goal: "max-rate", Budget: 10 * time.Minute, Slice: time.Second, MinGain: 0.02, Pods: 1}
		err := c.search(ctx, &terminal{out: &out, err: new(bytes.Buffer)}, simple)
		if !errors.Is(err, errInterrupted) || !strings.Contains(out.String(), "NOT CONFIRMED") || !strings.Contains(out.String(), "Callers: 64 goroutines") {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
}

func TestAFleetIsMultiplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := tuneSearchCmd{Goal: "max-rate", Budget: 10 * time.Minute, Slice: time.Second, MinGain: 0.02, Pods: 10}
		if err := c.search(t.Context(), &terminal{out: &out, err: new(bytes.Buffer)}, simple); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "Confirmed: 32.000 times") || !strings.Contains(out.String(), "10 processes send 1.28e+06 records/s, 1.28e+03 MB/s") {
			t.Errorf("%s", out.String())
		}
	})
}
