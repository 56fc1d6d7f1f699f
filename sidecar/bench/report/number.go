package report

import (
	"math"
	"strconv"
	"strings"
)

// none stands where there is no figure.
const none = "–"

// digits writes a number with three significant digits: 0.345, 1.88, 12.3, 932.
// Above 10,000 it goes on with k, M, G and T; far outside of that, with an
// exponent.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
	case a == 0:
		return "0"
	case a < 0.001 || a >= 9.995e14:
		return strings.Replace(strconv.FormatFloat(v, 'e', 1, 64), "e+", "e", 1)
	case a < 9_999.5:
		return three(v)
	}
	for _, u := range []struct {
		size float64
		name string
	}{{1e3, "k"}, {1e6, "M"}, {1e9, "G"}} {
		if a < 999.5*u.size {
			return three(v/u.size) + u.name
		}
	}
	return three(v/1e12) + "T"
}

// three writes a number between 0.001 and 10,000 with three significant digits.
func three(v float64) string {
	decimals := 0
	switch a := math.Abs(v); {
	case a < 0.00995:
		decimals = 5
	case a < 0.0995:
		decimals = 4
	case a < 0.9995:
		decimals = 3
	case a < 9.995:
		decimals = 2
	case a < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// short is digits without the zeros at the end, for ticks and bounds: 1.9, 2.
func short(v float64) string {
	s := digits(v)
	unit := strings.TrimLeft(s, "-0123456789.")
	if n := strings.TrimSuffix(s, unit); strings.Contains(n, ".") && !strings.HasPrefix(unit, "e") {
		return strings.TrimRight(strings.TrimRight(n, "0"), ".") + unit
	}
	return s
}

// rate writes records per second: 125k rec/s.
func rate(v float64) string { return digits(v) + " rec/s" }

// seconds writes a time in the unit that fits it: 312 ns, 1.07 µs, 12.3 ms, 2.50 s.
func seconds(v float64) string { return inUnit(v, digits) }

// tick is seconds without the zeros at the end.
func tick(v float64) string { return inUnit(v, short) }

func inUnit(v float64, write func(float64) string) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a < 0.9995e-6:
		return write(v*1e9) + " ns"
	case a < 0.9995e-3:
		return write(v*1e6) + " µs"
	case a < 0.9995:
		return write(v*1e3) + " ms"
	}
	return write(v) + " s"
}

// nanoseconds is seconds of a figure that is in nanoseconds.
func nanoseconds(v float64) string { return seconds(v * 1e-9) }

// took writes how long something lasted, to the second.
func took(s float64) string {
	if math.IsNaN(s) || s < 0 || s > 1e9 {
		return none
	}
	n := int(math.Round(s))
	switch {
	case n < 60:
		return short(s) + " s"
	case n < 3600:
		return strconv.Itoa(n/60) + " min " + strconv.Itoa(n%60) + " s"
	}
	return strconv.Itoa(n/3600) + " h " + strconv.Itoa(n/60%60) + " min"
}

// bytesText writes a size: 626 B, 10.2 KiB, 1.50 MiB.
func bytesText(v float64) string {
	switch a := math.Abs(v); {
	case a < 1023.5:
		return short(v) + " B"
	case a < 1023.5*1024:
		return digits(v/1024) + " KiB"
	case a < 1023.5*1024*1024:
		return digits(v/1024/1024) + " MiB"
	}
	return digits(v/1024/1024/1024) + " GiB"
}

// percent writes a change: +15.2 %, −3.10 %. The minus is the typographic one,
// as wide as the plus.
func percent(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
	case math.Abs(v) < 0.0005:
		return "0 %"
	case v < 0:
		return "−" + change(-v)
	}
	return "+" + change(v)
}

func change(v float64) string {
	if v *= 100; v < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64) + " %"
	}
	if v < 9_999.5 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " %"
	}
	return digits(v) + " %"
}

// part writes a share of a whole: 37 %, 0.4 %.
func part(v float64) string {
	if v *= 100; v != 0 && v < 0.95 {
		return strconv.FormatFloat(v, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " %"
}

// grouped writes a count with commas: 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// spread writes a figure with its quartiles, where it has some that differ.
func spread(s *Series, write func(float64) string) string {
	q := quartiles(s, write)
	if q == "" {
		return write(s.Median)
	}
	return write(s.Median) + " (" + q + ")"
}

// quartiles writes the quartiles alone: 1.87 to 1.90.
func quartiles(s *Series, write func(float64) string) string {
	low, high := write(s.Low), write(s.High)
	if !s.quartiles() || low == high {
		return ""
	}
	return low + "–" + high
}
