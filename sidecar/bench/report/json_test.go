package report

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
)

func encode(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAReportReadsBackAsItWasWritten(t *testing.T) {
	for name, r := range map[string]*Report{"small": small(), "rich": rich(1, 1)} {
		got, err := ReadJSON(bytes.NewReader(encode(t, r)))
		if err != nil {
			t.Fatal(name, err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%s: it differs", name)
		}
	}
}

func TestTheJSONOfTheSmallReportIsTheOneKept(t *testing.T) {
	golden(t, "small.json", encode(t, small()))
}

func TestReadJSONRefuses(t *testing.T) {
	good := string(encode(t, small()))
	const secret = "somebody@example.com"
	for _, tt := range []struct{ name, data string }{
		{"nothing", ""},
		{"what is no JSON", "{" + secret},
		{"what is no object", `"` + secret + `"`},
		{"what stands behind the report", good + "{}"},
		{"an unknown member", strings.Replace(good, `"title"`, `"`+secret+`": 1, "title"`, 1)},
		{"a member in other letters", strings.Replace(good, `"title"`, `"Title"`, 1)},
		{"a member twice", strings.Replace(good, `"title"`, `"title": "`+secret+`", "title"`, 1)},
		{"another type", strings.Replace(good, `"took_seconds": 151`, `"took_seconds": "`+secret+`"`, 1)},
		{"a number beyond all", strings.Replace(good, `"took_seconds": 151`, `"took_seconds": 1e999`, 1)},
		{"a negative figure", strings.Replace(good, `"took_seconds": 151`, `"took_seconds": -1`, 1)},
		{"a control character", strings.Replace(good, `Orders, five`, `\u001b[31m`+secret, 1)},
		{"a mark of direction", strings.Replace(good, `Orders, five`, `\u202e`+secret, 1)},
		{"a name twice", strings.Replace(good, `"name": "sidecar-grpc/avro20/batch=100"`, `"name": "library/avro20"`, 1)},
		{"a case without a name", strings.Replace(good, `"name": "library/avro20"`, `"name": ""`, 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.data == good {
				t.Fatal("the test changes nothing")
			}
			_, err := ReadJSON(strings.NewReader(tt.data))
			if err == nil {
				t.Fatal("it was read")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error quotes what was read: %v", err)
			}
		})
	}
}

func TestReadJSONTellsOtherVersionsAndSizesApart(t *testing.T) {
	good := string(encode(t, small()))
	newer := strings.Replace(good, `"version": 1`, `"version": 2, "new": true`, 1)
	if _, err := ReadJSON(strings.NewReader(newer)); !errors.Is(err, ErrVersion) {
		t.Errorf("of a newer version: %v", err)
	}
	endless := io.MultiReader(strings.NewReader(good), spaces{})
	if _, err := ReadJSON(endless); !errors.Is(err, ErrTooLarge) {
		t.Errorf("of what does not end: %v", err)
	}
}

// spaces is a reader that does not end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestWhatIsNoNumberIsNotWritten(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -2} {
		for path, set := range map[string]func(r *Report){
			"took_seconds":                             func(r *Report) { r.Took = v },
			"machine.load":                             func(r *Report) { r.Machine.Load = v },
			"cases[0].rate.median":                     func(r *Report) { r.Cases[0].Rate.Median = v },
			"cases[0].ratio.samples[0]":                func(r *Report) { r.Cases[0].Ratio.Samples = []float64{v} },
			"cases[0].allocs_per_record":               func(r *Report) { r.Cases[0].Allocs = v },
			"cases[0].split[0].fraction":               func(r *Report) { r.Cases[0].Split[0].Fraction = v },
			"cases[0].size.after":                      func(r *Report) { r.Cases[0].Size.After = v },
			"cases[1].latency.quantiles[3].seconds":    func(r *Report) { r.Cases[1].Latency.Quantiles[3].Seconds = v },
			"cases[1].curve[1].latency.mean":           func(r *Report) { r.Cases[1].Curve[1].Latency.Mean = v },
			"cases[1].processes[0].cpu_us_per_record":  func(r *Report) { r.Cases[1].Processes[0].CPU = v },
			"goals[0].got.high":                        func(r *Report) { r.Goals[0].Got.High = v },
			"cases[1].latency.p99_rounds.low":          func(r *Report) { r.Cases[1].Latency.P99 = &Series{Low: v} },
			"cases[1].curve[0].achieved":               func(r *Report) { r.Cases[1].Curve[0].Achieved = v },
			"cases[1].floor.low":                       func(r *Report) { r.Cases[1].Floor.Low = v },
			"cases[1].curve[0].latency.quantiles[0].q": func(r *Report) { r.Cases[1].Curve[0].Latency.Quantiles[0].Q = v },
		} {
			r := small()
			set(r)
			var b bytes.Buffer
			err := WriteJSON(&b, r)
			if _, ok := errors.AsType[*InvalidError](err); !ok {
				t.Fatalf("%s = %v: %v", path, v, err)
			}
			if !strings.Contains(err.Error(), "report: "+path+": ") {
				t.Errorf("the error does not name %s: %v", path, err)
			}
			if b.Len() > 0 {
				t.Errorf("%s = %v: something was written", path, v)
			}
		}
	}
}

func TestTheSamplesAreValid(t *testing.T) {
	for name, r := range poor() {
		if err := r.Validate(); err != nil && name != "nothing" && name != "huge" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReadJSON: what is read can be shown in every form, and written and read
// again as the same.
func FuzzReadJSON(f *testing.F) {
	for _, r := range []*Report{small(), poor()["one case"], poor()["zeros"], poor()["hostile"]} {
		var b bytes.Buffer
		if err := WriteJSON(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"version":1,"input":{"name":"x"},"cases":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := ReadJSON(bytes.NewReader(encode(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := encode(t, r), encode(t, again); !bytes.Equal(a, b) {
			t.Error("it is another one when written and read again")
		}
		c := Compare(r, again)
		var page bytes.Buffer
		for _, err := range []error{
			WriteTable(io.Discard, r, 0), Table{}.WriteComparison(io.Discard, &c),
			WriteCSV(io.Discard, r), WriteCurveCSV(io.Discard, r), WriteHTML(&page, r, &c),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		if bytes.Contains(page.Bytes(), []byte("NaN")) && !bytes.Contains(data, []byte("NaN")) {
			t.Error("something on the page is not a number")
		}
	})
}
