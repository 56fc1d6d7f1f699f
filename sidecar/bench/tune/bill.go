package tune

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Write prints the bill for a person, in lines of 80 columns.
func (b *Bill) Write(w io.Writer) error {
	p := new(page)
	p.linef("%-20s %-8s %9s %9s %-8s %11s", "key", "kind", "scopes", "period", "by", "calls/month")
	for i := range b.Keys {
		k := &b.Keys[i]
		p.linef("%-20s %-8s %9s %9s %-8s %11s", cut(k.Name, 20), k.Kind, number(float64(k.Scopes)), seconds(k.Period), k.By,
			number(k.Steady+k.Starts+k.Consumers))
	}
	p.linef("")
	var steady, starts, consumers float64
	for i := range b.Keys {
		steady += b.Keys[i].Steady
		starts += b.Keys[i].Starts
		consumers += b.Keys[i].Consumers
	}
	row := func(name, value string) { p.linef("  %-44s %16s", name, value) }
	row("calls a month, producers in steady state", number(steady))
	row("calls a month, starts of producers", number(starts))
	row("calls a month, consumers", number(consumers))
	row("calls a second, on average", number(b.PerSecond))
	row("calls in the busiest second of a day, about", number(b.Busiest))
	row("calls of a start of all producers at once", number(b.Start))
	row("  in its busiest second, without a quota", number(b.StartSecond))
	if b.Quota > 0 {
		row("quota in calls a second", number(b.Quota))
		row("  with which such a start takes at least", seconds(b.StartTakes))
	}
	p.linef("")
	row("USD a month for calls", money(b.CallsUSD))
	row(fmt.Sprintf("USD a month for %s", plural(b.KEKs, "KEK")), money(b.KEKsUSD))
	row("USD a month", money(b.USD))
	p.linef("")
	p.textf("%s: %s", b.Provider, b.Source)
	for _, n := range b.Notes {
		p.linef("")
		p.textf("%s", n)
	}
	return p.write(w)
}

// WriteJSON prints the bill as JSON.
func (b *Bill) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(b)
}

func money(usd float64) string {
	if usd < 1e6 {
		whole := int64(usd)
		return fmt.Sprintf("%s.%02d", grouped(whole), min(99, int64((usd-float64(whole))*100+0.5)))
	}
	return number(usd)
}

// cut shortens a text to so many columns.
func cut(s string, n int) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
