package row

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// A Side is what one of those who were compared has done in a row.
type Side struct {
	Name  string  `json:"name"`  // of the work, as the program describes it
	Value float64 `json:"value"` // the median over the rounds, in the unit of the row
	Low   float64 `json:"low"`   // lower quartile of the same
	High  float64 `json:"high"`  // upper quartile of the same
}

// A Row is one comparison.
type Row struct {
	Name string `json:"name"`
	// Unit is what the values of the sides count, such as "ns/record".
	Unit  string `json:"unit"`
	Ours  *Side  `json:"ours,omitempty"`
	Rival *Side  `json:"rival,omitempty"`
	Floor *Side  `json:"floor,omitempty"`
	// Ratio tells how many times better ours is: the rival's time by ours, or
	// our throughput by the rival's. It is the median over the rounds, and Low
	// and High are the quartiles. Zero stands for a row without a ratio.
	Ratio float64 `json:"ratio,omitempty"`
	Low   float64 `json:"low,omitempty"`
	High  float64 `json:"high,omitempty"`
	// Rounds is how many rounds the figures are of.
	Rounds int `json:"rounds,omitempty"`
	// AllocsOurs and AllocsRival are heap allocations a record. Nil stands for
	// not counted: work in another process cannot be.
	AllocsOurs  *float64 `json:"allocs_ours,omitempty"`
	AllocsRival *float64 `json:"allocs_rival,omitempty"`
	// CPUOurs and CPURival are nanoseconds of CPU a record, the garbage collector
	// included, and CPURatio is the rival's by ours. A busy machine disturbs them
	// less than the times. Zero stands for not known.
	CPUOurs  float64 `json:"cpu_ours,omitempty"`
	CPURival float64 `json:"cpu_rival,omitempty"`
	CPURatio float64 `json:"cpu_ratio,omitempty"`
	// Goal is the least ratio that was aimed at, and Pass whether it was
	// reached. A row without a goal has neither.
	Goal float64 `json:"goal,omitempty"`
	Pass *bool   `json:"pass,omitempty"`
}

// A Machine is where a document was made.
type Machine struct {
	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu,omitempty"`
	CPUs int    `json:"cpus"`
	// Load is how many processes wanted a CPU in the minute before the start.
	// More of them than CPUs make all figures coarse. Zero stands for unknown.
	Load float64 `json:"load,omitempty"`
}

// A Document is what one program has to say.
type Document struct {
	Rival   string  `json:"rival"`
	Version string  `json:"version"`
	Machine Machine `json:"machine"`
	// Skipped says in plain words why nothing was measured. It is empty when
	// there are rows.
	Skipped string   `json:"skipped,omitempty"`
	Rows    []Row    `json:"rows"`
	Notes   []string `json:"notes"`

	limit time.Time // no round begins after it
}

// Notef adds a sentence that a reader of the figures needs.
func (d *Document) Notef(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// fewRounds is how many rounds a figure needs to be one.
const fewRounds = 5

// warn adds a note when the machine was too busy for rounds enough.
func (d *Document) warn() {
	for _, r := range d.Rows {
		if r.Rounds > 0 && r.Rounds < fewRounds {
			d.Notef("No more than %d rounds fitted into the time, so these figures say nothing: run the program on a quieter machine, or with more of them.", r.Rounds)
			return
		}
	}
}

// Validate tells what is wrong with the document: a row that compares nothing,
// or a figure that is no number. A document is checked before it is printed.
func (d *Document) Validate() error {
	if d.Rival == "" {
		return fmt.Errorf("row: a document without a rival")
	}
	if (d.Skipped == "") == (len(d.Rows) == 0) {
		return fmt.Errorf("row: %s: a document has rows or says why it has none", d.Rival)
	}
	for _, r := range d.Rows {
		if r.Name == "" || r.Unit == "" || r.Ours == nil || r.Rival == nil {
			return fmt.Errorf("row: %s: row %q lacks a name, a unit or a side", d.Rival, r.Name)
		}
		for _, v := range []float64{r.Ours.Value, r.Rival.Value, r.Ratio, r.Low, r.High, r.CPURatio} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("row: %s: row %q has a figure that is no number", d.Rival, r.Name)
			}
		}
		if (r.Goal == 0) != (r.Pass == nil) {
			return fmt.Errorf("row: %s: row %q has a goal or a verdict alone", d.Rival, r.Name)
		}
	}
	return nil
}

// WriteJSON writes the document as one line of JSON.
func (d *Document) WriteJSON(w io.Writer) error {
	if err := d.Validate(); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(d)
}

// WriteTable writes the document for a person.
func (d *Document) WriteTable(w io.Writer) error {
	if err := d.Validate(); err != nil {
		return err
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s %s, %s %s/%s, %d CPUs, load %.1f\n",
		d.Rival, d.Version, d.Machine.Go, d.Machine.OS, d.Machine.Arch, d.Machine.CPUs, d.Machine.Load)
	if d.Skipped != "" {
		_, _ = fmt.Fprintf(&b, "skipped: %s\n", d.Skipped)
	}
	if len(d.Rows) > 0 {
		b.WriteByte('\n')
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "work\tunit\tfloor\tours\trival\tratio\tquartiles\tgoal\tratio of CPU\tallocs, ours\trival\trounds")
		for _, r := range d.Rows {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", r.Name, r.Unit,
				r.Floor.String(), r.Ours.String(), r.Rival.String(), number(r.Ratio), r.quartiles(), r.verdict(), orDash(r.CPURatio),
				count(r.AllocsOurs), count(r.AllocsRival), r.Rounds)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, note := range d.Notes {
		_, _ = fmt.Fprintf(&b, "\n- %s", note)
	}
	if len(d.Notes) > 0 {
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String returns the value for a table.
func (s *Side) String() string {
	if s == nil {
		return "-"
	}
	return number(s.Value)
}

func (r Row) quartiles() string {
	if r.Ratio == 0 {
		return "-"
	}
	return number(r.Low) + "-" + number(r.High)
}

func (r Row) verdict() string {
	switch {
	case r.Pass == nil:
		return "-"
	case *r.Pass:
		return number(r.Goal) + " ok"
	default:
		return number(r.Goal) + " missed"
	}
}

func orDash(v float64) string {
	if v == 0 {
		return "-"
	}
	return number(v)
}

func count(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", *v)
}

// number writes three digits or more: a ratio of 1.31 and a time of 52,123
// are both read best so.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
