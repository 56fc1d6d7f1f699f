package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// shown returns a shop that shows to out, and a customer before and after.
func shown(out *bytes.Buffer, width int, colour bool) (s *shop, before, after customers.Customer) {
	s = &shop{options: options{out: out, width: width, colour: colour}, plan: []fieldcrypt.FieldAction{
		{Path: "/full_name", Tag: "PII.NAME", Action: "mask"},
		{Path: "/date_of_birth", Tag: "PII.BIRTH", Action: "constant"},
		{Path: "/emails/[]", Tag: "PII.EMAIL", Action: "encrypt", Key: "pii"},
		{Path: "/phone", Tag: "PII.PHONE", Action: "encrypt", Key: "pii"},
		{Path: "/notes", Tag: "PII.NOTES", Action: "drop"},
	}, actions: make(map[string]fieldcrypt.FieldAction)}
	for _, a := range s.plan {
		s.actions[a.Path] = a
	}
	phone, notes := "+420 015 696 601", "Called\ttwice."
	before = customers.Customer{
		ID: "0beb87a4", Country: "JP", FullName: "山田太郎", DateOfBirth: "1982-11-18", Emails: []string{"taro@example.com"},
		Phone: &phone, NationalID: "1234", CardNumber: "5678", Tier: "GOLD", Currency: "CHF", BalanceCents: -5, Notes: &notes,
		Address: customers.Address{Street: "1-2-3", City: "月影市月影市月影市月影市月影市"},
	}
	after = before
	after.FullName, after.DateOfBirth, after.Notes = "山***", "1900-01-01", nil
	after.Emails = []string{"fv1:AQFDmynWf6NO7p9hvfA_qQRUPZ6wxuSLmnopqrstuvwxyz"}
	return s, before, after
}

func TestARecordBeforeAndAfter(t *testing.T) {
	//nolint:dupword // two columns of one record
	const want = `
                  before                    after
  customer_id     0beb87a4                  0beb87a4
  country         JP                        JP
  full_name       山田太郎        mask      山***
  date_of_birth   1982-11-18      constant  1900-01-01
  emails[0]       taro@example.…  encrypt   fv1:AQFDmynWf6N…
  phone           +420 015 696 …  revealed  +420 015 696 601
  national_id     1234                      1234
  card_number     5678                      5678
  address.street  1-2-3                     1-2-3
  address.city    月影市月影市…             月影市月影市月…
  tier            GOLD                      GOLD
  balance         -0.05 CHF                 -0.05 CHF
  notes           Called twice.   drop      null
`
	out := bytes.NewBufferString("\n")
	s, before, after := shown(out, 60, false)
	s.sideBySide("before", before, "after", after, rows(before))
	if out.String() != want {
		t.Errorf("got%s\nwant%s", out.String(), want)
	}
}

func TestTheTableOfActions(t *testing.T) {
	const want = `
  field                     tag               action    key
  /full_name                PII.NAME          mask
  /date_of_birth            PII.BIRTH         constant
  /emails/[]                PII.EMAIL         encrypt   pii
  /phone                    PII.PHONE         encrypt   pii
  /notes                    PII.NOTES         drop
`
	out := bytes.NewBufferString("\n")
	s, _, _ := shown(out, 80, false)
	s.showActions()
	if out.String() != want {
		t.Errorf("got%s\nwant%s", out.String(), want)
	}
}

func TestEveryActionHasAColourOfItsOwnAndNothingElseHasOne(t *testing.T) {
	var plain, coloured bytes.Buffer
	s, before, after := shown(&plain, 80, false)
	s.sideBySide("before", before, "after", after, rows(before))
	s.showActions()
	s, before, after = shown(&coloured, 80, true)
	s.sideBySide("before", before, "after", after, rows(before))
	s.showActions()
	for _, want := range []string{
		green + "encrypt   fv1:", green + "revealed  +420", yellow + "mask      山***" + reset,
		violet + "constant  1900-01-01" + reset, red + "drop      null" + reset,
		green + "encrypt" + reset, yellow + "mask" + reset, violet + "constant" + reset, red + "drop" + reset,
	} {
		if !strings.Contains(coloured.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	for line := range strings.Lines(coloured.String()) {
		if strings.Contains(line, "customer_id") && strings.Contains(line, "\x1b") {
			t.Errorf("a clear field has a colour: %q", line)
		}
	}
	uncoloured := strings.NewReplacer(green, "", yellow, "", violet, "", red, "", reset, "").Replace(coloured.String())
	trimmed := strings.Builder{}
	for line := range strings.Lines(uncoloured) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if trimmed.String() != plain.String() {
		t.Errorf("without its colours it is\n%s\nand not\n%s", trimmed.String(), plain.String())
	}
}

func TestColumnsFitWhateverTheScript(t *testing.T) {
	for _, text := range []string{"a long line of plain letters", "山田太郎山田太郎山田太郎", "tab\tand\nline", "हरितगढ़, मार्ग १२, भारत देश"} {
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
