package input

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// A maker makes values up. The same seed gives the same values in the same order.
// It belongs to one goroutine.
type maker struct {
	r     *rand.Rand
	lists map[string][]string // taken apart once
}

func newMaker(seed uint64) *maker {
	const stream = 0x6669656c647665
	return &maker{lists: make(map[string][]string), r: rand.New(rand.NewPCG(seed, stream))} //nolint:gosec // these values are invented, and have to be the same for the same seed
}

// n returns a number from lo to hi.
func (m *maker) n(lo, hi int) int {
	if hi <= lo {
		return lo
	}
	return lo + m.r.IntN(hi-lo+1)
}

// chance is true once in so many times.
func (m *maker) chance(in int) bool { return m.r.IntN(in) == 0 }

func (m *maker) pick(list string) string {
	all := m.lists[list]
	if all == nil {
		all = strings.Fields(list)
		m.lists[list] = all
	}
	return all[m.r.IntN(len(all))]
}

// digits returns n digits of which the first is no zero.
func (m *maker) digits(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = "0123456789"[m.r.IntN(10)]
	}
	if n > 0 && out[0] == '0' {
		out[0] = '1'
	}
	return string(out)
}

func (m *maker) bytes(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(m.r.Uint32()) //nolint:gosec // any byte will do
	}
	return out
}

func (m *maker) hex(n int) string { return hex.EncodeToString(m.bytes(n)) }

// The parts of invented names.
const (
	firstNames = "Marguerite Odalys Thaddeus Leopolda Cassius Wilhelmina Ignatius Perpetua Barnaby Seraphina Octavian Philippa Lysander Clementine Ambrose Henrietta Quentin Rosalind Fitzgerald Araminta Benedikta Yaroslava Emeka Saoirse Zoltan Nanami"
	nameFronts = "Fern Copper Maple Ash Thorn Winter Silver Raven Marsh Birch Stone Hollow Amber Frost Elder Black White Green Rush Moor"
	nameBacks  = "hollow head worth ford wick bury combe field stead thwaite mere croft ley holt gate brook"
	streets    = "Drive Lane Street Road Avenue Terrace Crescent Row Walk Close"
	cityBacks  = "haven ville ton port dale mouth burgh minster"
	loremWords = "parcel arrived early with the second invoice and a note about spring kitchen sale shelf returned window north counter usual weekend please call before delivery gate left side quiet garden blue ribbon sample ordered again thanks careful fragile open later because customer asked for another colour size table lamp towel linen"
)

func (m *maker) first() string { return m.pick(firstNames) }
func (m *maker) last() string  { return m.pick(nameFronts) + m.pick(nameBacks) }

// sentence returns so many words.
func (m *maker) sentence(words int) string {
	out := make([]string, words)
	for i := range out {
		out[i] = m.pick(loremWords)
	}
	return strings.Join(out, " ")
}

// The days in which all times lie.
func (m *maker) moment() time.Time {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return start.Add(time.Duration(m.r.Int64N(int64(180 * 24 * time.Hour)))).Truncate(time.Millisecond)
}

// day returns a day on which an adult may have been born.
func (m *maker) day() time.Time {
	return time.Date(1940, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, m.r.IntN(66*365))
}

// email is at a domain that is reserved for examples (RFC 2606).
func (m *maker) email() string {
	return strings.ToLower(m.first()+"."+m.last()) + m.digits(2) + "@" + m.pick("mail shop post") + ".example." + m.pick("com org net")
}

// phone is in a range that is kept for fiction in the United States, the United
// Kingdom or Australia.
func (m *maker) phone() string {
	switch m.r.IntN(3) {
	case 0:
		return fmt.Sprintf("+1 %s 555 01%02d", m.pick("212 303 415 617 702 808"), m.r.IntN(100))
	case 1:
		return fmt.Sprintf("+44 7700 900%03d", m.r.IntN(1000))
	default:
		return fmt.Sprintf("+44 20 7946 0%03d", m.r.IntN(1000))
	}
}

// card has a prefix of which card networks and payment services document test
// numbers, and passes the Luhn check.
func (m *maker) card() string {
	number := m.pick("411111 400000 424242 555555 510510 222300") + m.digits(9)
	sum := 0
	for i, c := range number {
		d := int(c - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return number + strconv.Itoa((10-sum%10)%10)
}

// iban is a British one of a bank that does not exist, with good check digits.
func (m *maker) iban() string {
	bank, account := m.pick("TEST FAKE DEMO"), "000000"+m.digits(8)
	var sum strings.Builder
	for _, c := range bank + account + "GB00" {
		if c >= 'A' {
			sum.WriteString(strconv.Itoa(int(c-'A') + 10))
			continue
		}
		sum.WriteRune(c)
	}
	n, _ := new(big.Int).SetString(sum.String(), 10) // it consists of digits
	rest := new(big.Int).Mod(n, big.NewInt(97)).Int64()
	return fmt.Sprintf("GB%02d%s%s", 98-rest, bank, account)
}

// ssn is in an area and group that are never issued.
func (m *maker) ssn() string {
	return fmt.Sprintf("9%02d-%02d-%04d", m.r.IntN(100), m.n(1, 49), m.n(1, 9999))
}

// ip is in a range that is reserved for documentation (RFC 5737).
func (m *maker) ip() string {
	return m.pick("192.0.2 198.51.100 203.0.113") + "." + strconv.Itoa(m.n(1, 254))
}

// ip6 is in the range of RFC 3849.
func (m *maker) ip6() string {
	return fmt.Sprintf("2001:db8:%x:%x::%x", m.n(1, 0xffff), m.n(1, 0xffff), m.n(1, 0xffff))
}

func (m *maker) uuid() string {
	b := m.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// text returns the text of a value of a shape.
func (m *maker) text(s shape) string {
	switch s {
	case shapeText:
		return m.sentence(m.n(6, 14))
	case shapeEmail:
		return m.email()
	case shapePhone:
		return m.phone()
	case shapeCard:
		return m.card()
	case shapeCVV:
		return m.digits(3)
	case shapeIBAN:
		return m.iban()
	case shapeBIC:
		return m.pick("TEST FAKE DEMO") + "GB2LXXX"
	case shapeSSN:
		return m.ssn()
	case shapeIP:
		return m.ip()
	case shapeMAC:
		// The range of RFC 7042 for documentation.
		return fmt.Sprintf("00:00:5e:00:53:%02x", m.r.IntN(256))
	case shapeDate:
		return m.day().Format(time.DateOnly)
	case shapeTime:
		return m.moment().Format(time.RFC3339)
	case shapeFirst:
		return m.first()
	case shapeLast:
		return m.last()
	case shapeName:
		return m.first() + " " + m.last()
	case shapeUser:
		return strings.ToLower(m.last()) + m.digits(4)
	case shapeStreet:
		return strconv.Itoa(m.n(1, 998)) + " " + m.last() + " " + m.pick(streets)
	case shapeCity:
		return m.pick(nameFronts) + m.pick(cityBacks)
	case shapePostal:
		return "000" + strconv.Itoa(m.n(10, 99)) // there are none below 00501
	default:
		return m.word(s)
	}
}

// word is text for values that are no one's.
func (m *maker) word(s shape) string {
	switch s {
	case shapeCountry:
		return m.pick("US GB AU DE FR CZ JP BR")
	case shapeState:
		return m.pick("NY CO CA MA NV HI")
	case shapeURL:
		return "https://" + m.pick("www shop news") + ".example.com/" + m.pick(loremWords) + "/" + m.pick(loremWords) + "?ref=" + m.hex(6)
	case shapeAgent:
		return fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) ExampleBrowser/%d.0.0.0 Safari/537.36",
			[]string{"X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"}[m.r.IntN(3)], m.n(110, 140))
	case shapeUUID:
		return m.uuid()
	case shapeID:
		return m.pick("A B C D") + m.digits(9)
	case shapeCompany:
		return m.last() + " " + m.pick("Trading Stores Clinic Supply Works")
	case shapeCurrency:
		return m.pick("USD EUR GBP CZK")
	case shapePlate:
		return "ZZ " + m.digits(3) + " QQ"
	case shapeGender:
		return m.pick("female male other")
	case shapeLanguage:
		return m.pick("en-US en-GB de-DE cs-CZ")
	case shapeZone:
		return m.pick("Etc/UTC Etc/GMT+5 Etc/GMT-1")
	case shapeHash:
		return m.hex(16)
	case shapeStatus:
		return m.pick("new active paused closed gold silver")
	case shapeCode:
		return m.pick("A B E J R") + m.digits(2) + "." + m.digits(1)
	case shapeLatitude, shapeLongitude, shapeYear, shapeAge, shapeMoney, shapeCount, shapeRatio:
		return strconv.FormatFloat(m.number(s), 'f', -1, 64)
	default:
		return m.sentence(m.n(1, 4))
	}
}

// number returns a number of a shape: whole, but for those that are not by nature.
func (m *maker) number(s shape) float64 {
	switch s {
	case shapeLatitude:
		return float64(m.n(-90_000_000, 90_000_000)) / 1e6
	case shapeLongitude:
		return float64(m.n(-180_000_000, 180_000_000)) / 1e6
	case shapeYear:
		return float64(m.n(1940, 2026))
	case shapeAge:
		return float64(m.n(18, 95))
	case shapeMoney:
		return float64(m.n(100, 250_000))
	case shapeCount:
		return float64(m.n(1, 20))
	case shapeRatio:
		return float64(m.n(0, 1000)) / 1000
	case shapeTime:
		return float64(m.moment().UnixMilli())
	case shapeDate:
		return float64(m.day().Unix() / 86_400)
	case shapeCard, shapeSSN, shapePhone, shapeCVV, shapePostal:
		text := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, m.text(s))
		n, _ := strconv.ParseFloat(text, 64) // it consists of digits
		return n
	case shapeID, shapeHash, shapeUUID:
		return float64(m.n(1_000_000, 999_999_999))
	default:
		return float64(m.n(0, 10_000))
	}
}

// whole returns a whole number of a shape from lo to hi, which enclose 0 to 2^30.
func (m *maker) whole(s shape, lo, hi int64) int64 {
	if f := m.number(s); f >= float64(lo) && f <= float64(hi) {
		return min(max(int64(f), lo), hi)
	}
	return m.r.Int64N(1 << 30)
}
