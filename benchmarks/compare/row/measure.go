package row

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
)

// A Lane is one piece of work that is timed in turn with others. Fill in Name
// and Do, and hand it to [Document.Measure]; rows
// read the rest.
type Lane struct {
	Name string
	// Do does the work on n records. It runs on one goroutine at a time.
	Do func(n int)
	// Elsewhere is set for work of another process, whose allocations this one
	// cannot count.
	Elsewhere bool
	// Batch is set where Do works on n batches of that many records, because one
	// record alone says nothing of many. Such lanes are Elsewhere too.
	Batch int

	rounds []float64 // nanoseconds a record, by round
	cpu    cpuShare
	allocs *float64
}

// NewLane returns a lane, and so saves a line where an error is at hand.
func NewLane(name string, do func(n int)) *Lane { return &Lane{Name: name, Do: do} }

// allocRuns is enough for a mean: what allocates does so each time.
const allocRuns = 200

// limit is how long after the first round others may begin. On a machine that
// others use as well, what is calibrated takes longer than planned.
const limit = 20 * time.Second

// chunks is how many parts the rounds are measured in. Between two of them the
// clock is looked at, and how often each lane fits its slice is found anew.
const chunks = 10

// Measure times the lanes in turn, round after round. It does fewer rounds than
// asked for when the program's time is over; rows tell how many.
func (d *Document) Measure(o ratio.Options, lanes ...*Lane) {
	if d.limit.IsZero() {
		d.limit = time.Now().Add(limit)
	}
	factories := make([]func() ratio.Func, len(lanes))
	for i, l := range lanes {
		if !l.Elsewhere {
			l.allocs = new(allocs(l.Do))
		}
		factories[i] = func() ratio.Func { return l.Do }
	}
	left, chunk := o.Rounds, max(1, o.Rounds/chunks)
	for done := false; !done; done = left <= 0 || d.late() {
		o.Rounds = min(chunk, left)
		left -= o.Rounds
		for i, res := range ratio.Compare(o, factories...) {
			for _, ns := range res.Rounds {
				lanes[i].rounds = append(lanes[i].rounds, ns/float64(max(1, lanes[i].Batch)))
			}
		}
		for _, l := range lanes {
			l.takeCPU(time.Duration(o.Rounds) * o.Slice / cpuPart)
		}
	}
}

// cpuPart is which part of its slices a lane works once more for its CPU time.
const cpuPart = 4

// A cpuShare is what CPU time was taken for how many records.
type cpuShare struct {
	time    time.Duration
	records int
}

// takeCPU works for about that long, and counts the CPU time of the process. It
// is counted apart from the rounds, since it also has in it what the garbage
// collector does on other threads: the lane that has left the garbage pays.
func (l *Lane) takeCPU(about time.Duration) {
	if l.Elsewhere {
		return
	}
	_, ns, _ := quartiles(l.rounds)
	n := max(1, int(float64(about)/ns))
	before := cpuTime()
	l.Do(n)
	l.cpu.time += cpuTime() - before
	l.cpu.records += n
}

// perRecord returns nanoseconds of CPU, or zero when they are not known.
func (s cpuShare) perRecord() float64 {
	if s.records == 0 {
		return 0
	}
	return float64(s.time) / float64(s.records)
}

// late reports whether the program's time is over.
func (d *Document) late() bool { return time.Now().After(d.limit) }

// allocs counts what one record allocates. testing.AllocsPerRun rounds down to
// a whole number for each run, and links the flags of tests.
func allocs(do func(n int)) float64 {
	do(1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do(allocRuns)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / allocRuns
}

// side makes a side of figures by round.
func side(name string, rounds []float64) *Side {
	low, middle, high := quartiles(rounds)
	return &Side{Name: name, Value: middle, Low: low, High: high}
}

func quartiles(v []float64) (low, middle, high float64) {
	s := slices.Sorted(slices.Values(v))
	at := func(q float64) float64 { return s[int(q*float64(len(s)-1))] }
	return at(0.25), at(0.5), at(0.75)
}

// Times adds a row on the time of one record. The ratio is the rival's time by
// ours. Floor may be nil, and goal zero for none.
func (d *Document) Times(name string, goal float64, ours, rival, floor *Lane) {
	d.add(name, "ns/record", goal, ours, rival.Name, rival.rounds, rival.allocs, floor)
	d.addCPU(ours, rival.cpu.perRecord())
}

// Added adds a row on what the rival's protection costs: the time of its work
// less that of the same work without protection, in the same round.
func (d *Document) Added(name string, goal float64, ours, rival, without, floor *Lane) {
	diff := make([]float64, len(rival.rounds))
	for i := range diff {
		diff[i] = rival.rounds[i] - without.rounds[i]
	}
	var more *float64
	if rival.allocs != nil && without.allocs != nil {
		more = new(*rival.allocs - *without.allocs)
	}
	d.add(name, "ns/record", goal, ours, rival.Name+", less "+without.Name, diff, more, floor)
	d.addCPU(ours, rival.cpu.perRecord()-without.cpu.perRecord())
}

// addCPU tells the CPU time in the last row, where both sides are known.
func (d *Document) addCPU(ours *Lane, rival float64) {
	if us := ours.cpu.perRecord(); us > 0 && rival > 0 {
		r := &d.Rows[len(d.Rows)-1]
		r.CPUOurs, r.CPURival, r.CPURatio = us, rival, rival/us
	}
}

// Throughput adds a row on records a second. The ratio is our throughput by the
// rival's, which is the rival's time by ours.
func (d *Document) Throughput(name string, goal float64, ours, rival, floor *Lane) {
	d.Times(name, goal, ours, rival, floor)
	r := &d.Rows[len(d.Rows)-1]
	r.Unit = "records/s"
	for _, s := range []*Side{r.Ours, r.Rival, r.Floor} {
		if s != nil {
			const second = 1e9
			s.Value, s.Low, s.High = second/s.Value, second/s.High, second/s.Low
		}
	}
}

// Counts adds a row of two plain numbers, such as calls of a KMS.
func (d *Document) Counts(name, unit string, ours, rival float64) {
	d.Rows = append(d.Rows, Row{
		Name: name, Unit: unit,
		Ours:  &Side{Name: "fieldveil", Value: ours, Low: ours, High: ours},
		Rival: &Side{Name: d.Rival, Value: rival, Low: rival, High: rival},
	})
}

func (d *Document) add(name, unit string, goal float64, ours *Lane, rivalName string, rival []float64, rivalAllocs *float64, floor *Lane) {
	ratios := make([]float64, len(rival))
	for i := range ratios {
		ratios[i] = rival[i] / ours.rounds[i]
	}
	r := Row{
		Name: name, Unit: unit, Goal: goal, Rounds: len(rival),
		Ours: side(ours.Name, ours.rounds), Rival: side(rivalName, rival),
		AllocsOurs: ours.allocs, AllocsRival: rivalAllocs,
	}
	r.Low, r.Ratio, r.High = quartiles(ratios)
	if floor != nil {
		r.Floor = side(floor.Name, floor.rounds)
	}
	if goal > 0 {
		r.Pass = new(r.Ratio >= goal)
	}
	d.Rows = append(d.Rows, r)
}

// Here describes this machine.
func Here() Machine {
	return Machine{Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpu(), CPUs: runtime.NumCPU(), Load: load()}
}

// load returns how many processes have lately wanted a CPU, where the system
// tells it.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return v
}

// cpu returns the model of the processor, where the system tells it.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
