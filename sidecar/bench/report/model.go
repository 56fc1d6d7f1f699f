// Package report holds what a benchmark run found, and shows it: as a table for
// a terminal, as JSON and CSV for programs, as an HTML page for people, and
// beside an earlier run.
//
// A report holds figures, names of settings and facts of the machine. It never
// holds a value of a record, an address with a login, or a key.
package report

import (
	"math"
	"time"
)

// Version is the version of the JSON form. A reader refuses others.
const Version = 1

// A Report is one run of the harness.
type Report struct {
	Version int       `json:"version"`
	Title   string    `json:"title"`
	Started time.Time `json:"started"`
	// Took is how long the run took, in seconds.
	Took    float64 `json:"took_seconds"`
	Machine Machine `json:"machine"`
	// Input says what was measured: a built-in workload, or the user's own.
	Input Input  `json:"input"`
	Cases []Case `json:"cases"`
	// Goals are the figures that the project promises, where the run measures them.
	Goals []Goal `json:"goals,omitempty"`
	// Rivals are others who do the same work.
	Rivals []Rival `json:"rivals,omitempty"`
	// Notes are sentences for the reader: what was skipped and why.
	Notes []string `json:"notes,omitempty"`
}

// Machine is where the run took place, and what ran.
type Machine struct {
	GoVersion string `json:"go_version"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPU       string `json:"cpu,omitempty"` // the model, where the system tells it
	CPUs      int    `json:"cpus"`          // threads that Go may use
	MemoryMiB int64  `json:"memory_mib,omitempty"`
	// Version and Commit are of this program.
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit,omitempty"`
	// Load is the load average of the last minute when the run began; -1 is unknown.
	Load float64 `json:"load"`
}

// Input is what was measured.
type Input struct {
	Name   string `json:"name"`   // such as "order-avro", or "own records"
	Format string `json:"format"` // avro, json, jsonschema or protobuf
	// Records is how many distinct records there were, Bytes the mean of their sizes.
	Records int     `json:"records"`
	Bytes   float64 `json:"bytes"`
	// Protected is how many values of a record the policy protects, on average.
	Protected float64 `json:"protected"`
	// Synthetic tells that the values were made up from schema and tags.
	Synthetic bool `json:"synthetic,omitempty"`
}

// A Case is one cell of the matrix: one scenario with one set of settings.
type Case struct {
	// Name is unique in a report and the same in every run of the same cell, so
	// that runs can be compared: "produce/avro20/batch=100".
	Name     string `json:"name"`
	Scenario string `json:"scenario"` // one of those that package bench lists, such as library or sidecar-grpc-stream
	// Settings are what was varied, such as {"linger": "5ms"}.
	Settings map[string]string `json:"settings,omitempty"`

	// Rate is in records per second of wall clock.
	Rate Series `json:"rate"`
	// Cost is in nanoseconds per record, of one goroutine; set for work in memory.
	Cost *Series `json:"cost_ns,omitempty"`
	// Floor is the cost of the floor, measured in the same rounds: the bare seals
	// of the same values, or, for a service, what Yardstick says.
	Floor *Series `json:"floor,omitempty"`
	// Ratio is this case by its floor, round by round: of costs, so that 1.7 is
	// 1.7 times the floor; or of rates for services, so that 0.45 is 45 % of it.
	Ratio     *Series `json:"ratio,omitempty"`
	Yardstick string  `json:"yardstick,omitempty"`

	// Latency is of the rounds at the rate of the case; Curve of several rates.
	Latency *Latency `json:"latency,omitempty"`
	Curve   []Point  `json:"curve,omitempty"`

	// Split says where the time of a record goes. The shares sum up to 1.
	Split []Share `json:"split,omitempty"`
	// Processes are what each process used.
	Processes []Process `json:"processes,omitempty"`
	Allocs    float64   `json:"allocs_per_record"` // of this process; -1 is unknown
	Size      *Size     `json:"size,omitempty"`

	// Errors counts records that were refused or not delivered, by code.
	Errors map[string]int64 `json:"errors,omitempty"`
	// KMSCalls is how many calls to the KMS the measured rounds made.
	KMSCalls int64 `json:"kms_calls"`
}

// RatioOfCosts tells what Ratio is of: of costs, where less is better, or of
// rates, where more is. Work in memory, which has a Cost, is the former.
func (c *Case) RatioOfCosts() bool { return c.Cost != nil }

// A Series is a figure that was measured in several rounds.
type Series struct {
	Median float64 `json:"median"`
	// Low and High are the quartiles.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Samples are the rounds, in order.
	Samples []float64 `json:"samples,omitempty"`
}

// Latency is how long records waited from the moment they were due to their
// acknowledgement, in seconds. A load that was held up counts its waiting.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	Max   float64 `json:"max"`
	// Quantiles are in ascending order: 0.5, 0.9, 0.99, 0.999 and more where there
	// are enough records for them.
	Quantiles []Quantile `json:"quantiles"`
	// P50 and P99 are those two quantiles of each round, or of each part of the time
	// at one rate, in seconds. Without them two runs can be shown beside each other,
	// but not told apart from chance.
	P50 *Series `json:"p50_rounds,omitempty"`
	P99 *Series `json:"p99_rounds,omitempty"`
}

// At returns the latency at quantile q, in seconds, and whether it was measured.
func (l *Latency) At(q float64) (float64, bool) {
	for _, p := range l.Quantiles {
		if math.Abs(p.Q-q) < 1e-9 {
			return p.Seconds, true
		}
	}
	return 0, false
}

// A Quantile is a point of a distribution.
type Quantile struct {
	Q       float64 `json:"q"`
	Seconds float64 `json:"seconds"`
}

// A Point is one rate of a curve of throughput and latency.
type Point struct {
	Offered  float64 `json:"offered"`  // records/s that were due
	Achieved float64 `json:"achieved"` // records/s that were acknowledged
	Latency  Latency `json:"latency"`
}

// Saturated tells whether less than 95 % of what was due was acknowledged in
// time: the queue grows, and latency says only how long the run took.
func (p *Point) Saturated() bool { return p.Achieved < 0.95*p.Offered }

// A Share is a part of the time of a record.
type Share struct {
	// Name is walk, cipher, encoding, compression, transport, waiting, runtime or
	// other.
	Name     string  `json:"name"`
	Fraction float64 `json:"fraction"`
	Ns       float64 `json:"ns"` // per record; 0 is unknown
}

// A Process is what a process used while the case was measured.
type Process struct {
	Name string  `json:"name"` // client, sidecar, broker
	CPU  float64 `json:"cpu_us_per_record"`
	// RSS is the resident memory at its highest, in MiB; 0 is unknown.
	RSS float64 `json:"rss_mib,omitempty"`
}

// Size is how large records are, in bytes per record.
type Size struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	// Codec is what the next two were compressed with, in batches as they are sent:
	// what encryption takes from compression.
	Codec            string  `json:"codec,omitempty"`
	CompressedBefore float64 `json:"compressed_before,omitempty"`
	CompressedAfter  float64 `json:"compressed_after,omitempty"`
}

// A Rival is other software at the same work, on the same records, in the same run.
type Rival struct {
	Name    string `json:"name"` // of the software
	Version string `json:"version,omitempty"`
	Work    string `json:"work"`
	// Ours and Theirs are medians, in the unit.
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"theirs"`
	// Ratio tells how many times better ours is, round by round; nil where that is no
	// question, as with calls to a KMS.
	Ratio *Series `json:"ratio,omitempty"`
}

// A Goal is a figure that the project promises.
type Goal struct {
	Name string `json:"name"`
	// Want is the bound: at most, or at least where AtLeast is set.
	Want    float64 `json:"want"`
	AtLeast bool    `json:"at_least,omitempty"`
	Unit    string  `json:"unit"` // "× floor", "of the echo's rate", "allocations"
	Got     Series  `json:"got"`
	// Skipped says in a sentence why it was not measured; Got is empty then.
	Skipped string `json:"skipped,omitempty"`
}

// Held tells whether a goal that was measured is reached.
func (g *Goal) Held() bool {
	if g.Skipped != "" {
		return false
	}
	if g.AtLeast {
		return g.Got.Median >= g.Want
	}
	return g.Got.Median <= g.Want
}
