package report

import (
	"fmt"
	"slices"
	"strings"
)

// sharesText says in words what a part of a record's time is.
func sharesText(name string) string {
	switch name {
	case "walk":
		return "reading the record's bytes and copying them"
	case "cipher":
		return "the seals themselves, nonces and keys"
	case "encoding":
		return "base64, checks of text, lengths"
	case "compression":
		return "of batches, before they are sent"
	case "transport":
		return "requests, answers and the client of Kafka"
	case "waiting":
		return "for a batch to fill, or for brokers"
	case "runtime":
		return "the garbage collector and the scheduler"
	case "other":
		return "all else"
	}
	return ""
}

// A stack is bars of parts that lie end to end.
type stack struct {
	keys []string // names, in the order of the legend
}

// of gives a name its place in the legend: a letter, and one of eight colors.
func (k *stack) of(name string) (letter, class string) {
	i := slices.Index(k.keys, name)
	if i < 0 {
		i = len(k.keys)
		k.keys = append(k.keys, name)
	}
	return string(rune('A' + i%26)), fmt.Sprintf("part%d", i%8)
}

// segment draws a part from x to x+w percent. Its name stands in it where it has
// room, else its letter: the bar is some 580 px wide on a wide page and 330 px on
// a narrow one.
func (k *stack) segment(c *chart, x, w float64, name, tip string) {
	letter, class := k.of(name)
	c.rect(x, 4, w, 24, class, tip)
	const wide, narrow, letterRoom = 5.8, 3.3, 14
	room := 7.2*float64(length(name)) + 10
	mid := x + w/2
	onWide, onNarrow := "", ""
	if w*wide >= room {
		onWide = name
	} else if w*wide >= letterRoom {
		onWide = letter
	}
	if w*narrow >= room {
		onNarrow = name
	} else if w*narrow >= letterRoom {
		onNarrow = letter
	}
	if onWide == onNarrow {
		c.text(mid, 20, 0, "in-part middle", onWide)
		return
	}
	c.text(mid, 20, 0, "in-part middle wide", onWide)
	if onNarrow != "" {
		c.text(mid, 20, 0, "in-part middle narrow", onNarrow)
	}
}

func (k *stack) legend(text func(string) string) []legendItem {
	var out []legendItem
	for _, name := range k.keys {
		letter, class := k.of(name)
		out = append(out, legendItem{Key: letter, Swatch: true, Class: class, Name: name, Text: text(name)})
	}
	return out
}

func splitBars(r *Report) *barList {
	l := &barList{Text: "What the time of a record is spent on. Each bar is the whole of it."}
	k := &stack{}
	for _, name := range shareNames() {
		for i := range r.Cases {
			if slices.ContainsFunc(r.Cases[i].Split, func(s Share) bool { return s.Name == name }) {
				k.of(name)
				break
			}
		}
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		if len(c.Split) == 0 {
			continue
		}
		row := namedRow(c, 32)
		sum, ns := 0.0, 0.0
		for _, s := range c.Split {
			sum += s.Fraction
			ns += s.Ns
		}
		var parts []string
		x := 0.0
		for _, s := range c.Split {
			w := 100 * s.Fraction / max(sum, 1)
			tip := s.Name + ": " + part(s.Fraction)
			if s.Ns > 0 {
				tip += ", " + nanoseconds(s.Ns)
			}
			parts = append(parts, tip)
			k.segment(&row.Bar, x, w, s.Name, tip)
			x += w
		}
		row.Bar.Title = strings.Join(parts, "; ")
		if c.Cost != nil {
			ns = c.Cost.Median
		}
		row.Big = positive(ns, nanoseconds)
		l.Rows = append(l.Rows, row)
	}
	if len(l.Rows) == 0 {
		return nil
	}
	groupRows(l.Rows)
	l.Legend = k.legend(sharesText)
	s, ticks := linear(100)
	l.Axis = axis(s, ticks, func(v float64) string { return short(v) + " %" })
	return l
}

func processBars(r *Report) *barList {
	l := &barList{Class: "wide-figure", Text: "CPU time of each process per record. Beside it, where it is known, the memory of each at its highest."}
	k := &stack{}
	highest := 0.0
	for i := range r.Cases {
		sum := 0.0
		for _, p := range r.Cases[i].Processes {
			sum += p.CPU
		}
		highest = max(highest, sum)
	}
	s, ticks := linear(highest)
	for i := range r.Cases {
		c := &r.Cases[i]
		if len(c.Processes) == 0 {
			continue
		}
		row := namedRow(c, 32)
		sum := 0.0
		var parts []string
		for _, p := range c.Processes {
			tip := p.Name + ": " + nanoseconds(p.CPU*1000)
			if p.RSS > 0 {
				row.Small = append(row.Small, p.Name+" "+bytesText(p.RSS*(1<<20)))
				tip += ", " + bytesText(p.RSS*(1<<20)) + " of memory at most"
			}
			parts = append(parts, tip)
			k.segment(&row.Bar, s.at(sum), s.at(sum+p.CPU)-s.at(sum), p.Name, tip)
			sum += p.CPU
		}
		row.Bar.Title = strings.Join(parts, "; ")
		row.Big = nanoseconds(sum * 1000)
		l.Rows = append(l.Rows, row)
	}
	if len(l.Rows) == 0 {
		return nil
	}
	groupRows(l.Rows)
	l.Legend = k.legend(func(string) string { return "" })
	l.Axis = axis(s, ticks, func(v float64) string { return tick(v * 1e-6) })
	return l
}

// sizeBars draws sizes before and after; cases of the same sizes share a row.
func sizeBars(r *Report) *barList {
	var sizes []Size
	names := map[Size][]string{}
	highest := 0.0
	for i := range r.Cases {
		z := r.Cases[i].Size
		if z == nil {
			continue
		}
		if len(names[*z]) == 0 {
			sizes = append(sizes, *z)
		}
		names[*z] = append(names[*z], r.Cases[i].Name)
		highest = max(highest, z.Before, z.After, z.CompressedBefore, z.CompressedAfter)
	}
	if len(sizes) == 0 {
		return nil
	}
	s, ticks := linear(highest)
	l := &barList{
		Text:   "Bytes of a record, as it is and as its share of a compressed batch. What is encrypted does not compress: that is where most of the growth on disk comes from.",
		Class:  "wide-figure sizes",
		Legend: []legendItem{{Swatch: true, Class: "bar-before", Name: "before"}, {Swatch: true, Class: "bar-main", Name: "after", Text: "protected"}},
		Axis:   axis(s, ticks, sizeTick),
	}
	for _, z := range sizes {
		row := barRow{Name: names[z][0], Bar: chart{Class: "bar", Height: 36}}
		if n := len(names[z]) - 1; n > 0 {
			row.Name += fmt.Sprintf(" and %d more", n)
		}
		row.Bar.sizes(s, 6, z.Before, z.After, "")
		row.Small = []string{grew("", z.Before, z.After)}
		if z.CompressedAfter > 0 {
			row.Bar.Height = 70
			row.Bar.sizes(s, 40, z.CompressedBefore, z.CompressedAfter, z.Codec+": ")
			row.Small = append(row.Small, grew(z.Codec+": ", z.CompressedBefore, z.CompressedAfter))
		}
		row.Bar.Title = strings.Join(row.Small, "; ")
		l.Rows = append(l.Rows, row)
	}
	return l
}

func (c *chart) sizes(s scale, y, before, after float64, codec string) {
	c.rect(0, y, s.at(before), 11, "bar-before", codec+"before: "+bytesText(before))
	c.rect(0, y+12, s.at(after), 11, "bar-main", codec+"after: "+bytesText(after))
}

// sizeTick writes a size for an axis, whose round numbers are decimal: 1.25 kB.
func sizeTick(v float64) string {
	s := short(v)
	unit := strings.TrimLeft(s, "-0123456789.")
	return strings.TrimSuffix(s, unit) + " " + unit + "B"
}

func grew(codec string, before, after float64) string {
	out := codec + bytesText(before) + " → " + bytesText(after)
	if before > 0 {
		out += " (" + percent(after/before-1) + ")"
	}
	return out
}
