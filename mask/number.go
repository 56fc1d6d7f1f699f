package mask

import (
	"errors"
	"fmt"
)

// A NumberOption adds to a rule for numbers.
type NumberOption func(*numberOptions)

type numberOptions struct {
	top, bottom      string
	topped, bottomed bool
	ranges           bool
}

// WithTop gives every number of limit or more as limit: [TopCode] as an addition
// to another rule.
func WithTop(limit string) NumberOption {
	return func(o *numberOptions) { o.top, o.topped = limit, true }
}

// WithBottom gives every number below limit as limit: [BottomCode] as an
// addition to another rule.
func WithBottom(limit string) NumberOption {
	return func(o *numberOptions) { o.bottom, o.bottomed = limit, true }
}

// AsRange makes a Text rule of [Bucket], [TopCode] or [BottomCode], for a number
// that stands in a text: it writes "30-39" for a bucket, "90+" at the top and
// "<18" at the bottom. The upper number of a bucket is one unit below the next
// bucket, where a unit is the smallest digit that the parameters have: with a
// width of 0.5, "1-1.4". Between negative numbers stands " to ".
func AsRange() NumberOption { return func(o *numberOptions) { o.ranges = true } }

// Bucket returns the Number rule that gives each number as the lower bound of its
// bucket. Buckets are width wide and one begins at origin, so with width 10 and
// origin 0, 37 becomes 30 and -1 becomes -10. Limits by [WithTop] and
// [WithBottom] must be bounds of buckets.
//
// Parameters are decimal numbers such as "0.5". It fails when width is not above
// zero, when a parameter is no number, or when all of them together need more
// than 17 digits.
func Bucket(width, origin string, opts ...NumberOption) (Rule, error) {
	return newNumberRule(bucketing, width, origin, opts)
}

// Grid returns the Number rule that gives each number as the nearest multiple of
// step; one in the middle goes away from zero. A step of 0.01 on a latitude in
// degrees is 1.1 km.
//
// It fails as [Bucket] does.
func Grid(step string, opts ...NumberOption) (Rule, error) {
	return newNumberRule(nearest, step, "0", opts)
}

// The places that [Round] takes.
const (
	minPlaces = -16
	maxPlaces = maxScale
)

// Round returns the Number rule that rounds to so many places behind the point,
// -16 to 30; one in the middle goes away from zero. With 2 it keeps hundredths,
// with -3 it rounds to thousands.
func Round(places int, opts ...NumberOption) (Rule, error) {
	if places < minPlaces || places > maxPlaces {
		return Rule{}, fmt.Errorf("mask: cannot round to %d places: %d to %d are possible", places, minPlaces, maxPlaces)
	}
	return newNumberRule(nearest, fmt.Sprintf("1e%d", -places), "0", opts)
}

// TopCode returns the Number rule that gives every number of limit or more as
// limit, so that an age of 97 becomes 90, and lets those below it pass as they
// are: most values stay readable.
func TopCode(limit string, opts ...NumberOption) (Rule, error) {
	return newNumberRule(passing, "1", "0", append([]NumberOption{WithTop(limit)}, opts...))
}

// BottomCode returns the Number rule that gives every number below limit as
// limit, and lets the others pass as they are: most values stay readable.
func BottomCode(limit string, opts ...NumberOption) (Rule, error) {
	return newNumberRule(passing, "1", "0", append([]NumberOption{WithBottom(limit)}, opts...))
}

// An arithmetic is what a rule for numbers does with those inside its limits.
type arithmetic uint8

const (
	passing arithmetic = iota + 1
	bucketing
	nearest
)

// number is the body of all rules for numbers.
type number struct {
	do     arithmetic
	step   uint64 // width of a bucket, in units
	origin uint64 // lower bound of a bucket, in units, below step
	scale  int    // units are 10^-scale

	top, bottom       decimal // in units
	topped, bottomed  bool
	ranges            bool
	topText, downText string // of a range at the limits
}

var errParameter = errors.New("mask: a parameter is not a decimal number of at most 17 digits")

// maxStep bounds the width of buckets and steps, in units: a tenth of a limb, for
// the digit that rounding adds.
const maxStep = limbBase / 10

func newNumberRule(do arithmetic, step, origin string, opts []NumberOption) (Rule, error) {
	var o numberOptions
	for _, opt := range opts {
		opt(&o)
	}
	r := &number{do: do, topped: o.topped, bottomed: o.bottomed, ranges: o.ranges}
	// An origin of zero needs no digits, so it stands for limits that are not set.
	texts := [4]string{step, origin, "0", "0"}
	if r.topped {
		texts[2] = o.top
	}
	if r.bottomed {
		texts[3] = o.bottom
	}
	var params [4]parameter
	for i, text := range texts {
		p, ok := parseParameter(text)
		if !ok {
			return Rule{}, errParameter
		}
		params[i] = p
		r.scale = max(r.scale, p.scale)
	}
	var units [4]decimal
	for i := range params {
		var d decimal
		if d.set(&params[i].numeral, r.scale) != fits || d.n > 1 || d.limbs[0] >= maxStep {
			return Rule{}, errParameter
		}
		units[i] = d
	}
	r.top, r.bottom = units[2], units[3]
	if units[0].negative || units[0].limbs[0] == 0 {
		return Rule{}, errors.New("mask: the width of a bucket and the step of a grid are above zero")
	}
	if r.topped && r.bottomed && r.bottom.compare(&r.top) >= 0 {
		return Rule{}, errors.New("mask: the bottom limit is not below the top limit")
	}
	r.step = units[0].limbs[0]
	r.origin = units[1].mod(r.step)
	if do == bucketing && (r.topped && r.top.mod(r.step) != r.origin || r.bottomed && r.bottom.mod(r.step) != r.origin) {
		return Rule{}, errors.New("mask: a limit is not the bound of a bucket")
	}
	if do == nearest {
		if r.ranges {
			return Rule{}, errors.New("mask: a rounded number is no range")
		}
		r.refine()
	}
	if !r.ranges {
		return Rule{r, Number}, nil
	}
	r.topText = string(appendDecimal(nil, &r.top, r.scale)) + "+"
	r.downText = "<" + string(appendDecimal(nil, &r.bottom, r.scale))
	return Rule{r, Text}, nil
}

// refine makes the units smaller by ten. What is cut off behind them then never
// decides which way a number is rounded, because half a step is a whole number
// of units.
func (r *number) refine() {
	r.scale++
	r.step *= 10
	r.top.setUnits(r.top.limbs[0] * 10)
	r.bottom.setUnits(r.bottom.limbs[0] * 10)
}

func (r *number) append(dst, value []byte) ([]byte, error) {
	var d decimal
	size := d.parse(value, r.scale)
	switch {
	case size == malformed:
		return dst, errNumber
	case size == tooLarge:
		// Beyond every limit there can be.
		return r.appendLarge(dst, value, d.negative)
	case r.topped && d.compare(&r.top) >= 0:
		return r.appendTop(dst), nil
	case r.bottomed && d.compare(&r.bottom) < 0:
		return r.appendBottom(dst), nil
	}
	switch r.do {
	case passing:
		return append(dst, value...), nil
	case bucketing:
		return r.appendBucket(dst, &d)
	case nearest:
		if !d.round(r.step) {
			return dst, errNumber
		}
		if r.topped && d.compare(&r.top) > 0 {
			d = r.top
		}
		if r.bottomed && d.compare(&r.bottom) < 0 {
			d = r.bottom
		}
		return appendDecimal(dst, &d, r.scale), nil
	default:
		return dst, ErrNoRule
	}
}

// appendLarge is for numbers that are larger than what a decimal holds.
func (r *number) appendLarge(dst, value []byte, negative bool) ([]byte, error) {
	switch {
	case r.topped && !negative:
		return r.appendTop(dst), nil
	case r.bottomed && negative:
		return r.appendBottom(dst), nil
	case r.do == passing:
		return append(dst, value...), nil
	default:
		return dst, errNumber
	}
}

func (r *number) appendTop(dst []byte) []byte {
	if r.ranges {
		return append(dst, r.topText...)
	}
	return appendDecimal(dst, &r.top, r.scale)
}

func (r *number) appendBottom(dst []byte) []byte {
	if r.ranges {
		return append(dst, r.downText...)
	}
	return appendDecimal(dst, &r.bottom, r.scale)
}

func (r *number) appendBucket(dst []byte, d *decimal) ([]byte, error) {
	if !d.floor() {
		return dst, errNumber
	}
	rest := d.mod(r.step)
	if rest < r.origin {
		rest += r.step
	}
	if !d.lower(rest - r.origin) {
		return dst, errNumber
	}
	if !r.ranges || r.step == 1 {
		return appendDecimal(dst, d, r.scale), nil
	}
	upper := *d
	if !upper.raise(r.step - 1) {
		return dst, errNumber
	}
	dst = appendDecimal(dst, d, r.scale)
	if d.negative {
		dst = append(dst, " to "...)
	} else {
		dst = append(dst, '-')
	}
	return appendDecimal(dst, &upper, r.scale), nil
}
