package customers

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A locale is what a record needs to look as if it came from there.
type locale struct {
	tag, country, currency string
	given, family          []name
	streets, cities        []string
	hosts                  []string // under example.com, example.org or example.net
	postal                 string   // '#' is a digit; the leading part is not in use
	phones                 []string // '#' is a digit; see the note on each
	notes                  []string // given name, then a number of four digits

	// fullName joins a given name and one or two family names.
	fullName func(r *rand.Rand, given, family, second string) string
	// streetLine adds a house number to a street.
	streetLine func(r *rand.Rand, street string) string
	nationalID func(r *rand.Rand, born date) string
}

// A name is written as people write it, and in ASCII for e-mail addresses.
type name struct{ native, ascii string }

// names reads a list parted by commas. An entry in another script than Latin
// brings its own ASCII form after a bar.
func names(list string) []name {
	toASCII := latin()
	var out []name
	for entry := range strings.SplitSeq(list, ",") {
		native, ascii, found := strings.Cut(strings.TrimSpace(entry), "|")
		if !found {
			ascii = toASCII.Replace(native)
		}
		out = append(out, name{native, ascii})
	}
	return out
}

func words(list string) []string {
	var out []string
	for w := range strings.SplitSeq(list, ",") {
		out = append(out, strings.TrimSpace(w))
	}
	return out
}

func givenFirst(_ *rand.Rand, given, family, _ string) string { return given + " " + family }
func familyFirst(_ *rand.Rand, given, family, _ string) string {
	return family + " " + given
}
func twoFamilies(_ *rand.Rand, given, family, second string) string {
	return given + " " + family + " " + second
}

// middleInitial gives every third person an initial.
func middleInitial(r *rand.Rand, given, family, _ string) string {
	if r.IntN(3) == 0 {
		return given + " " + string("ABCDEFGHJKLMNPRSTW"[r.IntN(18)]) + ". " + family
	}
	return given + " " + family
}

// doubleSurname gives every sixth person both parents' names.
func doubleSurname(r *rand.Rand, given, family, second string) string {
	if r.IntN(6) == 0 && family != second {
		return given + " " + family + "-" + second
	}
	return given + " " + family
}

func numberFirst(r *rand.Rand, street string) string {
	s := fmt.Sprintf("%d %s", 1+r.IntN(1999), street)
	if r.IntN(4) == 0 {
		s += fmt.Sprintf(", Apt %d", 1+r.IntN(120))
	}
	return s
}

func numberLast(r *rand.Rand, street string) string {
	return fmt.Sprintf("%s %d", street, 1+r.IntN(299))
}

func numberAfterComma(r *rand.Rand, street string) string {
	return fmt.Sprintf("%s, %d", street, 1+r.IntN(1999))
}

func frenchStreet(r *rand.Rand, street string) string {
	return fmt.Sprintf("%d%s %s", 1+r.IntN(199), pick(r, []string{"", "", "", " bis"}), street)
}

func czechStreet(r *rand.Rand, street string) string {
	return fmt.Sprintf("%s %d/%d", street, 100+r.IntN(1900), 1+r.IntN(60))
}

func japaneseStreet(r *rand.Rand, street string) string {
	return fmt.Sprintf("%s%d丁目%d番%d号", street, 1+r.IntN(8), 1+r.IntN(40), 1+r.IntN(30))
}

func indianStreet(r *rand.Rand, street string) string {
	return fmt.Sprintf("मकान संख्या %d, %s", 1+r.IntN(999), street)
}

// locales returns the tables. They are built per Generator, so nothing in the
// package can be changed from one to the next.
func locales() []locale {
	return []locale{
		enUS(), enGB(), deDE(), frFR(), csCZ(), esES(), ptBR(), jaJP(), hiIN(),
	}
}
