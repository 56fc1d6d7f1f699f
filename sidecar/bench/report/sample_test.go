package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// noisy makes rounds of a figure: a median, some spread, and now and then a
// round that other work disturbed.
func noisy(seed uint64, median float64, rounds int) []float64 {
	rng := rand.New(rand.NewPCG(seed, 7))
	out := make([]float64, rounds)
	for i := range out {
		out[i] = median * (1 + 0.02*rng.NormFloat64())
		if rng.IntN(20) == 0 {
			out[i] *= 1.3
		}
	}
	return out
}

func series(seed uint64, median float64, rounds int) *Series {
	s := NewSeries(noisy(seed, median, rounds))
	return &s
}

// latency makes a distribution with the given median and a long tail.
func latency(count int64, median, tail float64) *Latency {
	l := &Latency{Count: count, Mean: median * 1.2}
	for _, q := range []float64{0.5, 0.75, 0.9, 0.99, 0.999, 0.9999} {
		if float64(count)*(1-q) < 1 {
			break
		}
		l.Quantiles = append(l.Quantiles, Quantile{q, median * math.Pow(tail, -math.Log10(2*(1-q)))})
	}
	l.Max = l.Quantiles[len(l.Quantiles)-1].Seconds * 1.4
	return l
}

// curve makes rates up to and beyond what a service takes.
func curve(most, median float64) []Point {
	var out []Point
	for _, load := range []float64{0.1, 0.25, 0.5, 0.7, 0.85, 0.95, 1.1, 1.3} {
		p := Point{Offered: most * load, Achieved: most * load}
		wait := 1 / (1.02 - min(load, 0.99))
		if load > 1 {
			p.Achieved = most * 0.99
			wait = 600 * load
		}
		p.Latency = *latency(int64(p.Achieved*10), median*wait, 2.2)
		out = append(out, p)
	}
	return out
}

func machine() Machine {
	return Machine{
		GoVersion: "go1.26.8", OS: "linux", Arch: "amd64", CPU: "AMD EPYC 7B13", CPUs: 2,
		MemoryMiB: 7_950, Version: "0.9.0", Commit: "7441e9d", Load: 2.3,
	}
}

func input() Input {
	return Input{Name: "order-avro", Format: "avro", Records: 1000, Bytes: 626, Protected: 5}
}

// small is a report of one case of each kind, with round numbers.
func small() *Report {
	lib := Case{
		Name: "library/avro20", Scenario: "library", Settings: map[string]string{"goroutines": "1"},
		Rate: Series{Median: 930_000, Low: 921_000, High: 934_000},
		Cost: &Series{Median: 1075, Low: 1070, High: 1086}, Floor: &Series{Median: 571, Low: 570, High: 574},
		Ratio: &Series{Median: 1.88, Low: 1.87, High: 1.9},
		Split: []Share{{"cipher", 0.5, 537}, {"walk", 0.25, 269}, {"encoding", 0.1, 107}, {"other", 0.15, 162}},
		Size:  &Size{Before: 626, After: 1010, Codec: "zstd", CompressedBefore: 140, CompressedAfter: 540},
	}
	side := Case{
		Name: "sidecar-grpc/avro20/batch=100", Scenario: "sidecar-grpc",
		Settings: map[string]string{"batch": "100", "linger": "0s"},
		Rate:     Series{Median: 98_000, Low: 91_000, High: 104_000},
		Floor:    &Series{Median: 270_000, Low: 250_000, High: 281_000},
		Ratio:    &Series{Median: 0.34, Low: 0.3, High: 0.38}, Yardstick: "the echo's rate",
		Latency: &Latency{Count: 50_000, Mean: 0.0021, Max: 0.031, Quantiles: []Quantile{{0.5, 0.0018}, {0.9, 0.0031}, {0.99, 0.0092}, {0.999, 0.0221}}},
		Curve: []Point{
			{20_000, 20_000, Latency{Count: 20_000, Mean: 0.001, Max: 0.006, Quantiles: []Quantile{{0.5, 0.0009}, {0.99, 0.002}, {0.999, 0.004}}}},
			{80_000, 80_000, Latency{Count: 80_000, Mean: 0.002, Max: 0.02, Quantiles: []Quantile{{0.5, 0.0016}, {0.99, 0.006}, {0.999, 0.015}}}},
			{120_000, 98_000, Latency{Count: 98_000, Mean: 0.9, Max: 2, Quantiles: []Quantile{{0.5, 0.8}, {0.99, 1.7}, {0.999, 1.9}}}},
		},
		Processes: []Process{{"client", 2.6, 41}, {"sidecar", 8.3, 96}, {"broker", 1.2, 60}},
		Allocs:    12.4, Errors: map[string]int64{"kms_unavailable": 3}, KMSCalls: 2,
	}
	return &Report{
		Version: Version, Title: "Orders, five of twenty fields protected",
		Started: time.Date(2026, 11, 21, 20, 57, 0, 0, time.UTC), Took: 151,
		Machine: machine(), Input: input(), Cases: []Case{lib, side},
		Goals: []Goal{
			{Name: "protect 626 B, 5 of 20", Want: 1.9, Unit: "× floor", Got: Series{Median: 1.88, Low: 1.87, High: 1.9}},
			{Name: "gRPC stream, batches of 100", Want: 0.45, AtLeast: true, Unit: "of the echo's rate", Got: Series{Median: 0.34, Low: 0.3, High: 0.38}},
			{Name: "vault, cold", Want: 1.2, Unit: "× floor", Skipped: "No vault is configured."},
		},
		Rivals: []Rival{
			{Name: "example/rival", Version: "v2.1.0", Work: "five values, encryption alone", Unit: "ns/record", Ours: 1_012, Theirs: 70_400, Ratio: series(91, 69.5, 31)},
			{Name: "example/rival", Version: "v2.1.0", Work: "calls of the KMS, steady state", Unit: "calls/record", Theirs: 5},
			{Name: "another, with a long name that has to find its place", Work: "a whole record", Unit: "records/s", Ours: 130_000, Theirs: 134_000, Ratio: series(92, 0.97, 31)},
		},
		Notes: []string{"Latency beyond p99.9 was left out: there were too few records."},
	}
}

// rich is a report of many cases with every field set and long names.
func rich(seed uint64, slower float64) *Report {
	r := small()
	r.Title = "Orders of the European shops, eleven of forty-two fields protected, with a vault and two keys"
	r.Took = 5421
	r.Input = Input{Name: "own records from orders.eu.v3", Format: "protobuf", Records: 250_000, Bytes: 1834.4, Protected: 11.2, Synthetic: true}
	r.Cases = nil
	add := func(c Case) {
		seed++
		r.Cases = append(r.Cases, c)
	}
	for i, w := range []string{"avro20-one", "avro20", "avro10k", "json20/paths", "json20/schema", "proto20"} {
		for _, n := range []int{1, 2} {
			floor := []float64{142, 571, 7096, 577, 575, 572}[i]
			x := []float64{3.19, 1.88, 2.03, 4.19, 3.36, 2.11}[i] * slower
			add(Case{
				Name: fmt.Sprintf("library/%s/goroutines=%d", w, n), Scenario: "library",
				Settings: map[string]string{"goroutines": fmt.Sprint(n), "workload": w},
				Rate:     *series(seed, 1e9/floor/x*float64(n), 101), Cost: series(seed+100, floor*x, 101),
				Floor: series(seed+200, floor, 101), Ratio: series(seed+300, x, 101),
				Split: []Share{{"cipher", 0.48, floor}, {"walk", 0.23, 0.23 * floor * x}, {"encoding", 0.12, 0.12 * floor * x}, {"runtime", 0.02, 0.02 * floor * x}, {"other", 0.15, 0.15 * floor * x}},
				Size:  &Size{Before: 1834.4, After: 2511.9, Codec: "zstd", CompressedBefore: 412.3, CompressedAfter: 1311.7},
			})
		}
	}
	for i, codec := range []string{"none", "lz4", "zstd", "gzip", "snappy"} {
		for _, linger := range []string{"0s", "5ms"} {
			add(Case{
				Name: "produce/own records/compression=" + codec + ",linger=" + linger + ",acks=all,max_in_flight=5", Scenario: "produce",
				Settings: map[string]string{"compression": codec, "linger": linger, "acks": "all", "max_in_flight": "5", "batch_bytes": "1048576"},
				Rate:     *series(seed, 182_000/slower-float64(9000*i), 21), Floor: series(seed+1, 260_000, 21),
				Ratio: series(seed+2, 0.7/slower-0.03*float64(i), 21), Yardstick: "the same client, unprotected",
				Latency: latency(400_000, 0.0041, 2.5), Allocs: 3.2,
				Split:     []Share{{"cipher", 0.21, 1100}, {"walk", 0.09, 470}, {"encoding", 0.06, 300}, {"compression", 0.13, 690}, {"transport", 0.28, 1460}, {"waiting", 0.15, 0}, {"runtime", 0.05, 260}, {"other", 0.03, 150}},
				Processes: []Process{{"client", 5.2 + float64(i), 88}, {"broker", 3.1, 612}},
				Size:      &Size{Before: 1834.4, After: 2511.9, Codec: codec, CompressedBefore: 412.3 + 100*float64(i), CompressedAfter: 1311.7},
				KMSCalls:  1,
			})
		}
	}
	for i, proto := range []string{"grpc", "rest"} {
		for _, batch := range []string{"1", "100", "1000"} {
			most := []float64{98_000, 44_000}[i]
			l := latency(900_000, 0.0019, 3)
			l.P50, l.P99 = series(seed+5, 0.0019*slower, 15), series(seed+6, 0.011*slower, 15)
			points := curve(most, 0.0008*float64(1+i))
			if batch == "1000" {
				l = &points[2].Latency
			}
			add(Case{
				Name: "sidecar-" + proto + "/own records/batch=" + batch, Scenario: "sidecar-" + proto,
				Settings: map[string]string{"batch": batch, "connections": "16"},
				Rate:     *series(seed, most/slower, 15), Floor: series(seed+1, 270_000, 15),
				Ratio: series(seed+2, most/270_000/slower, 15), Yardstick: "the echo's rate",
				Latency: l, Curve: points, Allocs: 12.4,
				Split:     []Share{{"cipher", 0.12, 1000}, {"walk", 0.2, 1700}, {"transport", 0.4, 3400}, {"runtime", 0.18, 1500}, {"other", 0.1, 850}},
				Processes: []Process{{"client", 2.6, 41}, {"sidecar", 8.3 * slower, 96}, {"broker", 1.2, 60}},
				Errors:    map[string]int64{"kms_unavailable": 3, "record_too_large": 120_431}, KMSCalls: 4,
			})
		}
	}
	for _, s := range []string{"reveal", "tokenize"} {
		add(Case{Name: s + "/avro20", Scenario: s, Rate: *series(seed, 880_000, 5), Cost: series(seed, 1097*slower, 5), Floor: series(seed, 518, 5), Ratio: series(seed+9, 2.11*slower, 5)})
	}
	add(Case{Name: "vault/pg/batch=500", Scenario: "vault", Rate: *series(seed, 12_000, 9), Latency: latency(12_000, 0.018, 2), Allocs: -1, KMSCalls: 1204})
	r.Goals = append(r.Goals, Goal{Name: "protect 10 KB, 60 values in nested records and arrays of records", Want: 3, Unit: "× floor", Got: *series(3, 2.03, 101)},
		Goal{Name: "allocations of protect", Want: 0, Unit: "allocations"},
		Goal{Name: "REST v2 JSON, batches of 100", Want: 1.5, AtLeast: true, Unit: "of the echo's rate", Got: Series{Median: 4.7, Low: 3.5, High: 6.3}})
	r.Notes = append(r.Notes, "The vault ran on the same host as everything else.", "The brokers are real ones, three of them, with min.insync.replicas=2 and a replication factor of three; what they cost is counted under “broker”.")
	return r
}

// poor are reports that lack much.
func poor() map[string]*Report {
	one := func(c Case) *Report {
		return &Report{Version: Version, Title: "One", Started: small().Started, Took: 1, Machine: Machine{CPUs: 1, Load: -1}, Input: Input{Name: "x", Format: "json"}, Cases: []Case{c}}
	}
	skipped := small()
	skipped.Cases = skipped.Cases[:1]
	for i := range skipped.Goals {
		skipped.Goals[i].Got = Series{}
		skipped.Goals[i].Skipped = "Only the library was measured."
	}
	huge := small()
	for i := range huge.Cases {
		c := &huge.Cases[i]
		c.Rate = Series{Median: 9e17, Low: 1e17, High: 1e18}
		c.Ratio = &Series{Median: 4e6, Low: 1e6, High: 5e6}
		c.Allocs = 1e9
		c.KMSCalls = math.MaxInt64
		if c.Latency != nil {
			c.Latency.Quantiles = []Quantile{{0.5, 1e-9}, {0.999999, 1e6}}
			c.Latency.Max, c.Latency.Count = 1e8, math.MaxInt64
		}
	}
	return map[string]*Report{
		"nothing":       {Version: Version, Input: Input{Name: "x"}},
		"one case":      one(Case{Name: "library/x", Scenario: "library", Rate: Series{Median: 10}}),
		"zeros":         one(Case{Name: "a", Scenario: "b", Cost: &Series{}, Floor: &Series{}, Ratio: &Series{}, Latency: &Latency{Quantiles: []Quantile{{0.5, 0}}}, Curve: []Point{{}}, Split: []Share{{Name: "other"}}, Processes: []Process{{Name: "client"}}, Size: &Size{}}),
		"skipped goals": skipped,
		"huge":          huge,
		"hostile": one(Case{
			Name: `<script>alert("1")</script>` + "'", Scenario: `"><img src=x onerror=alert(1)>`, Yardstick: "</title></svg><b>", Settings: map[string]string{"<i>": "</style>"},
			Rate: Series{Median: 1}, Ratio: &Series{Median: 1}, Latency: &Latency{Count: 1, Quantiles: []Quantile{{0.5, 1}}},
			Split: []Share{{"<u>", 1, 1}}, Processes: []Process{{"</td>", 1, 1}}, Size: &Size{Before: 1, After: 2, Codec: "<s>", CompressedBefore: 1, CompressedAfter: 2}, Errors: map[string]int64{"<em>": 1},
		}),
	}
}
