package mask_test

import (
	"fmt"
	"regexp"
	"time"

	"github.com/fieldveil/fieldveil/mask"
)

// show prints what a rule makes of values, each on a line of its own.
func show(rule mask.Rule, err error, values ...string) {
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, value := range values {
		out, err := rule.Append(nil, []byte(value))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(string(out))
	}
}

func ExampleKeep() {
	rule, err := mask.Keep(0, 4)
	show(rule, err, "4111 1111 1111 1111")
	// Output: ***************1111
}

func ExampleWithFill() {
	rule, err := mask.Keep(1, 0, mask.WithFill('•'))
	show(rule, err, "Žofie")
	// Output: Ž••••
}

func ExampleWithSeparators() {
	rule, err := mask.Keep(2, 2, mask.WithSeparators("-"))
	show(rule, err, "AB-1234-567", "AB-12")
	// Output:
	// AB-****-*67
	// **-**
}

// A value that is no longer than the part to keep is hidden whole, and one that
// does not fit is refused.
func ExampleRule_Append() {
	rule, err := mask.Keep(2, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	dst := make([]byte, 0, 64)
	for _, value := range []string{"Johannes", "Anna", "\xff"} {
		dst, err = rule.Append(dst[:0], []byte(value))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(dst))
	}
	// Output:
	// Jo****es
	// ****
	// mask: value is not UTF-8 text
}

func ExampleRule_Takes() {
	for _, name := range []string{"card", "geo/0.01"} {
		rule, err := mask.Named(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(rule.Takes())
	}
	rule, err := mask.TopCode("90")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rule.Takes())
	// Output:
	// text
	// text
	// number
}

func ExampleRedact() {
	rule, err := mask.Redact()
	show(rule, err, "secret")
	// Output: ******
}

func ExampleRedactTo() {
	rule, err := mask.RedactTo(4)
	show(rule, err, "secret", "")
	// Output:
	// ****
	// ****
}

func ExampleConstant() {
	rule, err := mask.Constant("[redacted]")
	show(rule, err, "secret")
	// Output: [redacted]
}

func ExampleCard() {
	rule, err := mask.Card(mask.CardFirst6Last4)
	show(rule, err, "4111 1111 1111 1111", "378282246310005", "unknown")
	// Output:
	// 4111 11** **** 1111
	// 378282*****0005
	// mask: value does not fit the rule: not a card number of 12 to 19 digits
}

func ExampleEmail() {
	for _, form := range []mask.EmailForm{mask.EmailDomain, mask.EmailFirst, mask.EmailTLD} {
		rule, err := mask.Email(form)
		show(rule, err, "alice@example.com")
	}
	// Output:
	// ****@example.com
	// a***@example.com
	// ****@****.com
}

func ExamplePhone() {
	rule, err := mask.Phone(2)
	show(rule, err, "+420 777 123 456", "020 7946 0018")
	// Output:
	// +420 *** *** *56
	// *** **** **18
}

func ExampleIBAN() {
	rule, err := mask.IBAN()
	show(rule, err, "GB82 WEST 1234 5698 7654 32")
	// Output: GB** **** **** **** **54 32
}

func ExampleSSN() {
	rule, err := mask.SSN()
	show(rule, err, "123-45-6789", "123456789")
	// Output:
	// ***-**-6789
	// *****6789
}

func ExampleInitials() {
	rule, err := mask.Initials()
	show(rule, err, "Johannes van der Berg", "J. P. Morgan", "Malcolm X")
	// Output:
	// J. v. d. B.
	// J. P. M.
	// M. *.
}

func ExampleIPPrefix() {
	rule, err := mask.IPPrefix(24, 48)
	show(rule, err, "203.0.113.77", "2001:db8:85a3::8a2e:370:7334")
	// Output:
	// 203.0.113.0
	// 2001:db8:85a3::
}

func ExampleIPNetwork() {
	rule, err := mask.IPNetwork(24, 48)
	show(rule, err, "203.0.113.77", "2001:db8:85a3::8a2e:370:7334")
	// Output:
	// 203.0.113.0/24
	// 2001:db8:85a3::/48
}

func ExampleMAC() {
	rule, err := mask.MAC()
	show(rule, err, "00:1b:63:84:45:e6", "da:a1:19:00:00:01")
	// Output:
	// 00:1b:63:**:**:**
	// **:**:**:**:**:**
}

func ExampleUUID() {
	rule, err := mask.UUID()
	show(rule, err, "f81d4fae-7dec-41d0-a765-00a0c91e6bf6")
	// Output: ********-****-4***-****-********6bf6
}

func ExampleURL() {
	for _, form := range []mask.URLForm{mask.URLPath, mask.URLOrigin} {
		rule, err := mask.URL(form)
		show(rule, err, "https://me:pw@shop.example/cart?id=7&alice#pay")
	}
	// Output:
	// https://shop.example/cart?id=***&***#***
	// https://shop.example
}

func ExampleReplace() {
	rule, err := mask.Replace(regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`), "[ssn]")
	show(rule, err, "My number is 123-45-6789, call me.", "Nothing to find here.")
	// Output:
	// My number is [ssn], call me.
	// Nothing to find here.
}

func ExampleZIP3() {
	rule, err := mask.ZIP3(mask.SafeHarborZIPs())
	show(rule, err, "90210-1234", "03601")
	// Output:
	// 902**
	// 000**
}

func ExampleSafeHarborZIPs() {
	table := mask.SafeHarborZIPs()
	fmt.Println(len(table.Small), "areas:", table.AsOf)
	// Output: 17 areas: 2000 census, HHS guidance of 2012-11-26
}

func ExampleGeoPair() {
	rule, err := mask.GeoPair("0.01")
	show(rule, err, "50.087512, 14.421389")
	// Output: 50.09, 14.42
}

func ExampleBucket() {
	rule, err := mask.Bucket("10", "0")
	show(rule, err, "37", "-1", "39.9")
	// Output:
	// 30
	// -10
	// 30
}

func ExampleAsRange() {
	rule, err := mask.Bucket("10", "0", mask.AsRange(), mask.WithTop("90"))
	show(rule, err, "37", "97")
	// Output:
	// 30-39
	// 90+
}

func ExampleWithTop() {
	rule, err := mask.Round(-3, mask.WithTop("200000"))
	show(rule, err, "41234.56", "1250000")
	// Output:
	// 41000
	// 200000
}

func ExampleWithBottom() {
	rule, err := mask.Bucket("20", "18", mask.WithBottom("18"))
	show(rule, err, "11", "40")
	// Output:
	// 18
	// 38
}

func ExampleRound() {
	rule, err := mask.Round(1)
	show(rule, err, "36.649", "-0.05")
	// Output:
	// 36.6
	// -0.1
}

func ExampleGrid() {
	rule, err := mask.Grid("0.05")
	show(rule, err, "50.087512")
	// Output: 50.1
}

func ExampleTopCode() {
	rule, err := mask.TopCode("90")
	show(rule, err, "37", "97")
	// Output:
	// 37
	// 90
}

func ExampleBottomCode() {
	rule, err := mask.BottomCode("18")
	show(rule, err, "37", "11")
	// Output:
	// 37
	// 18
}

func ExampleTruncateTime() {
	rule, err := mask.TruncateTime(mask.Month, mask.ISODate)
	show(rule, err, "1987-05-14", "1987-02-30")
	rule, err = mask.TruncateTime(mask.Day, mask.RFC3339)
	show(rule, err, "2026-05-17T00:30:00.5+02:00")
	rule, err = mask.TruncateTime(mask.Hour, mask.Millis)
	show(rule, err, "1700000000123")
	// Output:
	// 1987-05-01
	// mask: value does not fit the rule: not a date such as 2006-01-02, from year 0001 to 9999
	// 2026-05-17T00:00:00+02:00
	// 1699999200000
}

func ExampleBirthYear() {
	clock := func() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) }
	rule, err := mask.BirthYear(mask.ISODate, clock, 90)
	show(rule, err, "1987-05-14", "1931-05-14")
	// Output:
	// 1987-01-01
	// 1936-01-01
}

func ExampleShift_Append() {
	shift, err := mask.NewShift(mask.RFC3339)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, value := range []string{"2024-02-27T08:15:00Z", "2024-03-01T08:15:00Z"} {
		out, err := shift.Append(nil, []byte(value), -9)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(out))
	}
	// Output:
	// 2024-02-18T08:15:00Z
	// 2024-02-21T08:15:00Z
}

func ExampleNewShift() {
	shift, err := mask.NewShift(mask.Days)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := shift.Append(nil, []byte("20000"), 30)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(out))
	// Output: 20030
}

func ExampleLayoutNamed() {
	layout, err := mask.LayoutNamed("iso-date")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(layout, layout.Text())
	// Output: iso-date true
}

func ExampleLayouts() {
	for _, layout := range mask.Layouts() {
		fmt.Print(layout, " ")
	}
	// Output: days seconds millis micros nanos decimal-seconds iso-date rfc3339 compact-date
}

func ExampleUnits() {
	for _, unit := range mask.Units() {
		fmt.Print(unit, " ")
	}
	// Output: year month day hour minute
}

func ExampleNamed() {
	rule, err := mask.Named("ip/24,48")
	show(rule, err, "203.0.113.77")
	// Output: 203.0.113.0
}

func ExampleNames() {
	fmt.Println(mask.Names()[:4])
	// Output: [redact redact/8 redacted card]
}
