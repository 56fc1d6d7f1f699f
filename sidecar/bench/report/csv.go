package report

import (
	"encoding/csv"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// shareNames are the parts of a record's time that have a column of their own.
func shareNames() []string {
	return []string{"walk", "cipher", "encoding", "compression", "transport", "waiting", "runtime", "other"}
}

// processNames are the processes that have columns of their own.
func processNames() []string { return []string{"client", "sidecar", "broker"} }

// WriteCSV writes a row for each case, below a row of names. The columns are
// always the same ones in the same order; new ones come at the end. What was not
// measured is an empty cell.
//
//	case scenario settings             the last as "acks=all; linger=5ms", sorted by name
//	rate_{median,low,high}             records/s, with quartiles
//	cost_ns_{median,low,high}          nanoseconds per record
//	floor_{median,low,high}            of the floor, in the unit of the case
//	ratio_{median,low,high} yardstick  this case by its floor
//	latency_count latency_{mean,p50,p90,p99,p999,max}_s
//	allocs_per_record
//	bytes_{before,after} codec compressed_{before,after}
//	split_{walk,cipher,encoding,compression,transport,waiting,runtime,other}
//	cpu_{client,sidecar,broker,other}_us rss_{client,sidecar,broker,other}_mib
//	errors kms_calls                   errors of all codes
//
// A cell of text that a spreadsheet would take for a formula begins with an
// apostrophe.
func WriteCSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	if err := out.Write(caseColumns()); err != nil {
		return err
	}
	for i := range r.Cases {
		if err := out.Write(caseRow(&r.Cases[i])); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// WriteCurveCSV writes a row for each point of each curve of throughput and
// latency, in the manner of [WriteCSV]. The columns are case, scenario, offered
// and achieved (records/s), saturated (true or false), count, and mean_s,
// p50_s, p90_s, p99_s, p999_s and max_s.
func WriteCurveCSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{
		"case", "scenario", "offered", "achieved", "saturated", "count",
		"mean_s", "p50_s", "p90_s", "p99_s", "p999_s", "max_s",
	}); err != nil {
		return err
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		for j := range c.Curve {
			p := &c.Curve[j]
			row := []string{text(c.Name), text(c.Scenario), figure(p.Offered), figure(p.Achieved), strconv.FormatBool(p.Saturated())}
			if err := out.Write(append(row, latencyCells(&p.Latency)...)); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func caseColumns() []string {
	cols := []string{"case", "scenario", "settings"}
	for _, s := range []string{"rate", "cost_ns", "floor", "ratio"} {
		cols = append(cols, s+"_median", s+"_low", s+"_high")
	}
	cols = append(cols, "yardstick", "latency_count",
		"latency_mean_s", "latency_p50_s", "latency_p90_s", "latency_p99_s", "latency_p999_s", "latency_max_s",
		"allocs_per_record", "bytes_before", "bytes_after", "codec", "compressed_before", "compressed_after")
	for _, s := range shareNames() {
		cols = append(cols, "split_"+s)
	}
	for _, p := range append(processNames(), "other") {
		cols = append(cols, "cpu_"+p+"_us")
	}
	for _, p := range append(processNames(), "other") {
		cols = append(cols, "rss_"+p+"_mib")
	}
	return append(cols, "errors", "kms_calls")
}

func caseRow(c *Case) []string {
	row := []string{text(c.Name), text(c.Scenario), text(settingsText(c.Settings))}
	for _, s := range []*Series{&c.Rate, c.Cost, c.Floor, c.Ratio} {
		if s == nil {
			row = append(row, "", "", "")
			continue
		}
		row = append(row, figure(s.Median), figure(s.Low), figure(s.High))
	}
	row = append(row, text(c.Yardstick))
	if c.Latency != nil {
		row = append(row, latencyCells(c.Latency)...)
	} else {
		row = append(row, make([]string, 7)...)
	}
	if c.Allocs >= 0 {
		row = append(row, figure(c.Allocs))
	} else {
		row = append(row, "")
	}
	if z := c.Size; z != nil {
		row = append(row, figure(z.Before), figure(z.After), text(z.Codec), known(z.CompressedBefore), known(z.CompressedAfter))
	} else {
		row = append(row, make([]string, 5)...)
	}
	row = append(row, shareCells(c.Split)...)
	row = append(row, processCells(c.Processes)...)
	var errs int64
	for _, n := range c.Errors {
		errs += n
	}
	return append(row, strconv.FormatInt(errs, 10), strconv.FormatInt(c.KMSCalls, 10))
}

func latencyCells(l *Latency) []string {
	row := []string{strconv.FormatInt(l.Count, 10), figure(l.Mean)}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		cell := ""
		if v, ok := l.At(q); ok {
			cell = figure(v)
		}
		row = append(row, cell)
	}
	return append(row, figure(l.Max))
}

// shareCells puts shares of other names into the last column.
func shareCells(split []Share) []string {
	names := shareNames()
	row := make([]string, len(names))
	sums := make([]float64, len(names))
	for _, s := range split {
		i := slices.Index(names, s.Name)
		if i < 0 {
			i = len(names) - 1
		}
		sums[i] += s.Fraction
		row[i] = figure(sums[i])
	}
	return row
}

func processCells(all []Process) []string {
	names := processNames()
	n := len(names) + 1
	row, cpu, rss := make([]string, 2*n), make([]float64, n), make([]float64, n)
	for _, p := range all {
		i := slices.Index(names, p.Name)
		if i < 0 {
			i = n - 1
		}
		cpu[i] += p.CPU
		rss[i] += p.RSS
		row[i], row[n+i] = figure(cpu[i]), known(rss[i])
	}
	return row
}

// figure writes a number in full; what is none is empty.
func figure(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// known is figure where 0 says that it is not known.
func known(v float64) string {
	if v == 0 {
		return ""
	}
	return figure(v)
}

// text keeps a spreadsheet from taking a name for a formula.
func text(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// settingsText writes settings in one line, sorted by name.
func settingsText(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, "; ")
}
