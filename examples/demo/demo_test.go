package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func TestTheDemoRunsAndHoldsWhatItClaims(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--records", "300"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"/emails/[]                PII.EMAIL         encrypt   pii",
		"300 of 300 acknowledged",
		"The KMS was called 2 times",
		"encrypt   fv1:",
		"encrypted values 0 differ",
		"A record without its headers opens too",
		"protected values found:  0\n",
		"Everything held.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("the output has escapes, and is no terminal")
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--records", "0"}, {"--records", "x"}, {"--nothing"}} {
		if err := run(t.Context(), args, new(bytes.Buffer)); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

func TestAnInterruptedDemoEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"--records", "100"}, new(bytes.Buffer)); err == nil {
		t.Error("it went on to its end")
	}
}

func TestTheFinderFindsEveryPlantedValue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	hay := make([]byte, 50_000)
	for i := 0; i+8 <= len(hay); i += 8 {
		binary.LittleEndian.PutUint64(hay[i:], rng.Uint64())
	}
	values := []string{"exactly8", "a longer value than the window", "exactly8 and more", "žluťoučký kůň"}
	f, err := newFinder(values)
	if err != nil {
		t.Fatal(err)
	}
	if n := f.count(hay); n != 0 {
		t.Fatalf("%d found in noise", n)
	}
	for _, v := range values {
		for _, at := range []int{0, 1, 12_345, len(hay) - len(v)} {
			b := bytes.Clone(hay)
			copy(b[at:], v)
			want := 0
			for _, other := range values {
				want += bytes.Count(b, []byte(other))
			}
			if n := f.count(b); n != want || n == 0 {
				t.Errorf("%q at %d: found %d, want %d", v, at, n, want)
			}
		}
	}
	if n := f.count([]byte("exactly")); n != 0 {
		t.Errorf("%d found in less than a window", n)
	}
	if _, err := newFinder([]string{"short"}); err == nil {
		t.Error("a value below the window is accepted")
	}
}

func TestAScanOfClearRecordsFindsThem(t *testing.T) {
	c := customers.New(7).Next()
	b, err := customers.Encode(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, s := range customers.Sensitive(c) {
		values = append(values, s.Value)
	}
	f, err := newFinder(values)
	if err != nil {
		t.Fatal(err)
	}
	if n := f.count(b); n < len(values) {
		t.Errorf("found %d of %d values of a clear record", n, len(values))
	}
}

func TestColumnsFitWhateverTheScript(t *testing.T) {
	for _, text := range []string{"a long line of plain letters", "山田太郎山田太郎山田太郎", "tab\tand\nline"} {
		got := cut(text, 10)
		if runewidth.StringWidth(got) > 10 || strings.ContainsAny(got, "\t\n") {
			t.Errorf("cut(%q) = %q, %d columns", text, got, runewidth.StringWidth(got))
		}
		if p := pad(got, 12); runewidth.StringWidth(p) != 12 {
			t.Errorf("pad(%q) has %d columns", got, runewidth.StringWidth(p))
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestActionsHaveColoursOnATerminal(t *testing.T) {
	var out bytes.Buffer
	c := customers.New(1).Next()
	masked := c
	masked.FullName = "X***"
	s := &shop{options: options{out: &out, colour: true, width: 100}, actions: map[string]fieldcrypt.FieldAction{
		"/full_name": {Path: "/full_name", Action: "mask"},
	}}
	s.sideBySide("a", c, "b", masked)
	if !strings.Contains(out.String(), yellow+pad("mask", 10)+reset) || !strings.Contains(out.String(), yellow+"X***"+reset) {
		t.Errorf("no colour of a mask in %q", out.String())
	}
}
