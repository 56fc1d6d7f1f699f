package customers

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// stream is the second half of every generator's PCG seed. Changing it changes
// every record, and with it the golden file.
const stream = 0x63_7573_746f_6d65

// minSecret is the shortest protected plaintext, in bytes. A shorter one would
// turn up by chance in unrelated data, and a scan could prove nothing.
const minSecret = 8

// A Generator yields customers. It is for one goroutine.
//
// It draws from math/rand/v2 with a fixed PCG seed. That is right here and
// nowhere near a key: the records must be repeatable and guard nothing.
type Generator struct {
	r       *rand.Rand
	locales []locale
}

// New returns a Generator. The same seed yields the same customers in the same
// order, in every release that keeps the golden file.
func New(seed uint64) *Generator {
	return &Generator{r: rand.New(rand.NewPCG(seed, stream)), locales: locales()}
}

// Next returns the next customer. There is no end to them.
func (g *Generator) Next() Customer {
	l := &g.locales[g.r.IntN(len(g.locales))]
	birth := g.birth()
	who := g.person(l)
	created := g.created()
	c := Customer{
		ID:             g.uuid(),
		CreatedAt:      created,
		Locale:         l.tag,
		Country:        l.country,
		FullName:       who.full,
		DateOfBirth:    birth.String(),
		Emails:         g.emails(l, who),
		Phone:          g.phone(l),
		NationalID:     l.nationalID(g.r, birth),
		CardNumber:     pan(g.r),
		Address:        g.address(l),
		Tier:           g.tier(),
		Segment:        pick(g.r, []string{"retail", "family", "student", "business", "wholesale", "public sector"}),
		Currency:       l.currency,
		BalanceCents:   g.r.Int64N(1_200_000) - 200_000,
		LoyaltyPoints:  g.r.Int32N(50_000),
		Score:          float64(g.r.IntN(10_001)) / 10_000,
		MarketingOptIn: g.chance(40),
		Preferences:    g.preferences(l),
	}
	if g.chance(12) {
		a := g.address(l)
		c.ShippingAddress = &a
	}
	if g.chance(85) {
		c.OrderCount = 1 + g.r.Int32N(240)
		at := created.Add(time.Duration(g.r.Int64N(int64(300*24*time.Hour/time.Millisecond))) * time.Millisecond)
		c.LastOrderAt = &at
	}
	if g.chance(35) {
		n := fmt.Sprintf(pick(g.r, l.notes), who.given, 1000+g.r.IntN(9000))
		c.Notes = &n
	}
	return c
}

// chance is true in percent of all draws.
func (g *Generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// date is a day of birth: national ids are built from its parts.
type date struct{ year, month, day int }

func (d date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day) }

func (g *Generator) birth() date {
	// 28 days, so that no month needs a table of its own.
	return date{1940 + g.r.IntN(68), 1 + g.r.IntN(12), 1 + g.r.IntN(28)}
}

func (g *Generator) created() time.Time {
	first := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	sixYears := int64(6 * 365 * 24 * time.Hour / time.Millisecond)
	return first.Add(time.Duration(g.r.Int64N(sixYears)) * time.Millisecond)
}

// uuid returns a version 4 UUID. Its groups of 8, 4, 4, 4 and 12 digits leave
// no room for a date of birth or a card number to occur inside.
func (g *Generator) uuid() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// person is a name as people write it, and in the letters of an e-mail address.
type person struct {
	full, given             string
	asciiGiven, asciiFamily string
}

func (g *Generator) person(l *locale) person {
	for {
		given, family, second := pick(g.r, l.given), pick(g.r, l.family), pick(g.r, l.family)
		p := person{
			full:        l.fullName(g.r, given.native, family.native, second.native),
			given:       given.native,
			asciiGiven:  given.ascii,
			asciiFamily: family.ascii,
		}
		// Short names exist, but a scan cannot tell them from chance.
		if len(p.full) >= minSecret {
			return p
		}
	}
}

func (g *Generator) emails(l *locale, p person) []string {
	n := 1
	switch d := g.r.IntN(100); {
	case d < 2:
		n = 0
	case d < 22:
		n = 2
	case d < 27:
		n = 3
	}
	out := make([]string, 0, n)
	for i := range n {
		host := l.hosts[(i+g.r.IntN(2))%len(l.hosts)]
		var local string
		switch g.r.IntN(3) {
		case 0:
			local = fmt.Sprintf("%s.%s%d", p.asciiGiven, p.asciiFamily, g.r.IntN(10_000))
		case 1:
			local = fmt.Sprintf("%s_%s.%d", p.asciiFamily, p.asciiGiven, g.r.IntN(10_000))
		default:
			local = fmt.Sprintf("%c.%s+shop%d", p.asciiGiven[0], p.asciiFamily, g.r.IntN(10_000))
		}
		out = append(out, strings.ToLower(local)+"@"+host)
	}
	return out
}

func (g *Generator) phone(l *locale) *string {
	if g.chance(15) {
		return nil
	}
	p := digits(g.r, pick(g.r, l.phones))
	return &p
}

func (g *Generator) address(l *locale) Address {
	return Address{
		Street:     l.streetLine(g.r, pick(g.r, l.streets)),
		City:       pick(g.r, l.cities),
		PostalCode: digits(g.r, l.postal),
		Country:    l.country,
	}
}

func (g *Generator) tier() string {
	switch d := g.r.IntN(100); {
	case d < 55:
		return "BRONZE"
	case d < 83:
		return "SILVER"
	case d < 96:
		return "GOLD"
	default:
		return "PLATINUM"
	}
}

func (g *Generator) preferences(l *locale) map[string]string {
	out := map[string]string{}
	if g.chance(80) {
		out["language"] = l.tag[:2]
	}
	if g.chance(60) {
		out["newsletter"] = pick(g.r, []string{"daily", "weekly", "monthly", "never"})
	}
	if g.chance(40) {
		out["contact_time"] = pick(g.r, []string{"morning", "afternoon", "evening"})
	}
	if g.chance(30) {
		out["theme"] = pick(g.r, []string{"light", "dark", "system"})
	}
	return out
}
