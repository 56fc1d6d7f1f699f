package mask

import (
	"errors"
	"math"
	"strconv"
)

// A Shift moves times by whole days, so that the time of day stays, and so do the
// intervals between times that are moved alike. It is immutable and safe for
// concurrent use. The zero Shift refuses every value.
//
// By how many days is the caller's to decide, and to keep secret: whoever knows
// it for one time, knows it for all that were moved alike.
type Shift struct{ layout Layout }

// NewShift returns the Shift for times of the layout. It fails for an unknown
// one.
func NewShift(layout Layout) (Shift, error) {
	if err := layout.check(); err != nil {
		return Shift{}, err
	}
	return Shift{layout}, nil
}

// Append appends value, moved by so many days, to dst and returns the longer
// slice. It has the layout of value, also the offset and the digits of its
// fraction; an integer is written out.
//
// On an error, which is [ErrNotText], [ErrValue] or [ErrNoRule], the result is
// dst as it was. ErrValue also means that the moved time is out of range: outside
// of the years 0001 to 9999 in a text or in decimal seconds, or of 64 bits in an
// integer. A leap second
// cannot be moved. value is neither changed nor kept, and the room behind the
// length of dst must not overlap it. Nothing is allocated when dst has the room.
func (s Shift) Append(dst, value []byte, days int) ([]byte, error) {
	out, err := s.move(dst, value, int64(days))
	if err == nil {
		return out, nil
	}
	if errors.Is(err, ErrNoRule) {
		return dst, err
	}
	return dst, refusal(err, value)
}

func (s Shift) move(dst, value []byte, days int64) ([]byte, error) {
	switch s.layout {
	case ISODate:
		d, ok := parseDate(value, false)
		if ok {
			d, ok = d.moved(days)
		}
		if !ok {
			return dst, errDate
		}
		return appendDate(dst, d, '-'), nil
	case CompactDate:
		d, ok := parseDate(value, true)
		if ok {
			d, ok = d.moved(days)
		}
		if !ok {
			return dst, errCompact
		}
		return appendDate(dst, d, 0), nil
	case RFC3339:
		t, ok := parseStamp(value)
		if ok && t.second < 60 {
			t.date, ok = t.moved(days)
		}
		if !ok || t.second == 60 {
			return dst, errStamp
		}
		dst = appendDate(dst, t.date, '-')
		return append(dst, value[10:]...), nil
	case DecimalSeconds:
		seconds, nanos, exact, ok := parseSeconds(value)
		if ok {
			seconds, ok = moved(seconds, days, secondsOfDay)
		}
		if !ok || !exact || !inYears(seconds) {
			return dst, errSeconds
		}
		return appendSeconds(dst, seconds, nanos), nil
	case Days, Seconds, Millis, Micros, Nanos:
		n, ok := parseInteger(value)
		if ok {
			n, ok = moved(n, days, s.layout.perDay())
		}
		if !ok {
			return dst, errInteger
		}
		return strconv.AppendInt(dst, n, 10), nil
	default:
		return dst, ErrNoRule
	}
}

// moved returns d moved by so many days, and tells whether a text can hold that.
func (d date) moved(days int64) (date, bool) {
	const most = (maxYear + 1) * 366
	if days < -most || days > most {
		return d, false
	}
	d = dateOf(d.epoch() + days)
	return d, d.year >= minYear && d.year <= maxYear
}

// moved returns n moved by so many days of perDay units, and tells whether it
// fits.
func moved(n, days, perDay int64) (int64, bool) {
	by, ok := product(days, perDay)
	if !ok || by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		return 0, false
	}
	return n + by, true
}
