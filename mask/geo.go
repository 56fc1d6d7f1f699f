package mask

import "bytes"

// GeoPair returns the Text rule for a pair of coordinates in degrees, latitude
// first, such as "50.0875,14.4214", with or without one space behind the comma,
// which stays. Both are given as the nearest multiple of step, within -90 to 90
// and -180 to 180. Coordinates outside of that are refused.
//
// A step of 0.01 is 1.1 km from north to south, and less from west to east: 0.7
// km at 50 degrees. It fails as [Bucket] does, and for steps above 90.
func GeoPair(step string) (Rule, error) {
	lat, err := newCoordinate(step, "90")
	if err != nil {
		return Rule{}, err
	}
	lon, err := newCoordinate(step, "180")
	if err != nil {
		return Rule{}, err
	}
	return Rule{&geoPair{lat: lat, lon: lon}, Text}, nil
}

var errGeo = misfit(`coordinates in degrees such as "50.0875,14.4214"`)

type geoPair struct{ lat, lon coordinate }

func (r *geoPair) append(dst, value []byte) ([]byte, error) {
	comma := bytes.IndexByte(value, ',')
	if comma < 0 {
		return dst, errGeo
	}
	text := value[comma+1:]
	between := value[comma : comma+1]
	if len(text) > 0 && text[0] == ' ' {
		between, text = value[comma:comma+2], text[1:]
	}
	var lat, lon decimal
	if !r.lat.read(&lat, value[:comma]) || !r.lon.read(&lon, text) {
		return dst, errGeo
	}
	dst = appendDecimal(dst, &lat, r.lat.scale)
	dst = append(dst, between...)
	return appendDecimal(dst, &lon, r.lon.scale), nil
}

// A coordinate is a number between -limit and limit, in units of 10^-scale.
type coordinate struct {
	limit uint64
	most  uint64 // the largest multiple of step up to limit
	step  uint64
	scale int
}

func newCoordinate(step, limit string) (coordinate, error) {
	rule, err := newNumberRule(nearest, step, "0", []NumberOption{WithTop(limit)})
	if err != nil {
		return coordinate{}, err
	}
	n, ok := rule.body.(*number)
	if !ok || n.step > n.top.limbs[0] {
		return coordinate{}, errParameter
	}
	c := coordinate{limit: n.top.limbs[0], step: n.step, scale: n.scale}
	c.most = c.limit - c.limit%c.step
	return c, nil
}

// read sets d, which is zero, to the multiple that is nearest to text.
func (c *coordinate) read(d *decimal, text []byte) bool {
	if d.parse(text, c.scale) != fits || d.n > 1 {
		return false
	}
	units := d.limbs[0]
	if units > c.limit || units == c.limit && d.inexact {
		return false
	}
	rest := units % c.step
	units -= rest
	if rest >= c.step/2 {
		units += c.step
	}
	d.inexact = false
	d.setUnits(min(units, c.most))
	return true
}
