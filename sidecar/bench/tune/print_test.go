package tune_test

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
	"github.com/fieldveil/fieldveil/sidecar/serve"
)

// odd are settings that are none of the defaults.
func odd() tune.Settings {
	return tune.Settings{Concurrency: 128, BatchRecords: 5000, Linger: 2500 * time.Microsecond, Compression: "zstd", BatchBytes: 524_288, MaxBuffered: 1_000_000}
}

func TestTheSidecarReadsWhatIsPasted(t *testing.T) {
	l := tune.DefaultLadders()
	all := []tune.Settings{odd(), tune.Defaults()}
	for _, v := range l.Linger {
		all = append(all, tune.Settings{Linger: v})
	}
	for _, v := range l.Compression {
		all = append(all, tune.Settings{Compression: v, Linger: 5 * time.Millisecond})
	}
	for _, v := range l.BatchBytes {
		all = append(all, tune.Settings{BatchBytes: v})
	}
	for _, v := range l.MaxBuffered {
		all = append(all, tune.Settings{MaxBuffered: v})
	}
	for _, s := range all {
		text := s.SidecarYAML()
		if !strings.Contains(text, "  properties:\n") {
			text = "kafka:\n  properties:\n" + text
		}
		text = "version: 1\n" + strings.Replace(text, "  properties:\n", "  properties:\n    bootstrap.servers: broker:9092\n", 1)
		c, err := serve.Format().Parse("fieldveil.yaml", []byte(text), os.Environ())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		k, ok := c.Part("kafka").(*kafka.Config)
		if !ok {
			t.Fatalf("the part is a %T", c.Part("kafka"))
		}
		if warned := k.Warnings(); len(warned) != 0 {
			t.Errorf("%q\n%s", warned, text)
		}
		client, err := kafka.NewClient(k)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.OptValue(kgo.ProducerLinger); got != s.Linger {
			t.Errorf("a linger of %v, want %v", got, s.Linger)
		}
		if got := client.OptValue(kgo.MaxBufferedRecords); s.MaxBuffered != 0 && got != int64(s.MaxBuffered) {
			t.Errorf("%v buffered, want %d", got, s.MaxBuffered)
		}
		client.Close()
		if room := c.Limits.InFlightRecords; room < s.Concurrency*s.BatchRecords {
			t.Errorf("room for %d records", room)
		}
	}
}

func TestTheDefaultsAreThoseOfTheSidecar(t *testing.T) {
	d := tune.Defaults()
	if d.SidecarYAML() != "" {
		t.Errorf("the defaults are written: %s", d.SidecarYAML())
	}
	if d.Linger != kafka.DefaultLinger || d.MaxBuffered != kafka.DefaultBufferedRecords {
		t.Errorf("%+v", d)
	}
}

func TestTheOptionsForGoAreOnesOfTheClient(t *testing.T) {
	known := map[string]any{
		"ProducerLinger": kgo.ProducerLinger, "ProducerBatchCompression": kgo.ProducerBatchCompression,
		"ProducerBatchMaxBytes": kgo.ProducerBatchMaxBytes, "MaxBufferedRecords": kgo.MaxBufferedRecords,
		"NoCompression": kgo.NoCompression, "GzipCompression": kgo.GzipCompression, "SnappyCompression": kgo.SnappyCompression,
		"Lz4Compression": kgo.Lz4Compression, "ZstdCompression": kgo.ZstdCompression,
	}
	for _, codec := range tune.DefaultLadders().Compression {
		s := odd()
		s.Compression = codec
		text := s.GoOptions()
		if _, err := parser.ParseExpr("f(" + text + ")"); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		names := regexp.MustCompile(`kgo\.(\w+)`).FindAllStringSubmatch(text, -1)
		if len(names) != 5 {
			t.Errorf("%q", names)
		}
		for _, n := range names {
			if known[n[1]] == nil {
				t.Errorf("no option %s", n[1])
			}
		}
	}
}

// result returns a result with figures that are as wide as they can be.
func result(edit func(*tune.Result)) *tune.Result {
	wide := tune.Comparison{Ratios: make([]float64, 15), Ratio: 1234.5678, Low: 123.456, High: 99_999.9}
	r := &tune.Result{
		Goal: tune.RateUnderP99, P99: 0.0123456, Rate: 123_456_789, Start: tune.Defaults(), Best: odd(), Confirmed: true, Final: &wide,
		After:  &tune.Sample{Rate: 1e300, CPU: 1e9, BytesOut: 1e99},
		Before: tune.Sample{Rate: 123_456_789_012, P50: 1e-7, P99: 1e6, P999: math.Inf(1), CPU: 256, BytesOut: 1e12, Errors: math.MaxInt64},
		Steps: []tune.Step{
			{Name: "concurrency × batch_records", From: "128 × 5000", To: "100 × 1000", Accepted: true, Pairs: &wide},
			{Name: tune.NameMaxBuffered, From: "1000000", To: "10000", Pairs: &wide},
			{Name: tune.NameCompression, From: "snappy", Tried: []tune.Tried{{Value: "zstd", Ratio: 0.123, Rounds: 1}}},
		},
		Ended: tune.OutOfTime, Trials: 1_000_000, Took: 86_400, Slice: 0.6, Noise: 3,
	}
	edit(r)
	return r
}

func TestNoLineOfAResultIsWiderThanATerminal(t *testing.T) {
	for name, edit := range map[string]func(*tune.Result){
		"confirmed":                   func(*tune.Result) {},
		"the most records":            func(r *tune.Result) { r.Goal = tune.MaxRate },
		"latency":                     func(r *tune.Result) { r.Goal = tune.P99AtRate },
		"unconfirmed and interrupted": func(r *tune.Result) { r.Confirmed, r.Unconfirmed, r.Ended = false, true, tune.Interrupted },
		"withdrawn": func(r *tune.Result) {
			r.Confirmed, r.Best, r.Withdrawn = false, r.Start, tune.Changes(tune.Defaults(), odd())
		},
		"nothing found": func(r *tune.Result) { r.Confirmed, r.Best, r.Final, r.Steps = false, r.Start, nil, nil },
		"no time": func(r *tune.Result) {
			r.Unvisited = []string{tune.NameLinger, tune.NameBatchBytes, tune.NameMaxBuffered}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := result(edit).Write(&b); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("a space ends %q", line)
				}
			}
			if t.Failed() {
				t.Log(b.String())
			}
		})
	}
}

func TestAResultSaysWhatItIsWorth(t *testing.T) {
	for _, tt := range []struct {
		want string
		edit func(*tune.Result)
	}{
		{"Confirmed: 1235 times as good", func(*tune.Result) {}},
		{"NOT CONFIRMED", func(r *tune.Result) { r.Confirmed, r.Unconfirmed = false, true }},
		{"No setting made a difference: keep what you have.", func(r *tune.Result) { r.Confirmed, r.Best, r.Final = false, r.Start, nil }},
		{"There was no time for linger.", func(r *tune.Result) { r.Unvisited = []string{tune.NameLinger} }},
		{"compression: snappy is best; next is zstd, 0.123 times as good", func(*tune.Result) {}},
		{"only large differences can be seen", func(*tune.Result) {}},
		{`linger.ms: "2.5"`, func(*tune.Result) {}},
		{"kgo.ProducerLinger(2500*time.Microsecond),", func(*tune.Result) {}},
		{"in_flight_records: 800000", func(*tune.Result) {}},
	} {
		var b bytes.Buffer
		if err := result(tt.edit).Write(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), tt.want) {
			t.Errorf("there is no %q in\n%s", tt.want, b.String())
		}
	}
}

func TestAResultIsJSON(t *testing.T) {
	r := result(func(r *tune.Result) { r.Before = tune.Sample{} })
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Best        tune.Settings `json:"best"`
		Confirmed   bool          `json:"confirmed"`
		SidecarYAML string        `json:"sidecar_yaml"`
		GoOptions   string        `json:"go_options"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Best != r.Best || !got.Confirmed || got.SidecarYAML != r.Best.SidecarYAML() || got.GoOptions != r.Best.GoOptions() {
		t.Errorf("%+v", got)
	}
}

func TestALineOfProgressFitsATerminal(t *testing.T) {
	for _, p := range []tune.Progress{
		{},
		{Phase: tune.PhaseSearching, Name: "concurrency × batch_records", Value: strings.Repeat("9", 200), Took: 1 << 62, Budget: 1, Trials: math.MaxInt, Gain: math.MaxFloat64},
		{Phase: tune.PhaseConfirming, Gain: math.NaN()},
	} {
		if n := utf8.RuneCountInString(p.Line()); n > 79 {
			t.Errorf("%d columns: %s", n, p.Line())
		}
	}
}
