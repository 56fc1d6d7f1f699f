package mask

import (
	"math"
	"strconv"
)

// A date is a day of the proleptic Gregorian calendar.
type date struct {
	year       int64
	month, day int // from 1
}

// The calendar repeats after 400 years, which have this many days.
const daysOf400Years = 400*365 + 97

// maxDay bounds the days that dateOf takes, so that nothing overflows.
const maxDay = 1 << 50

// daysBefore returns how many days a year that begins in March has before the
// month that is so many months after March.
func daysBefore(month int) int { return (153*month + 2) / 5 }

// epoch returns the days from 1970-01-01 to d, which may be any day of a month
// whose year is within ±2^42.
func (d date) epoch() int64 {
	// Years that begin in March end with the day that leap years add.
	year, month := d.year, d.month-3
	if month < 0 {
		year--
		month += 12
	}
	cycle := floorDiv(year, 400)
	n := year - cycle*400
	const march1st = 719468 // days from 0000-03-01 to 1970-01-01
	return cycle*daysOf400Years + n*365 + n/4 - n/100 + int64(daysBefore(month)+d.day-1) - march1st
}

// dateOf returns the date that is so many days after 1970-01-01.
func dateOf(days int64) date {
	days += 719468
	cycle := floorDiv(days, daysOf400Years)
	n := days - cycle*daysOf400Years
	// The last days of 4, of 100 and of 400 years are leap days: without them all
	// years would be of one length.
	year := (n - n/1460 + n/36524 - n/146096) / 365
	rest := int(n - (year*365 + year/4 - year/100))
	month := (5*rest + 2) / 153
	d := date{year: cycle*400 + year, month: month + 3, day: rest - daysBefore(month) + 1}
	if d.month > 12 {
		d.month -= 12
		d.year++
	}
	return d
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if q*b > a {
		q--
	}
	return q
}

// The years that a text can hold.
const (
	minYear = 1
	maxYear = 9999
)

// valid tells whether d is a day of the calendar that a text can hold.
func (d date) valid() bool {
	return d.year >= minYear && d.year <= maxYear && d.month >= 1 && d.month <= 12 && d.day >= 1 && d.day <= d.monthLength()
}

func (d date) monthLength() int {
	switch d.month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if d.year%4 == 0 && (d.year%100 != 0 || d.year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// appendDate appends d, of which the year has at most four digits, with sep
// between the parts, or nothing when it is 0.
func appendDate(dst []byte, d date, sep byte) []byte {
	year := int(d.year)
	dst = append(dst, digit(year/1000), digit(year/100), digit(year/10), digit(year))
	if sep != 0 {
		dst = append(dst, sep)
	}
	dst = append(dst, digit(d.month/10), digit(d.month))
	if sep != 0 {
		dst = append(dst, sep)
	}
	return append(dst, digit(d.day/10), digit(d.day))
}

// digit returns the last decimal digit of n, which is not negative.
func digit(n int) byte { return "0123456789"[n%10] }

// number2 reads two digits at i of text, which is long enough. It returns -1
// when they are none.
func number2(text []byte, i int) int {
	if !isDigit(text[i]) || !isDigit(text[i+1]) {
		return -1
	}
	return int(text[i]-'0')*10 + int(text[i+1]-'0')
}

// parseDate reads a date of ten characters, or of eight when compact.
func parseDate(text []byte, compact bool) (d date, ok bool) {
	month, day := 5, 8
	if compact {
		month, day = 4, 6
	}
	if len(text) != day+2 || !compact && (text[4] != '-' || text[7] != '-') {
		return d, false
	}
	century, year := number2(text, 0), number2(text, 2)
	if century < 0 || year < 0 {
		return d, false
	}
	d = date{year: int64(century*100 + year), month: number2(text, month), day: number2(text, day)}
	return d, d.valid()
}

// A stamp is a time as RFC 3339 writes it, in its own offset.
type stamp struct {
	date
	hour, minute, second int
	rest                 []byte // behind the seconds: fraction and offset
	offset               []byte
}

// maxStamp bounds the digits of a fraction to a few more than nanoseconds.
const maxStamp = 64

func parseStamp(text []byte) (s stamp, ok bool) {
	if len(text) < len("2006-01-02T15:04:05Z") || len(text) > maxStamp {
		return s, false
	}
	if s.date, ok = parseDate(text[:10], false); !ok {
		return s, false
	}
	if text[10]|0x20 != 't' || text[13] != ':' || text[16] != ':' {
		return s, false
	}
	s.hour, s.minute, s.second = number2(text, 11), number2(text, 14), number2(text, 17)
	// RFC 3339 has leap seconds.
	if s.hour < 0 || s.hour > 23 || s.minute < 0 || s.minute > 59 || s.second < 0 || s.second > 60 {
		return s, false
	}
	s.rest = text[19:]
	s.offset = s.rest
	if s.rest[0] == '.' {
		digits, end := digitsAt(s.rest, 1)
		if len(digits) == 0 {
			return s, false
		}
		s.offset = s.rest[end:]
	}
	return s, isOffset(s.offset)
}

func isOffset(text []byte) bool {
	switch len(text) {
	case 1:
		return text[0]|0x20 == 'z'
	case 6:
		hour, minute := number2(text, 1), number2(text, 4)
		return (text[0] == '+' || text[0] == '-') && text[3] == ':' &&
			hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59
	default:
		return false
	}
}

// parseInteger reads a whole number of 64 bits, also one such as 1e3 or 5.0.
func parseInteger(text []byte) (int64, bool) {
	var d decimal
	if d.parse(text, 0) != fits || d.inexact || d.n > 2 || d.limbs[1] > 9 {
		return 0, false
	}
	units := d.limbs[1]*limbBase + d.limbs[0]
	switch {
	case d.negative && units <= -math.MinInt64:
		return -int64(units), true //nolint:gosec // the negative of 2^63 is itself
	case !d.negative && units <= math.MaxInt64:
		return int64(units), true
	default:
		return 0, false
	}
}

// inYears tells whether so many seconds after the epoch lie in the years 0001 to
// 9999.
func inYears(seconds int64) bool { return seconds >= -62_135_596_800 && seconds < 253_402_300_800 }

// parseSeconds reads seconds with a fraction, as whole seconds rounded down and
// the nanoseconds above that. exact is false when finer digits were cut off.
func parseSeconds(text []byte) (seconds, nanos int64, exact, ok bool) {
	const billion = 1_000_000_000
	var d decimal
	if d.parse(text, 9) != fits {
		return 0, 0, false, false
	}
	exact = !d.inexact
	if !d.floor() || d.n > 2 || d.limbs[1] >= 1000 {
		return 0, 0, false, false
	}
	seconds = int64(d.limbs[1]*billion + d.limbs[0]/billion) //nolint:gosec // 10^12 at most
	nanos = int64(d.limbs[0] % billion)
	if d.negative {
		seconds = -seconds
		if nanos > 0 {
			seconds--
			nanos = billion - nanos
		}
	}
	return seconds, nanos, exact, inYears(seconds)
}

// appendSeconds is the way back of parseSeconds.
func appendSeconds(dst []byte, seconds, nanos int64) []byte {
	const billion = 1_000_000_000
	if seconds < 0 {
		dst = append(dst, '-')
		if nanos > 0 {
			seconds++
			nanos = billion - nanos
		}
		seconds = -seconds
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	var fraction [10]byte
	fraction[0] = '.'
	for i := 9; i > 0; i-- {
		fraction[i] = digit(int(nanos % 10))
		nanos /= 10
	}
	return append(dst, fraction[:]...)
}
