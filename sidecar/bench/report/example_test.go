package report_test

import (
	"fmt"
	"os"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

func sample(ratios ...float64) *report.Report {
	cost := make([]float64, len(ratios))
	for i, x := range ratios {
		cost[i] = 571 * x
	}
	c, x := report.NewSeries(cost), report.NewSeries(ratios)
	return &report.Report{
		Version: report.Version, Title: "Orders", Started: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC), Took: 12,
		Machine: report.Machine{GoVersion: "go1.26.8", OS: "linux", Arch: "amd64", CPUs: 2, Load: -1},
		Input:   report.Input{Name: "order-avro", Format: "avro", Records: 1, Bytes: 626, Protected: 5},
		Cases: []report.Case{{
			Name: "library/avro20", Scenario: "library",
			Rate: report.Series{Median: 1e9 / c.Median}, Cost: &c, Ratio: &x,
		}},
		Goals: []report.Goal{{Name: "protect 626 B, 5 of 20", Want: 1.9, Unit: "× floor", Got: x}},
	}
}

func ExampleWriteTable() {
	r := sample(1.86, 1.87, 1.88, 1.88, 1.89, 1.9)
	if err := report.WriteTable(os.Stdout, r, 80); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Orders
	// 2026-11-21 20:00 UTC, took 12 s, linux/amd64, 2 CPUs, go1.26.8
	// input: order-avro (avro), 1 record of 626 B, 5 protected values each
	// The one goal that was measured is reached.
	//
	// goals
	//   pass         protect 626 B, 5 of 20  ≤ 1.9 × floor  1.88 (1.87–1.88)
	//
	// library   rec/s     cost           × floor  allocs
	//   avro20   932k  1.07 µs  1.88 (1.87–1.88)       0
}

// A gate in CI: the run fails when a ratio to the floor is worse by more than
// 10 % beyond doubt, or when one cannot be judged.
func ExampleComparison_Regressed() {
	before := sample(1.86, 1.87, 1.88, 1.88, 1.89, 1.9)
	now := sample(2.20, 2.21, 2.22, 2.22, 2.23, 2.24)
	c := report.Compare(before, now)
	for _, r := range c.Regressed(0.10) {
		fmt.Printf("%s: %.2f, was %.2f\n", r.Case, r.New, r.Old)
	}
	fmt.Println("cannot be judged:", len(c.Unjudged()))
	// Output:
	// library/avro20: 2.22, was 1.88
	// cannot be judged: 0
}
