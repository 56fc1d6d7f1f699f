package main

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
)

func TestEveryNaiveWayIsMeasured(t *testing.T) {
	d := rowtest.Run(t, program())
	if len(d.Rows) != 4+2*4+1 {
		t.Errorf("%d rows", len(d.Rows))
	}
	for _, r := range d.Rows {
		if !strings.HasSuffix(r.Name, r.Ours.Name) {
			t.Errorf("row %q is about %q", r.Name, r.Ours.Name)
		}
	}
}

func TestOneThatForgetsAValueIsNoticed(t *testing.T) {
	h, err := avroHeat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBox()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range h.contenders {
		if err := c.check(h.c, b, h.same); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		forgetful := contender{c.name, func(record []byte, f transform) ([]byte, error) {
			return c.pass(record, func(v string) (string, error) {
				if strings.Contains(v, "@") {
					return v, nil
				}
				return f(v)
			})
		}}
		if forgetful.check(h.c, b, h.same) == nil {
			t.Errorf("%s: a plain e-mail address passes", c.name)
		}
		careless := contender{c.name, func(record []byte, f transform) ([]byte, error) {
			return c.pass(record, func(v string) (string, error) {
				out, err := f(v)
				if strings.Contains(out, "@") { // it has opened the address
					return "someone@else.example", err
				}
				return out, err
			})
		}}
		if careless.check(h.c, b, h.same) == nil {
			t.Errorf("%s: another e-mail address passes", c.name)
		}
		idle := contender{c.name, func(record []byte, _ transform) ([]byte, error) { return record, nil }}
		if idle.check(h.c, b, h.same) == nil {
			t.Errorf("%s: a plain record passes", c.name)
		}
	}
}
