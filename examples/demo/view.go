package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"github.com/schollz/progressbar/v3"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

const (
	bold   = "\x1b[1m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	violet = "\x1b[35m"
	reset  = "\x1b[0m"
)

func (s *shop) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

// printRow writes a line of a table, without spaces at its end.
func (s *shop) printRow(cells ...string) {
	s.printf("  %s\n", strings.TrimRight(strings.Join(cells, ""), " "))
}

func (s *shop) paint(colour, text string) string {
	if !s.colour || colour == "" {
		return text
	}
	return colour + text + reset
}

func (s *shop) titlef(format string, args ...any) {
	s.printf("\n%s\n\n", s.paint(bold, fmt.Sprintf(format, args...)))
}

func (s *shop) verdict(good bool, text string) string {
	if good {
		return s.paint(green, text)
	}
	return s.paint(red, text)
}

func colourOf(action string) string {
	switch action {
	case "encrypt":
		return green
	case "mask":
		return yellow
	case "constant":
		return violet
	case "drop":
		return red
	default:
		return ""
	}
}

func (s *shop) showActions() {
	s.printRow(pad("field", 26), pad("tag", 18), pad("action", 10), "key")
	for _, a := range s.plan {
		s.printRow(pad(a.Path, 26), pad(a.Tag, 18), s.paint(colourOf(a.Action), a.Action)+pad("", 10-len(a.Action)), a.Key)
	}
}

// A row is one value of a customer, as text.
type row struct{ name, path, value string }

// rows are the fields worth showing, in the order of the schema.
func rows(c customers.Customer) []row {
	optional := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	out := []row{
		{"customer_id", "/customer_id", c.ID},
		{"country", "/country", c.Country},
		{"full_name", "/full_name", c.FullName},
		{"date_of_birth", "/date_of_birth", c.DateOfBirth},
	}
	for i, e := range c.Emails {
		out = append(out, row{"emails[" + strconv.Itoa(i) + "]", "/emails/[]", e})
	}
	out = append(out,
		row{"phone", "/phone", optional(c.Phone)},
		row{"national_id", "/national_id", c.NationalID},
		row{"card_number", "/card_number", c.CardNumber},
		row{"address.street", "/address/street", c.Address.Street},
		row{"address.city", "/address/city", c.Address.City},
		row{"tier", "/tier", c.Tier},
		row{"balance", "/balance_cents", strconv.FormatFloat(float64(c.BalanceCents)/100, 'f', 2, 64) + " " + c.Currency},
		row{"notes", "/notes", optional(c.Notes)},
	)
	return out
}

// sideBySide shows fields of two forms of one customer. What the policy governs
// has a colour, and a word for who sees none.
func (s *shop) sideBySide(left string, a customers.Customer, right string, b customers.Customer, fields []row) {
	const indent, name, action = 2, 16, 10
	half := (s.width - indent - name - action) / 2
	s.printRow(pad("", name), pad(left, half), pad("", action), right)
	ra, rb := byName(a), byName(b)
	for _, f := range fields {
		before, after := ra[f.name], rb[f.name]
		mark := s.actions[f.path].Action
		colour := colourOf(mark)
		if mark == "encrypt" && before == after {
			mark = "revealed"
		}
		s.printRow(pad(f.name, name), pad(cut(before, half-2), half), s.paint(colour, pad(mark, action)+cut(after, half)))
	}
}

func byName(c customers.Customer) map[string]string {
	out := make(map[string]string)
	for _, r := range rows(c) {
		out[r.name] = r.value
	}
	return out
}

// A hint is something to try next: a command or a file of the repository.
type hint struct{ what, why string }

func hints() []hint {
	return []hint{
		{"make demo FORMAT=protobuf", "or avro, json, jsonschema"},
		{"make demo KEEP=1", "leaves the sidecar running, for curl"},
		{"make demo BROKERS=localhost:9092", "the same against a cluster of yours"},
		{"make test", "all tests"},
		{"make bench", "what it costs, beside the bare cipher"},
		{"examples/demo/policy.yaml", "the policy: change a rule and run again"},
		{"examples/go-producer", "a whole producer in one screen"},
		{"docs/policy.md", "all actions and what they leak"},
		{"docs/format.md", "every byte, with worked examples"},
		{"docs/threat-model.md", "what is protected from whom, and what is not"},
	}
}

func (s *shop) farewell() {
	s.titlef("Everything held. What to try next")
	for _, h := range hints() {
		s.printRow(pad(h.what, 34), h.why)
	}
	s.printf("\n")
}

// pad fills text up to n columns, with one space at least. Columns are not
// characters: East Asian ones take two, joining ones none.
func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(1, n-runewidth.StringWidth(text)))
}

// cut shortens text to n columns, with an ellipsis.
func cut(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	return runewidth.Truncate(text, n, "…")
}

// thousands writes a number in groups of three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	var parts []string
	for len(s) > 3 {
		parts = append(parts, s[len(s)-3:])
		s = s[:len(s)-3]
	}
	parts = append(parts, s)
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

// progress shows how far a long step is: a bar on a terminal, lines elsewhere.
type progress struct {
	o     options
	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	done  int
	total int
}

func newProgress(o options, total int) *progress {
	p := &progress{o: o, total: total}
	if o.live {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(o.out), progressbar.OptionSetWidth(40),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(65*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) add() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.bar != nil {
		_ = p.bar.Add(1)
		return
	}
	if step := max(1, p.total/4); p.done%step == 0 || p.done == p.total {
		_, _ = fmt.Fprintf(p.o.out, "  %s of %s acknowledged\n", thousands(p.done), thousands(p.total))
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
