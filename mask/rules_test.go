package mask_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/mask"
)

// A sample is a rule beside a value that it is typically used for.
type sample struct {
	name  string
	rule  mask.Rule
	value string
	want  string
	takes mask.Kind
	// again is true when a rule leaves what it wrote as it is.
	again bool
	// whole is true when every value of the kind fits.
	whole bool
}

func must(tb testing.TB) func(mask.Rule, error) mask.Rule {
	tb.Helper()
	return func(r mask.Rule, err error) mask.Rule {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return r
	}
}

func noon2026() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// samples returns every rule but Replace at least once: those of Named first.
func samples(tb testing.TB) []sample {
	tb.Helper()
	ok := must(tb)
	named := func(name string) mask.Rule { return ok(mask.Named(name)) }
	return []sample{
		{name: "redact", rule: named("redact"), value: "Žofie Nováková", want: "**************", again: true, whole: true},
		{name: "redact/8", rule: named("redact/8"), value: "correct horse battery staple", want: "********", again: true, whole: true},
		{name: "redacted", rule: named("redacted"), value: "correct horse battery staple", want: "[redacted]", again: true, whole: true},
		{name: "card", rule: named("card"), value: "4111111111111111", want: "411111******1111"},
		{name: "card-first6-last4", rule: named("card-first6-last4"), value: "4111 1111 1111 1111", want: "4111 11** **** 1111"},
		{name: "card-first8-last4", rule: named("card-first8-last4"), value: "4111111111111111", want: "41111111****1111"},
		{name: "card-last4", rule: named("card-last4"), value: "4111-1111-1111-1111", want: "****-****-****-1111"},
		{name: "email", rule: named("email"), value: "johannes.kepler@astronomy.example", want: "****@astronomy.example", again: true},
		{name: "email-first", rule: named("email-first"), value: "johannes@astronomy.example", want: "j***@astronomy.example", again: true},
		{name: "email-tld", rule: named("email-tld"), value: "johannes@astronomy.example", want: "****@****.example"},
		{name: "phone", rule: named("phone"), value: "+420 777 123 456", want: "+420 *** *** *56"},
		{name: "phone/4", rule: named("phone/4"), value: "(020) 7946 0018", want: "(***) **** 0018"},
		{name: "iban", rule: named("iban"), value: "GB82 WEST 1234 5698 7654 32", want: "GB** **** **** **** **54 32"},
		{name: "ssn", rule: named("ssn"), value: "123-45-6789", want: "***-**-6789"},
		{name: "initials", rule: named("initials"), value: "Johannes van der Berg", want: "J. v. d. B.", again: true},
		{name: "ip/24", rule: named("ip/24"), value: "203.0.113.77", want: "203.0.113.0", again: true},
		{name: "ip/24,48", rule: named("ip/24,48"), value: "2001:db8:85a3::8a2e:370:7334", want: "2001:db8:85a3::", again: true},
		{name: "cidr/24", rule: named("cidr/24"), value: "203.0.113.77", want: "203.0.113.0/24"},
		{name: "cidr/24,48", rule: named("cidr/24,48"), value: "2001:db8:85a3::8a2e:370:7334", want: "2001:db8:85a3::/48"},
		{name: "mac", rule: named("mac"), value: "00:1b:63:84:45:e6", want: "00:1b:63:**:**:**"},
		{name: "url", rule: named("url"), value: "https://me@a.example/b?q=x&id=7", want: "https://a.example/b?q=***&id=***", again: true},
		{name: "url-origin", rule: named("url-origin"), value: "https://a.example/b?q=x&id=7#top", want: "https://a.example", again: true},
		{name: "uuid", rule: named("uuid"), value: "f81d4fae-7dec-41d0-a765-00a0c91e6bf6", want: "********-****-4***-****-********6bf6"},
		{name: "zip3", rule: named("zip3"), value: "90210-1234", want: "902**"},
		{name: "geo/0.01", rule: named("geo/0.01"), value: "50.087512,14.421389", want: "50.09,14.42", again: true},

		{name: "Keep", rule: ok(mask.Keep(2, 2)), value: "Příliš žluťoučký kůň", want: "Př****************ůň", again: true, whole: true},
		{name: "Keep with separators", rule: ok(mask.Keep(1, 2, mask.WithSeparators("-/"))), value: "AB-1234/567890", want: "A*-****/****90", again: true, whole: true},
		{name: "Keep with a wide fill", rule: ok(mask.Keep(1, 1, mask.WithFill('•'))), value: "Johannes van der Berg", want: "J•••••••••••••••••••g", again: true, whole: true},
		{name: "Card with a wide fill", rule: ok(mask.Card(mask.CardLast4, mask.WithFill('•'))), value: "4111 1111 1111 1111", want: "•••• •••• •••• 1111"},
		{name: "Bucket as range", rule: ok(mask.Bucket("10", "0", mask.AsRange())), value: "37", want: "30-39"},
		{name: "TopCode as range", rule: ok(mask.TopCode("90", mask.AsRange())), value: "97", want: "90+"},

		{name: "Bucket", rule: ok(mask.Bucket("2500", "0")), value: "41234.56", want: "40000", takes: mask.Number, again: true},
		{name: "Bucket of 40 digits", rule: ok(mask.Bucket("1000", "0")), value: "1234567890123456789012345678901234567890", want: "1234567890123456789012345678901234567000", takes: mask.Number, again: true},
		{name: "Round", rule: ok(mask.Round(-3)), value: "-1234567.891", want: "-1235000", takes: mask.Number, again: true},
		{name: "TopCode", rule: ok(mask.TopCode("90")), value: "97", want: "90", takes: mask.Number, again: true},
		{name: "BottomCode", rule: ok(mask.BottomCode("18")), value: "11.5", want: "18", takes: mask.Number, again: true},
		{name: "Grid", rule: ok(mask.Grid("0.05")), value: "50.087512", want: "50.1", takes: mask.Number, again: true},

		{name: "Year of days", rule: ok(mask.TruncateTime(mask.Year, mask.Days)), value: "20000", want: "19723", takes: mask.Time, again: true},
		{name: "Hour of seconds", rule: ok(mask.TruncateTime(mask.Hour, mask.Seconds)), value: "1700000000", want: "1699999200", takes: mask.Time, again: true},
		{name: "Month of millis", rule: ok(mask.TruncateTime(mask.Month, mask.Millis)), value: "1700000000123", want: "1698796800000", takes: mask.Time, again: true},
		{name: "Day of micros", rule: ok(mask.TruncateTime(mask.Day, mask.Micros)), value: "1700000000123456", want: "1699920000000000", takes: mask.Time, again: true},
		{name: "Minute of nanos", rule: ok(mask.TruncateTime(mask.Minute, mask.Nanos)), value: "1700000000123456789", want: "1699999980000000000", takes: mask.Time, again: true},
		{name: "Day of decimal seconds", rule: ok(mask.TruncateTime(mask.Day, mask.DecimalSeconds)), value: "1700000000.123456789", want: "1699920000.000000000", takes: mask.Time, again: true},
		{name: "Year of an ISO date", rule: ok(mask.TruncateTime(mask.Year, mask.ISODate)), value: "1987-05-14", want: "1987-01-01", takes: mask.Time, again: true},
		{name: "Hour of RFC 3339", rule: ok(mask.TruncateTime(mask.Hour, mask.RFC3339)), value: "2024-05-17T13:45:12.123+02:00", want: "2024-05-17T13:00:00+02:00", takes: mask.Time, again: true},
		{name: "Month of a compact date", rule: ok(mask.TruncateTime(mask.Month, mask.CompactDate)), value: "19870514", want: "19870501", takes: mask.Time, again: true},
		{name: "BirthYear", rule: ok(mask.BirthYear(mask.ISODate, noon2026, 90)), value: "1931-05-14", want: "1936-01-01", takes: mask.Time, again: true},
		{name: "BirthYear by the real clock", rule: ok(mask.BirthYear(mask.Days, nil, 0)), value: "10957", want: "10957", takes: mask.Time, again: true},
	}
}

// kind is what the sample's rule takes: Text unless it says otherwise.
func (s sample) kind() mask.Kind {
	if s.takes == 0 {
		return mask.Text
	}
	return s.takes
}

func replacement(tb testing.TB) mask.Rule {
	tb.Helper()
	return must(tb)(mask.Replace(regexp.MustCompile(`\d{3}-\d{2}-\d{4}`), "[ssn]"))
}

func TestEveryRuleDoesWhatItsSampleSays(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			value := []byte(s.value)
			got, err := s.rule.Append([]byte("before "), value)
			if err != nil {
				t.Fatal(err)
			}
			if want := "before " + s.want; string(got) != want {
				t.Errorf("%q becomes %q, want %q", s.value, got, want)
			}
			if string(value) != s.value {
				t.Errorf("the value was changed to %q", value)
			}
			if s.rule.Takes() != s.kind() {
				t.Errorf("takes %v, want %v", s.rule.Takes(), s.kind())
			}
		})
	}
}
