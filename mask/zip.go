package mask

import (
	"errors"
	"fmt"
)

// A ZIPTable says which areas of the United States, named by the first three
// digits of their ZIP codes, have too few people to be named.
type ZIPTable struct {
	// AsOf says when and by whom the people were counted, for readers.
	AsOf string
	// Small lists the areas, each as three digits.
	Small []string
}

// SafeHarborZIPs returns the table of the areas of 20,000 people or fewer that
// the guidance of the Department of Health and Human Services on de-identifying
// health data (HIPAA, 45 CFR 164.514(b)(2)(i)(B)) lists, from the census of 2000.
// The rule itself speaks of the current census: hand in a later table when one
// is published.
func SafeHarborZIPs() ZIPTable {
	return ZIPTable{
		AsOf: "2000 census, HHS guidance of 2012-11-26",
		Small: []string{
			"036", "059", "063", "102", "203", "556", "692", "790", "821",
			"823", "830", "831", "878", "879", "884", "890", "893",
		},
	}
}

// ZIP3 returns the Text rule for ZIP codes of the United States, of five digits
// or nine, with or without a hyphen before the last four. It writes the first
// three digits, or 000 for an area in the table, and two fill characters: 902**.
// The option is [WithFill].
func ZIP3(t ZIPTable, opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	if t.AsOf == "" {
		return Rule{}, errors.New("mask: a ZIP table needs its date in AsOf")
	}
	r := &zip3{fill: fill}
	for _, area := range t.Small {
		if len(area) != 3 || !isDigit(area[0]) || !isDigit(area[1]) || !isDigit(area[2]) {
			return Rule{}, fmt.Errorf("mask: ZIP area %q is not three digits", area)
		}
		n := areaNumber([]byte(area))
		r.small[n>>6] |= 1 << (n & 63)
	}
	return Rule{r, Text}, nil
}

var errZIP = misfit("a ZIP code of five or nine digits")

type zip3 struct {
	fill  rune
	small [16]uint64 // a bit for each area, 000 to 999
}

func (r *zip3) append(dst, value []byte) ([]byte, error) {
	switch len(value) {
	case 5, 9:
	case 10:
		if value[5] != '-' {
			return dst, errZIP
		}
	default:
		return dst, errZIP
	}
	for i, b := range value {
		if !isDigit(b) && (len(value) != 10 || i != 5) {
			return dst, errZIP
		}
	}
	n := areaNumber(value)
	if r.small[n>>6]>>(n&63)&1 != 0 {
		dst = append(dst, "000"...)
	} else {
		dst = append(dst, value[:3]...)
	}
	return appendFills(dst, r.fill, 2), nil
}

func areaNumber(digits []byte) int {
	return int(digits[0]-'0')*100 + int(digits[1]-'0')*10 + int(digits[2]-'0')
}
