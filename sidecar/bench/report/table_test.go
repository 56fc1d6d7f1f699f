package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"math"
	"strings"
	"testing"
)

func table80(t *testing.T, r *Report, o Table) string {
	t.Helper()
	var b bytes.Buffer
	if err := o.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheTableOfTheSmallReportIsTheOneKept(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTable(&b, small(), 0); err != nil {
		t.Fatal(err)
	}
	golden(t, "small.txt", b.Bytes())
}

func TestLinesFitTheTerminal(t *testing.T) {
	for _, width := range []int{60, 80, 120} {
		r := rich(1, 1)
		names := map[string]bool{}
		for i := range r.Cases {
			names[r.Cases[i].Name], names[label(&r.Cases[i])] = true, true
		}
		for i := range r.Goals {
			names[r.Goals[i].Name] = true
		}
		c := Compare(r, rich(9, 1.15))
		var b bytes.Buffer
		o := Table{Width: width}
		if err := errors.Join(o.Write(&b, r), o.WriteComparison(&b, &c)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimRight(line, "\n")
			// A name is never cut, so that it can be copied.
			name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "pass"))
			if length(line) > width && !names[name] {
				t.Errorf("at %d columns a line has %d: %s", width, length(line), line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("a line ends in blanks: %q", line)
			}
		}
	}
}

func TestEscapesAreWrittenOnRequestOnly(t *testing.T) {
	r := small()
	r.Title, r.Cases[0].Name = "red \x1b[31mtext", "library/\x1b[2J"
	r.Goals[0].Name = "\x1b[5m"
	r.Notes = []string{"\x1b[1m"}
	if s := table80(t, r, Table{}); strings.Contains(s, "\x1b") {
		t.Errorf("an escape in %q", s)
	}
	colored := table80(t, small(), Table{Color: true})
	if !strings.Contains(colored, "\x1b[1;31mFALLS SHORT") {
		t.Error("no color where it was asked for")
	}
	strip := strings.NewReplacer("\x1b[1;31m", "", "\x1b[1m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")
	if strip.Replace(colored) != table80(t, small(), Table{}) {
		t.Error("color changes more than color")
	}
}

type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAWriterThatFailsIsReported(t *testing.T) {
	c := Compare(small(), small())
	for name, err := range map[string]error{
		"table":      WriteTable(full{}, small(), 0),
		"comparison": Table{}.WriteComparison(full{}, &c),
		"json":       WriteJSON(full{}, small()),
		"csv":        WriteCSV(full{}, small()),
		"curves":     WriteCurveCSV(full{}, small()),
		"html":       WriteHTML(full{}, small(), nil),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheCSVOfTheSmallReportIsTheOneKept(t *testing.T) {
	var b bytes.Buffer
	if err := errors.Join(WriteCSV(&b, small()), WriteCurveCSV(&b, small())); err != nil {
		t.Fatal(err)
	}
	golden(t, "small.csv", b.Bytes())
}

func TestEveryRowOfTheCSVHasAllColumns(t *testing.T) {
	for name, r := range map[string]*Report{"rich": rich(1, 1), "zeros": poor()["zeros"], "one": poor()["one case"], "huge": poor()["huge"]} {
		for form, write := range map[string]func(*bytes.Buffer) error{
			"cases":  func(b *bytes.Buffer) error { return WriteCSV(b, r) },
			"curves": func(b *bytes.Buffer) error { return WriteCurveCSV(b, r) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			// The reader wants as many fields of each row as the first one has.
			if _, err := csv.NewReader(&b).ReadAll(); err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
}

func TestASpreadsheetTakesNoNameForAFormula(t *testing.T) {
	r := poor()["one case"]
	r.Cases[0].Name = `=HYPERLINK("http://example.com")`
	var b bytes.Buffer
	if err := WriteCSV(&b, r); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := rows[1][0]; got != "'"+r.Cases[0].Name {
		t.Errorf("the cell is %q", got)
	}
}

func TestNumbersArePutInWordsForPeople(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{digits(0), "0"},
		{digits(1.875), "1.88"},
		{digits(0.3401), "0.340"},
		{digits(9.999), "10.0"},
		{digits(99.96), "100"},
		{digits(0.09996), "0.100"},
		{digits(0.0012345), "0.00123"},
		{digits(0.000012), "1.2e-05"},
		{digits(9999.4), "9999"},
		{digits(9999.6), "10.0k"},
		{digits(125_300), "125k"},
		{digits(999_600), "1.00M"},
		{digits(4.2e9), "4.20G"},
		{digits(1e300), "1.0e300"},
		{digits(math.NaN()), "–"},
		{digits(-12.34), "-12.3"},
		{short(1.9), "1.9"},
		{short(2), "2"},
		{short(100_000), "100k"},
		{rate(125_000), "125k rec/s"},
		{seconds(0), "0"},
		{seconds(312e-9), "312 ns"},
		{seconds(1.075e-6), "1.08 µs"},
		{seconds(0.0123), "12.3 ms"},
		{seconds(0.9996), "1.00 s"},
		{seconds(999.96e-9), "1.00 µs"},
		{tick(0.005), "5 ms"},
		{took(0.25), "0.25 s"},
		{took(151), "2 min 31 s"},
		{took(5421), "1 h 30 min"},
		{took(math.Inf(1)), "–"},
		{bytesText(626), "626 B"},
		{bytesText(10_445), "10.2 KiB"},
		{bytesText(1024 * 1024), "1.00 MiB"},
		{sizeTick(1250), "1250 B"},
		{sizeTick(25_000), "25 kB"},
		{percent(0.1523), "+15 %"},
		{percent(-0.031), "−3.1 %"},
		{percent(0.0001), "0 %"},
		{part(0.004), "0.4 %"},
		{grouped(1_234_567), "1,234,567"},
		{grouped(-1234), "-1,234"},
		{grouped(math.MaxInt64), "9,223,372,036,854,775,807"},
		{quantileText(math.Log10(2)), "50 %"},
		{quantileText(1), "90 %"},
		{quantileText(4), "99.99 %"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, not %q", tt.got, tt.want)
		}
	}
}

func TestTheVerdictOfARunCountsItsGoals(t *testing.T) {
	goal := func(want, got float64, least bool) Goal {
		return Goal{Name: "g", Want: want, AtLeast: least, Got: Series{Median: got}}
	}
	skipped := Goal{Name: "s", Skipped: "No broker."}
	for _, tt := range []struct {
		goals []Goal
		want  string
	}{
		{nil, "0 cases measured. This run has no goals."},
		{[]Goal{skipped}, "None of 1 goal was measured."},
		{[]Goal{goal(2, 1.9, false)}, "The one goal that was measured is reached."},
		{[]Goal{goal(2, 2, false), goal(0.5, 0.5, true), skipped}, "All 2 goals that were measured are reached; 1 not measured."},
		{[]Goal{goal(2, 2.1, false), goal(0.5, 0.4, true), goal(1, 1, true)}, "1 of 3 goals reached, 2 fall short."},
	} {
		if got := verdict(&Report{Goals: tt.goals}); got != tt.want {
			t.Errorf("%q, not %q", got, tt.want)
		}
	}
}
