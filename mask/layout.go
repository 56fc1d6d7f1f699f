package mask

import (
	"fmt"
	"strings"
)

// Layout says how a time is written. In the integer layouts it is a whole number
// as JSON writes it, counted from 1970-01-01T00:00:00Z without leap seconds. The
// calendar is the proleptic Gregorian one.
type Layout uint8

// The layouts.
const (
	Days           Layout = iota + 1 // days since 1970-01-01
	Seconds                          // seconds since the epoch
	Millis                           // milliseconds since the epoch
	Micros                           // microseconds since the epoch
	Nanos                            // nanoseconds since the epoch
	DecimalSeconds                   // seconds since the epoch with a fraction, years 0001 to 9999; written with nine digits behind the point
	ISODate                          // 2006-01-02, years 0001 to 9999
	RFC3339                          // 2006-01-02T15:04:05.999+01:00, the same years; the offset stays
	CompactDate                      // 20060102, the same years
)

// Layouts returns all layouts.
func Layouts() []Layout {
	return []Layout{Days, Seconds, Millis, Micros, Nanos, DecimalSeconds, ISODate, RFC3339, CompactDate}
}

// LayoutNamed returns the layout of which name is the String. The error lists
// all of them.
func LayoutNamed(name string) (Layout, error) {
	known := make([]string, 0, len(Layouts()))
	for _, l := range Layouts() {
		if l.String() == name {
			return l, nil
		}
		known = append(known, l.String())
	}
	return 0, fmt.Errorf("mask: unknown layout; known are %s", strings.Join(known, ", "))
}

// String returns the word for l, such as "millis" or "iso-date".
func (l Layout) String() string {
	switch l {
	case Days:
		return "days"
	case Seconds:
		return "seconds"
	case Millis:
		return "millis"
	case Micros:
		return "micros"
	case Nanos:
		return "nanos"
	case DecimalSeconds:
		return "decimal-seconds"
	case ISODate:
		return "iso-date"
	case RFC3339:
		return "rfc3339"
	case CompactDate:
		return "compact-date"
	default:
		return "unknown"
	}
}

// Text tells whether times of this layout stand in text. The others are numbers.
func (l Layout) Text() bool { return l == ISODate || l == RFC3339 || l == CompactDate }

// bare tells whether the layout holds dates without a time of day.
func (l Layout) bare() bool { return l == Days || l == ISODate || l == CompactDate }

func (l Layout) check() error {
	if l < Days || l > CompactDate {
		return fmt.Errorf("mask: unknown layout %d", l)
	}
	return nil
}

// perDay returns how many units of an integer layout a day has, and 0 for the
// others.
func (l Layout) perDay() int64 {
	switch l {
	case Days:
		return 1
	case Seconds:
		return secondsOfDay
	case Millis:
		return secondsOfDay * 1e3
	case Micros:
		return secondsOfDay * 1e6
	case Nanos:
		return secondsOfDay * 1e9
	default:
		return 0
	}
}

const secondsOfDay = 24 * 60 * 60
