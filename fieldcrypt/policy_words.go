package fieldcrypt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/tokenize"
)

// alphabets are those that a policy names. Any other word is the list of its own
// characters.
func alphabets() map[string]tokenize.Alphabet {
	return map[string]tokenize.Alphabet{
		"digits":      tokenize.Digits,
		"lower":       tokenize.Lower,
		"upper":       tokenize.Upper,
		"letters":     tokenize.Letters,
		"alnum":       tokenize.Alnum,
		"alnum-lower": tokenize.AlnumLower,
		"alnum-upper": tokenize.AlnumUpper,
		"hex":         tokenize.Hex,
		"hex-upper":   tokenize.HexUpper,
	}
}

func alphabetOf(word string) (tokenize.Alphabet, error) {
	if a, ok := alphabets()[word]; ok {
		return a, nil
	}
	return tokenize.NewAlphabet(word)
}

// The shapes of tokens.
const (
	tokenDigits   = "digits"
	tokenPAN      = "pan"
	tokenPrefixed = "prefixed"
	tokenSSN      = "ssn"
	tokenUUID     = "uuid"
)

func tokenFormats() []string {
	return []string{tokenDigits, tokenPAN, tokenPrefixed, tokenSSN, tokenUUID}
}

// how spells the parameters that matter to a reader of a plan. Constants are not
// among them.
func (a *actionSpec) how() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	number := func(name string, n int) {
		if n > 0 {
			add(name, strconv.Itoa(n))
		}
	}
	switch a.kind {
	case actMask:
		add("rule", a.mask.rule)
		number("first", a.mask.keepFirst)
		number("last", a.mask.keepLast)
		if a.mask.match != nil {
			parts = append(parts, "by expression")
		}
	case actGeneralize:
		g := &a.general
		add("to", g.to)
		add("bucket", g.bucket)
		add("from", g.origin)
		add("grid", g.grid)
		add("top", g.top)
		add("bottom", g.bottom)
		if g.round != nil {
			add("round", strconv.Itoa(*g.round))
		}
	case actHash, actUnsafe:
		parts = append(parts, a.hash.String())
	case actShift:
		parts = append(parts, fmt.Sprintf("up to %d days by %s", a.shift.days, a.by))
	case actTokenize:
		add("format", a.format)
		add("vault", a.vault)
		number("first", a.ff1.KeepFirst)
		number("last", a.ff1.KeepLast)
	case actEncrypt:
		if a.mode == modePerson {
			add("by", a.by.String())
		}
		number("first", a.ff1.KeepFirst)
		number("last", a.ff1.KeepLast)
	case actConstant, actDrop, actReject, actObserve:
	}
	add("join", a.join)
	return strings.Join(parts, ", ")
}

// layouts are the ways to write a time, as a policy names them.
func layouts() []string {
	var words []string
	for _, l := range mask.Layouts() {
		words = append(words, l.String())
	}
	slices.Sort(words)
	return words
}

// time returns the rule for times of a layout.
func (g *generalSpec) time(l mask.Layout) (mask.Rule, error) {
	switch g.to {
	case "birth-year":
		return mask.BirthYear(l, time.Now, oldestAge)
	case "year":
		return mask.TruncateTime(mask.Year, l)
	case "month":
		return mask.TruncateTime(mask.Month, l)
	case "day":
		return mask.TruncateTime(mask.Day, l)
	case "hour":
		return mask.TruncateTime(mask.Hour, l)
	case "minute":
		return mask.TruncateTime(mask.Minute, l)
	default:
		return mask.Rule{}, errors.New("unknown unit of time")
	}
}

// oldestAge is the age from which on all are one group: HIPAA Safe Harbor,
// 45 CFR 164.514(b)(2)(i)(C), lets ages up to 89 stay.
const oldestAge = 90

// number returns the rule for numbers: those of a number field, or those that
// stand in a text, where a range takes the place of a group.
func (g *generalSpec) number(inText bool) (mask.Rule, error) {
	var opts []mask.NumberOption
	if g.top != "" {
		opts = append(opts, mask.WithTop(g.top))
	}
	if g.bottom != "" {
		opts = append(opts, mask.WithBottom(g.bottom))
	}
	if inText && g.round == nil && g.grid == "" {
		opts = append(opts, mask.AsRange())
	}
	switch {
	case g.bucket != "":
		return mask.Bucket(g.bucket, cmp.Or(g.origin, "0"), opts...)
	case g.round != nil:
		return mask.Round(*g.round, opts...)
	case g.grid != "":
		return mask.Grid(g.grid, opts...)
	case g.top != "":
		return mask.TopCode(g.top, opts...)
	case g.bottom != "":
		return mask.BottomCode(g.bottom, opts...)
	default:
		return mask.Rule{}, errors.New("nothing to generalise to")
	}
}
