package mask

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Unit is a part of the calendar or of a day.
type Unit uint8

// The units, the coarsest first.
const (
	Year Unit = iota + 1
	Month
	Day
	Hour
	Minute
)

// Units returns all units.
func Units() []Unit { return []Unit{Year, Month, Day, Hour, Minute} }

// String returns the unit as a lower-case word.
func (u Unit) String() string {
	switch u {
	case Year:
		return "year"
	case Month:
		return "month"
	case Day:
		return "day"
	case Hour:
		return "hour"
	case Minute:
		return "minute"
	default:
		return "unknown"
	}
}

// length returns how many seconds every unit of that name has, and 0 where they
// differ.
func (u Unit) length() int64 {
	switch u {
	case Day:
		return secondsOfDay
	case Hour:
		return 60 * 60
	case Minute:
		return 60
	default:
		return 0
	}
}

// TruncateTime returns the Time rule that gives the beginning of the unit that a
// time lies in, in the same layout: of a year its first of January. Times before
// 1970 go back like all others. The days of integers are those of UTC, the days
// of RFC3339 those of its own offset, which stays; a fraction of seconds is left
// out there.
//
// An offset tells about a place and, where clocks change, about the season. A
// date that cannot be, and an integer whose beginning of a unit does not fit in
// 64 bits, are refused with [ErrValue]. It fails for a unit that is no coarser
// than what the layout holds, because it would hide nothing.
func TruncateTime(unit Unit, layout Layout) (Rule, error) {
	if err := layout.check(); err != nil {
		return Rule{}, err
	}
	if unit < Year || unit > Minute {
		return Rule{}, fmt.Errorf("mask: unknown unit %d of time", unit)
	}
	if layout.bare() && unit > Month {
		return Rule{}, fmt.Errorf("mask: to the %s hides nothing of a date without a time of day", unit)
	}
	return Rule{truncation{unit: unit, layout: layout}, Time}, nil
}

// defaultOldest is the age from which the Safe Harbor rule gathers ages.
const defaultOldest = 90

// BirthYear returns the Time rule that gives a date of birth as its year, as
// [TruncateTime] does, and all years that would reveal an age of oldest or more
// as one: the year of now, in UTC, minus oldest. With 90 that is what the Safe
// Harbor rule of HIPAA asks for (45 CFR 164.514(b)(2)(i)(C)).
//
// An oldest of 0 stands for 90, and a nil clock for [time.Now]. clock is called
// for each value, and must be safe for concurrent use. What is written depends on
// the year in which it is written.
func BirthYear(layout Layout, clock func() time.Time, oldest int) (Rule, error) {
	if err := layout.check(); err != nil {
		return Rule{}, err
	}
	if oldest == 0 {
		oldest = defaultOldest
	}
	if oldest < 1 || oldest > 200 {
		return Rule{}, fmt.Errorf("mask: an oldest age of %d years: 1 to 200 are possible", oldest)
	}
	if clock == nil {
		clock = time.Now
	}
	return Rule{truncation{unit: Year, layout: layout, clock: clock, oldest: oldest}, Time}, nil
}

// ErrValue, for each layout in words.
var (
	errInteger = misfit("a whole number of 64 bits that is a time in the range of its layout")
	errSeconds = misfit("a number of seconds in the years 0001 to 9999")
	errDate    = misfit("a date such as 2006-01-02, from year 0001 to 9999")
	errStamp   = misfit("a time as RFC 3339 writes it, from year 0001 to 9999")
	errCompact = misfit("a date such as 20060102, from year 0001 to 9999")
)

type truncation struct {
	unit   Unit
	layout Layout
	clock  func() time.Time // of a birth year; nil otherwise
	oldest int
}

func (r truncation) append(dst, value []byte) ([]byte, error) {
	switch r.layout {
	case ISODate:
		d, ok := parseDate(value, false)
		if ok {
			d, ok = r.day(d)
		}
		if !ok {
			return dst, errDate
		}
		return appendDate(dst, d, '-'), nil
	case CompactDate:
		d, ok := parseDate(value, true)
		if ok {
			d, ok = r.day(d)
		}
		if !ok {
			return dst, errCompact
		}
		return appendDate(dst, d, 0), nil
	case RFC3339:
		return r.appendStamp(dst, value)
	case DecimalSeconds:
		seconds, _, _, ok := parseSeconds(value)
		if ok {
			seconds, ok = r.floor(seconds, secondsOfDay)
		}
		if !ok || !inYears(seconds) {
			return dst, errSeconds
		}
		return appendSeconds(dst, seconds, 0), nil
	case Days, Seconds, Millis, Micros, Nanos:
		n, ok := parseInteger(value)
		if ok {
			n, ok = r.floor(n, r.layout.perDay())
		}
		if !ok {
			return dst, errInteger
		}
		return strconv.AppendInt(dst, n, 10), nil
	default:
		return dst, ErrNoRule
	}
}

// day returns the first day of the unit that d lies in, and d itself where the
// unit is no longer than a day. It tells whether a text can hold that.
func (r truncation) day(d date) (date, bool) {
	switch r.unit {
	case Year:
		d.month, d.day = 1, 1
		if r.clock != nil {
			d.year = max(d.year, int64(r.clock().UTC().Year()-r.oldest))
		}
	case Month:
		d.day = 1
	default:
	}
	return d, d.year >= minYear && d.year <= maxYear
}

func (r truncation) appendStamp(dst, value []byte) ([]byte, error) {
	s, ok := parseStamp(value)
	if !ok {
		return dst, errStamp
	}
	hour, minute := 0, 0
	if r.unit >= Hour {
		hour = s.hour
	}
	if r.unit >= Minute {
		minute = s.minute
	}
	d, ok := r.day(s.date)
	if !ok {
		return dst, errStamp
	}
	dst = appendDate(dst, d, '-')
	dst = append(dst, 'T', digit(hour/10), digit(hour), ':', digit(minute/10), digit(minute), ':', '0', '0')
	return append(dst, s.offset...), nil
}

// floor returns the beginning of the unit that n lies in, where a day has perDay
// of what n counts, and tells whether it fits.
func (r truncation) floor(n, perDay int64) (int64, bool) {
	if seconds := r.unit.length(); seconds > 0 {
		length := perDay / secondsOfDay * seconds
		rest := n % length
		if rest < 0 {
			rest += length
		}
		return n - rest, n >= math.MinInt64+rest
	}
	days := floorDiv(n, perDay)
	if days < -maxDay || days > maxDay {
		return 0, false
	}
	d := dateOf(days)
	d.day = 1
	if r.unit == Year {
		d.month = 1
		if r.clock != nil {
			d.year = max(d.year, int64(r.clock().UTC().Year()-r.oldest))
		}
	}
	return product(d.epoch(), perDay)
}

// product returns a*b, and tells whether it fits. b is above zero.
func product(a, b int64) (int64, bool) {
	if a > math.MaxInt64/b || a < math.MinInt64/b {
		return 0, false
	}
	return a * b, true
}
