package tune

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Settings are what can be turned. The zero value of a field leaves the setting
// as the target has it, but for Linger, where it means not to wait.
type Settings struct {
	// Concurrency is how many bursts are under way at a time. It is the caller's:
	// goroutines that produce, or requests that a sidecar has at a time, for which
	// limits.in_flight_records of the sidecar must have room.
	Concurrency int `json:"concurrency"`
	// BatchRecords is how many records a burst has. It is the caller's too: records
	// that are produced before the first is waited for, or those of one request.
	BatchRecords int `json:"batch_records"`
	// Linger is how long the client waits for more records of a partition. Sidecar:
	// linger.ms of kafka.properties; library: kgo.ProducerLinger.
	Linger time.Duration `json:"linger_ns"`
	// Compression is none, gzip, snappy, lz4 or zstd. Sidecar: compression.type;
	// library: kgo.ProducerBatchCompression. What was encrypted does not compress,
	// so this only pays where much of a record stays in clear.
	Compression string `json:"compression"`
	// BatchBytes bounds a batch of the client, before compression. Sidecar:
	// message.max.bytes; library: kgo.ProducerBatchMaxBytes. Brokers and topics
	// refuse what is above their own limit.
	BatchBytes int32 `json:"batch_bytes"`
	// MaxBuffered is how many records the client holds. Sidecar:
	// queue.buffering.max.messages; library: kgo.MaxBufferedRecords.
	MaxBuffered int `json:"max_buffered"`
}

// There is no setting for requests in flight: an idempotent producer, which is the
// only kind here, has five for each broker whatever it is told. Nor is there one
// for the cache of data keys: in steady state no record waits for it, and what its
// ages and bounds cost is a question of sizing.

// Defaults returns what the sidecar does without configuration, under a caller
// who has four requests of 100 records under way.
func Defaults() Settings {
	return Settings{
		Concurrency: 4, BatchRecords: 100, Linger: 0, Compression: "none",
		BatchBytes: 1_000_012, MaxBuffered: 100_000,
	}
}

// The names of the settings, as ladders and results have them.
const (
	NameConcurrency  = "concurrency"
	NameBatchRecords = "batch_records"
	NameLinger       = "linger"
	NameCompression  = "compression"
	NameBatchBytes   = "batch_bytes"
	NameMaxBuffered  = "max_buffered"
)

// Ladders are the values that a search tries. A setting with none is not turned.
// Values are tried in ascending order, compression in the order given.
type Ladders struct {
	Concurrency  []int
	BatchRecords []int
	Linger       []time.Duration
	Compression  []string
	BatchBytes   []int32
	MaxBuffered  []int
}

// DefaultLadders returns values that have room on both sides of the defaults. No
// batch is above the brokers' own default of 1 MiB.
func DefaultLadders() Ladders {
	const ms = time.Millisecond
	return Ladders{
		Concurrency:  []int{1, 2, 4, 8, 16, 32, 64, 128},
		BatchRecords: []int{1, 10, 100, 500, 1000, 5000},
		Linger:       []time.Duration{0, ms, 2 * ms, 5 * ms, 10 * ms, 25 * ms, 50 * ms},
		Compression:  []string{"none", "snappy", "lz4", "zstd", "gzip"},
		BatchBytes:   []int32{65_536, 262_144, 524_288, 1_000_012},
		MaxBuffered:  []int{1_000, 10_000, 100_000, 1_000_000},
	}
}

// A dial is one setting with the values that it can have.
type dial struct {
	name    string
	ordered bool // neighbours are alike
	values  []string
	at      func(Settings) int           // where a setting stands; -1 is none of the values
	set     func(Settings, int) Settings // to the i-th value
}

func newDial[T cmp.Ordered](name string, ladder []T, ordered bool, field func(*Settings) *T, show func(T) string) dial {
	ladder = slices.Clone(ladder)
	if ordered {
		slices.Sort(ladder)
	}
	ladder = slices.Compact(ladder)
	d := dial{name: name, ordered: ordered}
	for _, v := range ladder {
		d.values = append(d.values, show(v))
	}
	d.at = func(s Settings) int { return slices.Index(ladder, *field(&s)) }
	d.set = func(s Settings, i int) Settings {
		*field(&s) = ladder[i]
		return s
	}
	return d
}

// dials returns the settings of the ladders, those that usually matter most first.
func (l *Ladders) dials(start Settings) []dial {
	all := []dial{
		newDial(NameConcurrency, with(l.Concurrency, start.Concurrency), true, func(s *Settings) *int { return &s.Concurrency }, strconv.Itoa),
		newDial(NameBatchRecords, with(l.BatchRecords, start.BatchRecords), true, func(s *Settings) *int { return &s.BatchRecords }, strconv.Itoa),
		newDial(NameLinger, with(l.Linger, start.Linger), true, func(s *Settings) *time.Duration { return &s.Linger }, time.Duration.String),
		newDial(NameCompression, with(l.Compression, start.Compression), false, func(s *Settings) *string { return &s.Compression }, func(v string) string { return v }),
		newDial(NameBatchBytes, with(l.BatchBytes, start.BatchBytes), true, func(s *Settings) *int32 { return &s.BatchBytes }, func(v int32) string { return strconv.Itoa(int(v)) }),
		newDial(NameMaxBuffered, with(l.MaxBuffered, start.MaxBuffered), true, func(s *Settings) *int { return &s.MaxBuffered }, strconv.Itoa),
	}
	return slices.DeleteFunc(all, func(d dial) bool { return len(d.values) < 2 })
}

// with adds the value that a search starts from, so that it can go back there.
func with[T comparable](ladder []T, start T) []T {
	if len(ladder) == 0 || slices.Contains(ladder, start) {
		return ladder
	}
	return append(slices.Clone(ladder), start)
}

// A Change is a setting that two Settings have differently.
type Change struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Changes returns what is different in to, in the order of the fields.
func Changes(from, to Settings) []Change {
	var out []Change
	add := func(name, a, b string) {
		if a != b {
			out = append(out, Change{name, a, b})
		}
	}
	add(NameConcurrency, strconv.Itoa(from.Concurrency), strconv.Itoa(to.Concurrency))
	add(NameBatchRecords, strconv.Itoa(from.BatchRecords), strconv.Itoa(to.BatchRecords))
	add(NameLinger, from.Linger.String(), to.Linger.String())
	add(NameCompression, from.Compression, to.Compression)
	add(NameBatchBytes, strconv.Itoa(int(from.BatchBytes)), strconv.Itoa(int(to.BatchBytes)))
	add(NameMaxBuffered, strconv.Itoa(from.MaxBuffered), strconv.Itoa(to.MaxBuffered))
	return out
}
