package row

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
)

// lane is one that has been measured already.
func lane(name string, rounds ...float64) *Lane { return &Lane{Name: name, rounds: rounds} }

func TestARatioPairsTheRoundsAndNotTheMedians(t *testing.T) {
	d := &Document{Rival: "r"}
	// Median by median the rival would be 20 / 10 = 2; round by round it is 4.
	d.Times("work", 3, lane("ours", 5, 10, 20), lane("rival", 20, 40, 10), lane("floor", 1, 2, 3))
	r := d.Rows[0]
	if r.Ratio != 4 || r.Ours.Value != 10 || r.Rival.Value != 20 || r.Floor.Value != 2 {
		t.Errorf("row %+v", r)
	}
	if r.Pass == nil || !*r.Pass {
		t.Error("a ratio of 4 does not pass a goal of 3")
	}
}

func TestAddedCostIsTheDifferenceWithinEachRound(t *testing.T) {
	d := &Document{Rival: "r"}
	rival, without := lane("with", 110, 230, 350), lane("without", 10, 30, 50)
	rival.allocs, without.allocs = new(9.0), new(4.0)
	d.Added("encryption alone", 60, lane("ours", 10, 10, 10), rival, without, nil)
	r := d.Rows[0]
	if r.Rival.Value != 200 || r.Ratio != 20 || *r.AllocsRival != 5 {
		t.Errorf("row %+v, rival %+v", r, r.Rival)
	}
	if r.Pass == nil || *r.Pass {
		t.Error("a ratio of 20 passes a goal of 60")
	}
	if r.Floor != nil || r.AllocsOurs != nil {
		t.Error("the row tells what was not measured")
	}
}

func TestThroughputTurnsTimesAround(t *testing.T) {
	d := &Document{Rival: "r"}
	d.Throughput("produce", 0, lane("ours", 1000, 2000, 4000), lane("rival", 4000, 8000, 16000), nil)
	r := d.Rows[0]
	if r.Unit != "records/s" || r.Ours.Value != 500_000 || r.Rival.Value != 125_000 || r.Ratio != 4 {
		t.Errorf("row %+v, ours %+v, rival %+v", r, r.Ours, r.Rival)
	}
	if r.Ours.Low > r.Ours.Value || r.Ours.High < r.Ours.Value {
		t.Errorf("quartiles %+v", r.Ours)
	}
	if r.Pass != nil {
		t.Error("a row without a goal has a verdict")
	}
}

func TestMeasureCountsAllocationsOfThisProcessAlone(t *testing.T) {
	var sink []byte
	allocating := NewLane("allocates", func(n int) {
		for range n {
			sink = make([]byte, 100)
		}
	})
	elsewhere := &Lane{Name: "elsewhere", Elsewhere: true, Do: func(n int) {
		for range n {
			sink[0]++
		}
	}}
	new(Document).Measure(ratio.Options{Rounds: 3, Slice: 100 * time.Microsecond}, allocating, elsewhere)
	if allocating.allocs == nil || math.Round(*allocating.allocs) != 1 {
		t.Errorf("one allocation a record was counted as %v", allocating.allocs)
	}
	if elsewhere.allocs != nil {
		t.Error("allocations of another process were counted")
	}
	if len(allocating.rounds) != 3 || len(elsewhere.rounds) != 3 {
		t.Error("rounds are missing")
	}
}

func TestTheCPUTimeIsOfBothSidesOrOfNone(t *testing.T) {
	ours, rival, without := lane("ours", 1), lane("with", 9), lane("without", 3)
	ours.cpu, rival.cpu, without.cpu = cpuShare{1000, 10}, cpuShare{9000, 10}, cpuShare{3000, 10}
	d := &Document{Rival: "r"}
	d.Times("whole", 0, ours, rival, nil)
	d.Added("added", 0, ours, rival, without, nil)
	d.Times("elsewhere", 0, ours, lane("elsewhere", 1), nil)
	for i, want := range []float64{9, 6, 0} {
		if got := d.Rows[i].CPURatio; got != want {
			t.Errorf("%s: %v, want %v", d.Rows[i].Name, got, want)
		}
	}
}

func TestTimesOfABatchAreOfOneRecord(t *testing.T) {
	x := uint64(1)
	work := func(n int) {
		for range n * 10_000 {
			x = x*6364136223846793005 + 1
		}
	}
	one := &Lane{Name: "batch", Do: work, Elsewhere: true}
	many := &Lane{Name: "records", Do: work, Elsewhere: true, Batch: 1_000_000}
	new(Document).Measure(ratio.Options{Rounds: 20, Slice: 100 * time.Microsecond}, one, many)
	_, whole, _ := quartiles(one.rounds)
	_, part, _ := quartiles(many.rounds)
	if part >= whole/1000 { // it is a millionth
		t.Errorf("%v ns a batch, %v ns a record", whole, part)
	}
}

func TestNoRoundBeginsAfterTheTimeIsOver(t *testing.T) {
	o := ratio.Options{Rounds: 100, Slice: 10 * time.Microsecond}
	x := uint64(1)
	work := func(n int) {
		for range n {
			x = x*6364136223846793005 + 1
		}
	}
	late, early := NewLane("late", work), NewLane("early", work)
	(&Document{limit: time.Now().Add(-time.Hour)}).Measure(o, late)
	(&Document{limit: time.Now().Add(time.Hour)}).Measure(o, early)
	if len(late.rounds) != 100/chunks {
		t.Errorf("%d rounds, and the time was over before the first", len(late.rounds))
	}
	if len(early.rounds) != 100 {
		t.Errorf("%d rounds of 100", len(early.rounds))
	}
}

func TestADocumentThatSaysNothingIsRefused(t *testing.T) {
	ok := Row{Name: "a", Unit: "ns/record", Ours: &Side{Value: 1}, Rival: &Side{Value: 2}, Ratio: 2}
	for name, d := range map[string]Document{
		"no rival":              {Rows: []Row{ok}},
		"no rows and no reason": {Rival: "r"},
		"rows and a reason":     {Rival: "r", Rows: []Row{ok}, Skipped: "no network"},
		"a row without rival":   {Rival: "r", Rows: []Row{{Name: "a", Unit: "u", Ours: &Side{}}}},
		"a ratio of nothing":    {Rival: "r", Rows: []Row{{Name: "a", Unit: "u", Ours: &Side{}, Rival: &Side{}, Ratio: math.NaN()}}},
		"an endless ratio":      {Rival: "r", Rows: []Row{{Name: "a", Unit: "u", Ours: &Side{}, Rival: &Side{}, High: math.Inf(1)}}},
		"a goal and no verdict": {Rival: "r", Rows: []Row{{Name: "a", Unit: "u", Ours: &Side{}, Rival: &Side{}, Goal: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			if d.Validate() == nil {
				t.Error("it is taken")
			}
			if err := d.WriteJSON(new(bytes.Buffer)); err == nil {
				t.Error("it is written")
			}
		})
	}
	if err := (&Document{Rival: "r", Rows: []Row{ok}}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestARivalThatCannotBeHadIsSkippedInPlainWords(t *testing.T) {
	p := Program{Rival: "r", Version: "1", Run: func(context.Context, *Document, ratio.Options) error {
		return MissingError{errors.New("there is no C compiler")}
	}}
	var document, table bytes.Buffer
	if err := Execute(t.Context(), p, ratio.Options{}, &document, &table); err != nil {
		t.Fatal(err)
	}
	var d Document
	if err := json.Unmarshal(document.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Skipped != "there is no C compiler" || len(d.Rows) != 0 {
		t.Errorf("document %+v", d)
	}
	if !strings.Contains(table.String(), "skipped: there is no C compiler") {
		t.Errorf("table %q", table.String())
	}
}

func TestAFailedMeasurementPrintsNothing(t *testing.T) {
	broken := errors.New("the rival does not decrypt")
	p := Program{Rival: "r", Run: func(_ context.Context, d *Document, _ ratio.Options) error {
		d.Counts("calls", "calls/record", 0, 1)
		return broken
	}}
	var document, table bytes.Buffer
	if err := Execute(t.Context(), p, ratio.Options{}, &document, &table); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if document.Len()+table.Len() > 0 {
		t.Error("figures of a failed run were printed")
	}
}

func TestFiguresOfFewRoundsCarryAWarning(t *testing.T) {
	for rounds, want := range map[int]int{1: 1, fewRounds: 0} {
		d := &Document{Rival: "r"}
		times := make([]float64, rounds)
		for i := range times {
			times[i] = 1
		}
		d.Times("work", 0, lane("ours", times...), lane("rival", times...), nil)
		d.warn()
		if len(d.Notes) != want {
			t.Errorf("%d rounds: notes %q", rounds, d.Notes)
		}
	}
}

func TestTheTableTellsGoalsAndNotes(t *testing.T) {
	d := &Document{Rival: "r", Version: "1.2"}
	d.Times("five values", 2, lane("ours", 10, 10, 10), lane("rival", 15, 15, 15), nil)
	d.Counts("KMS calls", "calls/record", 0, 5)
	d.Notef("the KMS is %s", "local")
	var b bytes.Buffer
	if err := d.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"r 1.2", "five values", "2.00 missed", "KMS calls", "- the KMS is local"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestTheVersionIsTheOneBuiltWith(t *testing.T) {
	deps := []*debug.Module{
		{Path: "github.com/hamba/avro/v2", Version: "v2.31.0"},
		{Path: "google.golang.org/protobuf", Version: "v1.36.12"},
	}
	for want, modules := range map[string][]string{
		"v2.31.0": {"github.com/hamba/avro/v2"},
		"unknown": {"github.com/somebody/else"},
		"hamba/avro v2.31.0, google.golang.org/protobuf v1.36.12": {"github.com/hamba/avro/v2", "google.golang.org/protobuf"},
	} {
		if got := version(deps, modules); got != want {
			t.Errorf("%v: %q, want %q", modules, got, want)
		}
	}
}
