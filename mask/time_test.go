package mask_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/mask"
)

func TestTruncateTime(t *testing.T) {
	tests := []struct {
		name   string
		unit   mask.Unit
		layout mask.Layout
		in     string
		want   string
	}{
		{"days to the year", mask.Year, mask.Days, "20000", "19723"},
		{"days before 1970 to the year", mask.Year, mask.Days, "-1", "-365"},
		{"the epoch", mask.Year, mask.Days, "0", "0"},
		{"days to the month", mask.Month, mask.Days, "-1", "-31"},
		{"a number with an exponent", mask.Year, mask.Days, "2e4", "19723"},
		{"a number with zeros behind the point", mask.Year, mask.Days, "20000.000", "19723"},
		{"days with a fraction", mask.Year, mask.Days, "20000.5", refuses},
		{"days beyond the calendar", mask.Year, mask.Days, "9223372036854775807", refuses},
		{"days before the calendar", mask.Year, mask.Days, "-9223372036854775808", refuses},
		{"days beyond 64 bits", mask.Year, mask.Days, "9223372036854775808", refuses},
		{"days far beyond 64 bits", mask.Year, mask.Days, "1e400", refuses},
		{"seconds to the day before 1970", mask.Day, mask.Seconds, "-1", "-86400"},
		{"seconds to the hour before 1970", mask.Hour, mask.Seconds, "-1", "-3600"},
		{"seconds to the minute at one", mask.Minute, mask.Seconds, "120", "120"},
		{"seconds of the largest number", mask.Minute, mask.Seconds, "9223372036854775807", "9223372036854775800"},
		{"seconds of the smallest number", mask.Minute, mask.Seconds, "-9223372036854775808", refuses},
		{"nanoseconds of the smallest number", mask.Hour, mask.Nanos, "-9223372036854775808", refuses},
		{"nanoseconds whose year begins too early", mask.Year, mask.Nanos, "-9223372036854775808", refuses},
		{"nanoseconds whose minute begins too early", mask.Minute, mask.Nanos, "-9223372036800000000", refuses},
		{"seconds are text", mask.Day, mask.Seconds, "2024-05-17", refuses},
		{"an empty number", mask.Day, mask.Seconds, "", refuses},
		{"decimal seconds", mask.Hour, mask.DecimalSeconds, "1700000000.123456789", "1699999200.000000000"},
		{"decimal seconds before 1970", mask.Minute, mask.DecimalSeconds, "-0.000000001", "-60.000000000"},
		{"decimal seconds without a fraction", mask.Minute, mask.DecimalSeconds, "61", "60.000000000"},
		{"finer than nanoseconds", mask.Minute, mask.DecimalSeconds, "-60.0000000000000000001", "-120.000000000"},
		{"seconds in year 1", mask.Year, mask.DecimalSeconds, "-62135596799.5", "-62135596800.000000000"},
		{"the last second of year 9999", mask.Minute, mask.DecimalSeconds, "253402300799.999999999", "253402300740.000000000"},
		{"the first second of year 10000", mask.Minute, mask.DecimalSeconds, "253402300800", refuses},
		{"before year 1", mask.Year, mask.DecimalSeconds, "-62135596800.000000001", refuses},
		{"too many seconds", mask.Year, mask.DecimalSeconds, "9223372036854775808", refuses},
		{"far too many seconds", mask.Year, mask.DecimalSeconds, "1e99", refuses},
		{"not a number of seconds", mask.Year, mask.DecimalSeconds, "NaN", refuses},
		{"a date to the year", mask.Year, mask.ISODate, "1987-05-14", "1987-01-01"},
		{"a date to the month", mask.Month, mask.ISODate, "1987-05-14", "1987-05-01"},
		{"a leap day", mask.Month, mask.ISODate, "2000-02-29", "2000-02-01"},
		{"no leap day in 1900", mask.Month, mask.ISODate, "1900-02-29", refuses},
		{"no leap day in 2023", mask.Year, mask.ISODate, "2023-02-29", refuses},
		{"the 31st of April", mask.Year, mask.ISODate, "1987-04-31", refuses},
		{"day zero", mask.Year, mask.ISODate, "1987-04-00", refuses},
		{"month zero", mask.Year, mask.ISODate, "1987-00-14", refuses},
		{"month 13", mask.Year, mask.ISODate, "1987-13-14", refuses},
		{"year zero", mask.Year, mask.ISODate, "0000-05-14", refuses},
		{"year 1", mask.Year, mask.ISODate, "0001-05-14", "0001-01-01"},
		{"year 9999", mask.Year, mask.ISODate, "9999-12-31", "9999-01-01"},
		{"a year of five digits", mask.Year, mask.ISODate, "10000-01-01", refuses},
		{"a year of two digits", mask.Year, mask.ISODate, "87-05-14", refuses},
		{"slashes", mask.Year, mask.ISODate, "1987/05/14", refuses},
		{"letters", mask.Year, mask.ISODate, "1987-May-1", refuses},
		{"a month with a sign", mask.Year, mask.ISODate, "1987-+5-14", refuses},
		{"a date with a time", mask.Year, mask.ISODate, "1987-05-14T00:00:00Z", refuses},
		{"a compact date", mask.Month, mask.CompactDate, "19870514", "19870501"},
		{"a compact date that cannot be", mask.Month, mask.CompactDate, "19870230", refuses},
		{"a compact date with hyphens", mask.Month, mask.CompactDate, "1987-05-14", refuses},
		{"a compact date with letters", mask.Month, mask.CompactDate, "19B70514", refuses},
		{"RFC 3339 to the minute", mask.Minute, mask.RFC3339, "2024-05-17T13:45:59.999999999Z", "2024-05-17T13:45:00Z"},
		{"RFC 3339 to the day of its offset", mask.Day, mask.RFC3339, "2024-05-17T00:30:00+02:00", "2024-05-17T00:00:00+02:00"},
		{"RFC 3339 to the month", mask.Month, mask.RFC3339, "2024-05-17T13:45:59-07:30", "2024-05-01T00:00:00-07:30"},
		{"RFC 3339 to the year", mask.Year, mask.RFC3339, "2024-05-17T13:45:59Z", "2024-01-01T00:00:00Z"},
		{"small letters", mask.Hour, mask.RFC3339, "2024-05-17t13:45:59z", "2024-05-17T13:00:00z"},
		{"a leap second", mask.Minute, mask.RFC3339, "2016-12-31T23:59:60Z", "2016-12-31T23:59:00Z"},
		{"a second too many", mask.Minute, mask.RFC3339, "2016-12-31T23:59:61Z", refuses},
		{"hour 24", mask.Day, mask.RFC3339, "2024-05-17T24:00:00Z", refuses},
		{"minute 60", mask.Day, mask.RFC3339, "2024-05-17T13:60:00Z", refuses},
		{"a date that cannot be, with a time", mask.Day, mask.RFC3339, "2024-06-31T13:00:00Z", refuses},
		{"no offset", mask.Day, mask.RFC3339, "2024-05-17T13:45:59", refuses},
		{"an offset without a colon", mask.Day, mask.RFC3339, "2024-05-17T13:45:59+0200", refuses},
		{"an offset of 24 hours", mask.Day, mask.RFC3339, "2024-05-17T13:45:59+24:00", refuses},
		{"an offset of 60 minutes", mask.Day, mask.RFC3339, "2024-05-17T13:45:59+01:60", refuses},
		{"an offset without a sign", mask.Day, mask.RFC3339, "2024-05-17T13:45:59 02:00", refuses},
		{"an offset of letters", mask.Day, mask.RFC3339, "2024-05-17T13:45:59+0a:00", refuses},
		{"a zone that is no Z", mask.Day, mask.RFC3339, "2024-05-17T13:45:59Y", refuses},
		{"a fraction without digits", mask.Day, mask.RFC3339, "2024-05-17T13:45:59.Z", refuses},
		{"a comma in front of the fraction", mask.Day, mask.RFC3339, "2024-05-17T13:45:59,5Z", refuses},
		{"a space for the T", mask.Day, mask.RFC3339, "2024-05-17 13:45:59Z", refuses},
		{"no seconds", mask.Day, mask.RFC3339, "2024-05-17T13:45Z", refuses},
		{"dots in the time", mask.Day, mask.RFC3339, "2024-05-17T13.45.59Z", refuses},
		{"a long fraction", mask.Day, mask.RFC3339, "2024-05-17T13:45:59." + strings.Repeat("1", 60) + "Z", refuses},
		{"an empty text", mask.Day, mask.RFC3339, "", refuses},
	}
	for _, tt := range tests {
		checkRule(t, must(t)(mask.TruncateTime(tt.unit, tt.layout)), []textCase{{tt.name, tt.in, tt.want}})
	}
}

func TestTimeRulesAreRefused(t *testing.T) {
	for _, layout := range mask.Layouts() {
		for _, unit := range mask.Units() {
			bare := layout == mask.Days || layout == mask.ISODate || layout == mask.CompactDate
			_, err := mask.TruncateTime(unit, layout)
			if hides := !bare || unit <= mask.Month; hides != (err == nil) {
				t.Errorf("%v to the %v: %v", layout, unit, err)
			}
		}
	}
	for name, make := range map[string]func() error{
		"no unit":                func() error { _, err := mask.TruncateTime(0, mask.Seconds); return err },
		"an unknown unit":        func() error { _, err := mask.TruncateTime(mask.Minute+1, mask.Seconds); return err },
		"no layout":              func() error { _, err := mask.TruncateTime(mask.Year, 0); return err },
		"an unknown layout":      func() error { _, err := mask.TruncateTime(mask.Year, mask.CompactDate+1); return err },
		"BirthYear, no layout":   func() error { _, err := mask.BirthYear(0, nil, 0); return err },
		"BirthYear, negative":    func() error { _, err := mask.BirthYear(mask.ISODate, nil, -1); return err },
		"BirthYear, unreachable": func() error { _, err := mask.BirthYear(mask.ISODate, nil, 201); return err },
		"Shift, no layout":       func() error { _, err := mask.NewShift(0); return err },
		"Shift, unknown layout":  func() error { _, err := mask.NewShift(mask.CompactDate + 1); return err },
	} {
		if make() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLayoutsHaveNames(t *testing.T) {
	for _, l := range mask.Layouts() {
		got, err := mask.LayoutNamed(l.String())
		if err != nil || got != l {
			t.Errorf("%v: %v, %v", l, got, err)
		}
	}
	_, err := mask.LayoutNamed("unknown")
	for _, l := range mask.Layouts() {
		if err == nil || !strings.Contains(err.Error(), l.String()) {
			t.Errorf("the error does not list %v: %v", l, err)
		}
	}
	words := map[string]bool{}
	for _, u := range append(mask.Units(), 0) {
		words[u.String()] = true
	}
	for _, k := range []mask.Kind{0, mask.Text, mask.Number, mask.Time} {
		words[k.String()] = true
	}
	if len(words) != 6+4 || mask.Layout(0).String() != "unknown" {
		t.Errorf("two words are the same: %v", words)
	}
}

func TestBirthYear(t *testing.T) {
	checkRule(t, must(t)(mask.BirthYear(mask.ISODate, noon2026, 0)), []textCase{
		{"a young person", "1987-05-14", "1987-01-01"},
		{"89 in any case", "1937-12-31", "1937-01-01"},
		{"90 this year", "1936-12-31", "1936-01-01"},
		{"91 this year", "1935-01-01", "1936-01-01"},
		{"very old", "1900-02-28", "1936-01-01"},
		{"year 1", "0001-01-01", "1936-01-01"},
		{"not yet born", "2030-05-05", "2030-01-01"},
		{"an impossible date", "1900-02-29", refuses},
	})
	checkRule(t, must(t)(mask.BirthYear(mask.Days, noon2026, 90)), []textCase{
		{"days", "-13000", "-12419"}, // 1934-05-30 and 1936-01-01
		{"young", "10000", "9862"},
	})
	checkRule(t, must(t)(mask.BirthYear(mask.RFC3339, noon2026, 100)), []textCase{
		{"another age", "1920-05-14T12:00:00.5+01:00", "1926-01-01T00:00:00+01:00"},
	})
	checkRule(t, must(t)(mask.BirthYear(mask.CompactDate, noon2026, 18)), []textCase{
		{"a small age", "19870514", "20080101"},
	})
	newYear := func() time.Time { return time.Date(2026, 12, 31, 20, 0, 0, 0, time.FixedZone("", -8*3600)) }
	checkRule(t, must(t)(mask.BirthYear(mask.ISODate, newYear, 90)), []textCase{
		{"the year of now is that of UTC", "1936-12-31", "1937-01-01"},
	})
	early := func() time.Time { return time.Date(20, 1, 1, 0, 0, 0, 0, time.UTC) }
	checkRule(t, must(t)(mask.BirthYear(mask.ISODate, early, 90)), []textCase{
		{"a clock before year 90", "0010-05-05", "0010-01-01"},
	})
	late := func() time.Time { return time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) }
	checkRule(t, must(t)(mask.BirthYear(mask.ISODate, late, 90)), []textCase{
		{"a clock beyond what a text holds", "1987-05-14", refuses},
	})
	checkRule(t, must(t)(mask.BirthYear(mask.DecimalSeconds, late, 90)), []textCase{
		{"a clock beyond what decimal seconds hold", "0.5", refuses},
	})
}

func TestShift(t *testing.T) {
	tests := []struct {
		name   string
		layout mask.Layout
		in     string
		days   int
		want   string
	}{
		{"a date over a leap day", mask.ISODate, "2024-02-28", 2, "2024-03-01"},
		{"a date back over a new year", mask.ISODate, "2024-01-01", -1, "2023-12-31"},
		{"a date by nothing", mask.ISODate, "2024-02-29", 0, "2024-02-29"},
		{"a compact date", mask.CompactDate, "20240228", 366, "20250228"},
		{"the first day back", mask.ISODate, "0001-01-01", -1, refuses},
		{"the last day forward", mask.ISODate, "9999-12-31", 1, refuses},
		{"from the first day to the last", mask.ISODate, "0001-01-01", 3652058, "9999-12-31"},
		{"by as much as there is", mask.ISODate, "2024-02-28", math.MaxInt, refuses},
		{"back by as much as there is", mask.CompactDate, "20240228", math.MinInt, refuses},
		{"RFC 3339 keeps time, fraction and offset", mask.RFC3339, "2024-02-28T23:59:59.120+02:00", 1, "2024-02-29T23:59:59.120+02:00"},
		{"a leap second stays where it is", mask.RFC3339, "2016-12-31T23:59:60Z", 1, refuses},
		{"RFC 3339 out of range", mask.RFC3339, "9999-12-31T00:00:00Z", 1, refuses},
		{"no date", mask.ISODate, "2024-02-30", 1, refuses},
		{"days", mask.Days, "-3", 5, "2"},
		{"seconds", mask.Seconds, "100", -1, "-86300"},
		{"milliseconds", mask.Millis, "1700000000123", 1, "1700086400123"},
		{"microseconds", mask.Micros, "1", 1, "86400000001"},
		{"nanoseconds", mask.Nanos, "1", 1, "86400000000001"},
		{"the largest number", mask.Days, "9223372036854775806", 1, "9223372036854775807"},
		{"beyond it", mask.Days, "9223372036854775807", 1, refuses},
		{"the smallest number", mask.Days, "-9223372036854775807", -1, "-9223372036854775808"},
		{"the smallest number by nothing", mask.Days, "-9223372036854775808", 0, "-9223372036854775808"},
		{"decimal seconds from before year 1", mask.DecimalSeconds, "-62135596800.5", 1, refuses},
		{"before it", mask.Days, "-9223372036854775808", -1, refuses},
		{"so many days have too many nanoseconds", mask.Nanos, "0", 106752, refuses},
		{"as many as fit", mask.Nanos, "0", 106751, "9223286400000000000"},
		{"back by too many", mask.Seconds, "0", math.MinInt, refuses},
		{"decimal seconds", mask.DecimalSeconds, "1.5", 1, "86401.500000000"},
		{"decimal seconds before 1970", mask.DecimalSeconds, "-0.25", 0, "-0.250000000"},
		{"decimal seconds over 1970", mask.DecimalSeconds, "-0.25", 1, "86399.750000000"},
		{"decimal seconds back over 1970", mask.DecimalSeconds, "0.25", -1, "-86399.750000000"},
		{"finer than nanoseconds", mask.DecimalSeconds, "0.0000000001", 1, refuses},
		{"decimal seconds beyond year 9999", mask.DecimalSeconds, "253402300799.5", 1, refuses},
		{"decimal seconds before year 1", mask.DecimalSeconds, "-62135596800", -1, refuses},
		{"decimal seconds by as much as there is", mask.DecimalSeconds, "0", math.MaxInt, refuses},
		{"no number", mask.Seconds, "now", 1, refuses},
		{"no seconds", mask.DecimalSeconds, "", 1, refuses},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := mask.NewShift(tt.layout)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Append([]byte("dst "), []byte(tt.in), tt.days)
			if tt.want == refuses {
				if !errors.Is(err, mask.ErrValue) || string(got) != "dst " {
					t.Fatalf("%q: %q, %v, want ErrValue", tt.in, got, err)
				}
				return
			}
			if err != nil || string(got) != "dst "+tt.want {
				t.Errorf("%q by %d days is %q, %v, want %q", tt.in, tt.days, got, err, tt.want)
			}
		})
	}
	var zero mask.Shift
	if got, err := zero.Append([]byte("dst"), []byte("\xff"), 1); !errors.Is(err, mask.ErrNoRule) || string(got) != "dst" {
		t.Errorf("the zero Shift: %q, %v", got, err)
	}
	s, err := mask.NewShift(mask.ISODate)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(nil, []byte("2024-01-0\xff"), 1); !errors.Is(err, mask.ErrNotText) {
		t.Errorf("no text: %v", err)
	}
}

// truncated is what package time makes of x.
func truncated(x time.Time, unit mask.Unit) time.Time {
	y, m, d := x.Date()
	h, n := x.Hour(), x.Minute()
	switch unit {
	case mask.Year:
		m, d, h, n = 1, 1, 0, 0
	case mask.Month:
		d, h, n = 1, 0, 0
	case mask.Day:
		h, n = 0, 0
	case mask.Hour:
		n = 0
	default:
	}
	return time.Date(y, m, d, h, n, 0, 0, x.Location())
}

// written is how a layout writes x, by package time and math/big.
func written(x time.Time, layout mask.Layout) string {
	floor := func(n, d int64) int64 {
		return new(big.Int).Div(big.NewInt(n), big.NewInt(d)).Int64()
	}
	switch layout {
	case mask.Days:
		return strconv.FormatInt(floor(x.Unix(), 86400), 10)
	case mask.Seconds:
		return strconv.FormatInt(x.Unix(), 10)
	case mask.Millis:
		return strconv.FormatInt(x.UnixMilli(), 10)
	case mask.Micros:
		return strconv.FormatInt(x.UnixMicro(), 10)
	case mask.Nanos:
		return strconv.FormatInt(x.UnixNano(), 10)
	case mask.DecimalSeconds:
		r := big.NewRat(x.Unix(), 1)
		return r.Add(r, big.NewRat(int64(x.Nanosecond()), 1e9)).FloatString(9)
	case mask.ISODate:
		return x.Format(time.DateOnly)
	case mask.CompactDate:
		return x.Format("20060102")
	default:
		return x.Format(time.RFC3339)
	}
}

func checkTime(t *testing.T, x time.Time, unit mask.Unit, layout mask.Layout, days int) {
	t.Helper()
	if layout != mask.RFC3339 {
		x = x.UTC()
	}
	in := written(x, layout)
	if rule, err := mask.TruncateTime(unit, layout); err == nil {
		got, err := rule.Append(nil, []byte(in))
		if want := written(truncated(x, unit), layout); err != nil || string(got) != want {
			t.Fatalf("%s as %v to the %v is %q, %v, want %q", in, layout, unit, got, err, want)
		}
	}
	s, err := mask.NewShift(layout)
	if err != nil {
		t.Fatal(err)
	}
	moved := x.AddDate(0, 0, days)
	got, err := s.Append(nil, []byte(in), days)
	if (layout.Text() || layout == mask.DecimalSeconds) && (moved.Year() < 1 || moved.Year() > 9999) {
		if err == nil {
			t.Fatalf("%s moved by %d days is %q", in, days, got)
		}
		return
	}
	if want := written(moved, layout); err != nil || string(got) != want {
		t.Fatalf("%s as %v by %d days is %q, %v, want %q", in, layout, days, got, err, want)
	}
}

func TestTimesAgainstPackageTime(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 100000 {
		layout := mask.Layouts()[random.IntN(9)]
		first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
		most := 4000000
		if layout == mask.Nanos {
			first, last = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
			most = 7000
		}
		x := time.Unix(first+86400+random.Int64N(last-first-2*86400), random.Int64N(1e9))
		x = x.In(time.FixedZone("", 60*(random.IntN(2*14*60)-14*60)))
		if random.IntN(4) == 0 {
			x = truncated(x, mask.Units()[random.IntN(5)]) // the edges
		}
		checkTime(t, x, mask.Units()[random.IntN(5)], layout, random.IntN(2*most)-most)
	}
}

// Every day of 400 years, which is all that the calendar has, on both sides of
// the epoch.
func TestEveryDay(t *testing.T) {
	year, month := must(t)(mask.TruncateTime(mask.Year, mask.Days)), must(t)(mask.TruncateTime(mask.Month, mask.Days))
	day := func(x time.Time) string { return strconv.FormatInt(x.Unix()/86400, 10) }
	for n := -146097; n <= 146097; n++ {
		x := time.Unix(int64(n)*86400, 0).UTC()
		in := []byte(strconv.Itoa(n))
		got, err := year.Append(nil, in)
		if want := day(truncated(x, mask.Year)); err != nil || string(got) != want {
			t.Fatalf("the year of day %d is %s, %v, want %s", n, got, err, want)
		}
		got, err = month.Append(nil, in)
		if want := day(truncated(x, mask.Month)); err != nil || string(got) != want {
			t.Fatalf("the month of day %d is %s, %v, want %s", n, got, err, want)
		}
	}
}

var rfc3339Shape = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]([01]\d|2[0-3]):[0-5]\d)$`)

// Which texts are dates and times is what package time says, but for what only
// RFC 3339 allows.
func FuzzTime(f *testing.F) {
	for _, text := range []string{
		"2024-05-17T13:45:12.123+02:00", "2016-12-31T23:59:60Z", "1987-02-29", "19870514", "1700000000", "-1.5", "0000-01-01", "2024-05-17t13:45:12z",
	} {
		f.Add(text, 1)
	}
	f.Fuzz(func(t *testing.T, text string, days int) {
		for _, tt := range []struct {
			layout mask.Layout
			form   string
		}{{mask.ISODate, time.DateOnly}, {mask.CompactDate, "20060102"}, {mask.RFC3339, time.RFC3339}} {
			s, err := mask.NewShift(tt.layout)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Append(nil, []byte(text), days)
			upper := strings.ToUpper(text)
			x, fault := time.Parse(tt.form, upper)
			good := fault == nil && x.Year() > 0 && len(text) <= 64
			if tt.layout == mask.RFC3339 && !rfc3339Shape.MatchString(upper) {
				good = false // package time is lenient here
			}
			if err == nil && !good {
				t.Fatalf("%q by %d days is %q, and package time says %v", text, days, got, fault)
			}
			if !good || days < -4000000 || days > 4000000 {
				continue
			}
			moved := x.AddDate(0, 0, days)
			if moved.Year() < 1 || moved.Year() > 9999 {
				if err == nil {
					t.Fatalf("%q by %d days is %q", text, days, got)
				}
				continue
			}
			want := moved.Format(tt.form)
			if tt.layout == mask.RFC3339 {
				want = moved.Format(time.DateOnly) + text[10:]
			}
			if err != nil || string(got) != want {
				t.Fatalf("%q by %d days is %q, %v, want %q", text, days, got, err, want)
			}
		}
		for _, layout := range mask.Layouts() {
			s, err := mask.NewShift(layout)
			if err != nil {
				t.Fatal(err)
			}
			there, err := s.Append(nil, []byte(text), days)
			if err != nil || days == math.MinInt {
				continue
			}
			back, err := s.Append(nil, there, -days)
			if err != nil {
				t.Fatalf("%v: %q went to %q, and not back: %v", layout, text, there, err)
			}
			again, err := s.Append(nil, back, days)
			if err != nil || !bytes.Equal(again, there) {
				t.Fatalf("%v: %q went to %q, back to %q and then to %q", layout, text, there, back, again)
			}
		}
	})
}
