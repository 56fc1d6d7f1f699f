package auth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	rules := []Rule{
		{Principals: []string{"mallory"}, Operations: []string{"*"}, Deny: true},
		{Principals: []string{"*"}, Operations: []string{"produce"}, Topics: []string{"secret.*"}, Deny: true},
		{Principals: []string{"billing", "spiffe://example.org/ns/*/sa/billing"}, Operations: []string{"produce", "check"}, Topics: []string{"invoices", "customers.*"}},
		{Principals: []string{"saas"}, Operations: []string{"produce"}, Topics: []string{"events"}, Tenants: []string{"acme-internal"}, Deny: true},
		{Principals: []string{"saas"}, Operations: []string{"produce"}, Topics: []string{"events"}, Tenants: []string{"acme*"}},
		{Principals: []string{"saas"}, Operations: []string{"produce"}, Topics: []string{"events"}, Tenants: []string{"umbrella"}},
		{Principals: []string{"privacy-?"}, Operations: []string{"forget", "metadata"}},
	}
	a := mustNew(t, Config{Rules: rules})
	tests := []struct {
		who    string
		op     Operation
		topic  string
		tenant string
		want   bool
	}{
		{"billing", OpProduce, "invoices", "", true},
		{"billing", OpProduce, "invoices", "acme", true},
		{"billing", OpCheck, "customers.eu.v1", "", true},
		{"billing", OpProduce, "customers", "", false},
		{"billing", OpProduce, "invoices2", "", false},
		{"billing", OpReveal, "invoices", "", false},
		{"billing", OpProduce, "secret.invoices", "", false},
		{"billing2", OpProduce, "invoices", "", false},
		{"spiffe://example.org/ns/prod/sa/billing", OpProduce, "invoices", "", true},
		{"spiffe://example.com/ns/prod/sa/billing", OpProduce, "invoices", "", false},
		{"mallory", OpProduce, "invoices", "", false},
		{"saas", OpProduce, "events", "acme", true},
		{"saas", OpProduce, "events", "acme-eu", true},
		{"saas", OpProduce, "events", "acme-internal", false},
		{"saas", OpProduce, "events", "umbrella", true},
		{"saas", OpProduce, "events", "stark", false},
		{"saas", OpProduce, "events", "", false},
		{"privacy-1", OpForget, "", "", true},
		{"privacy-12", OpForget, "", "", false},
		{"privacy-1", OpAdmin, "", "", false},
		{"nobody", OpProduce, "invoices", "", false},
		{"", OpProduce, "invoices", "", false},
		{"billing", operations, "invoices", "", false},
	}
	for range 2 { // once decided, once remembered
		for _, tt := range tests {
			p := Principal{Name: tt.who}
			if got := a.Tenants(p, tt.op, tt.topic).Allows(tt.tenant); got != tt.want {
				t.Errorf("%s, %v, %s, tenant %q: %v, want %v", tt.who, tt.op, tt.topic, tt.tenant, got, tt.want)
			}
		}
	}
	for who, want := range map[string]error{"saas": nil, "mallory": ErrDenied, "": ErrUnauthenticated} {
		if err := a.Authorize(Principal{Name: who}, OpProduce, "events"); !errors.Is(err, want) {
			t.Errorf("%s: %v", who, err)
		}
	}
}

func TestATokenThatIsForSomeTenantsIsForNoOther(t *testing.T) {
	a := mustNew(t, Config{Rules: []Rule{{Principals: []string{"*"}, Operations: []string{"produce"}, Tenants: []string{"a*"}}, {Principals: []string{"*"}, Operations: []string{"check"}}}})
	p := Principal{Name: "jwt:x", Limited: true, Tenants: []string{"acme", "umbrella"}}
	for tenant, want := range map[string]bool{"acme": true, "axe": false, "umbrella": false, "": false} {
		if got := a.Tenants(p, OpProduce, "t").Allows(tenant); got != want {
			t.Errorf("tenant %q: %v", tenant, got)
		}
	}
	if !a.Tenants(p, OpCheck, "t").Allows("umbrella") || a.Tenants(p, OpCheck, "t").Allows("") {
		t.Error("a rule without tenants lets those of the token, and no other")
	}
	refused(t, "none that a rule lets", a.Authorize(Principal{Name: "jwt:x", Limited: true, Tenants: []string{"umbrella"}}, OpProduce, "t"), ErrDenied, ReasonTenant)
	refused(t, "none at all", a.Authorize(Principal{Name: "jwt:x", Limited: true}, OpCheck, "t"), ErrDenied, ReasonTenant)
	refused(t, "no rule", a.Authorize(p, OpAdmin, ""), ErrDenied, ReasonRule)
}

func TestWithoutRulesNothingTakesProtectionAway(t *testing.T) {
	a := mustNew(t, Config{})
	for op := range operations {
		want := op == OpProduce || op == OpCheck || op == OpProtect || op == OpMetadata
		if err := a.Authorize(Principal{Name: NameLocal}, op, "t"); (err == nil) != want {
			t.Errorf("%v: %v", op, err)
		}
	}
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	good := Rule{Principals: []string{"a"}, Operations: []string{"produce"}}
	for name, tt := range map[string]struct {
		change func(*Rule)
		want   string
	}{
		"no principal":         {func(r *Rule) { r.Principals = nil }, "rules[0].principals"},
		"no operation":         {func(r *Rule) { r.Operations = nil }, "rules[0].operations"},
		"an unknown operation": {func(r *Rule) { r.Operations = []string{"write"} }, `there is no operation "write"`},
		"an empty list":        {func(r *Rule) { r.Topics = []string{} }, "rules[0].topics"},
		"an empty pattern":     {func(r *Rule) { r.Tenants = []string{""} }, "rules[0].tenants"},
	} {
		r := good
		tt.change(&r)
		if _, err := New(Config{Rules: []Rule{r}}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	a := mustNew(t, Config{})
	p := Principal{Name: "x"}
	for i := range 3 * maxDecisions {
		if err := a.Authorize(p, OpProduce, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.rules.known); n > maxDecisions || n == 0 {
		t.Errorf("%d decisions are remembered", n)
	}
	before := len(a.rules.known)
	if err := a.Authorize(p, OpProduce, strings.Repeat("x", maxTopic+1)); err != nil || len(a.rules.known) != before {
		t.Errorf("a long name: %v, %d", err, len(a.rules.known))
	}
}

func TestDecisionsAllocateNothing(t *testing.T) {
	a := mustNew(t, Config{Rules: []Rule{{Principals: []string{"a*"}, Operations: []string{"produce"}, Tenants: []string{"t*"}}}})
	ctx := NewContext(t.Context(), Principal{Name: "ann"})
	guard := TenantGuard(func() *Auth { return a })
	if n := testing.AllocsPerRun(200, func() {
		p, _ := FromContext(ctx)
		if a.Authorize(p, OpProduce, "topic") != nil || a.Authorize(p, OpReveal, "topic") == nil || guard(ctx, "topic", "t1") != nil || guard(ctx, "topic", "u") == nil {
			t.Error("decided otherwise")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheTenantGuardAsksForTheOperationOfTheContext(t *testing.T) {
	a := mustNew(t, Config{Rules: []Rule{{Principals: []string{"ann"}, Operations: []string{"check"}}}})
	guard := TenantGuard(func() *Auth { return a })
	ctx := NewContext(t.Context(), Principal{Name: "ann"})
	refused(t, "produce", guard(ctx, "t", "x"), ErrDenied, ReasonTenant)
	if err := guard(WithOperation(ctx, OpCheck), "t", "x"); err != nil {
		t.Error(err)
	}
	refused(t, "nobody", guard(t.Context(), "t", "x"), ErrUnauthenticated, ReasonNone)
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "axxbyc"}, {"*", ""}, {"**a", "aaa"}, {"?", "ä"}, {"", ""}, {"*a*a*a*b", strings.Repeat("a", 50)}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 100 || len(s) > 1000 {
			return
		}
		// Bytes, as the pattern takes them, are runes of Latin-1 here.
		latin := func(s string) string {
			out := make([]rune, len(s))
			for i := range len(s) {
				out[i] = rune(s[i])
			}
			return string(out)
		}
		text := regexp.QuoteMeta(latin(pattern))
		text = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(text)
		want := regexp.MustCompile(`(?s)^(?:` + text + `)$`).MatchString(latin(s))
		if got := glob(pattern).match(s); got != want {
			t.Errorf("%q against %q: %v", pattern, s, got)
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	a := mustNew(b, Config{Rules: []Rule{{Principals: []string{"billing"}, Operations: []string{"produce"}, Topics: []string{"invoices.*"}}}})
	p := Principal{Name: "billing"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := a.Authorize(p, OpProduce, "invoices.eu"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestARememberedVerdictIsOfOneTopicOneTenantAndOneAuth(t *testing.T) {
	first := mustNew(t, Config{Rules: []Rule{{Principals: []string{"*"}, Operations: []string{"produce"}, Topics: []string{"a"}, Tenants: []string{"x"}}}})
	second := mustNew(t, Config{Rules: []Rule{{Principals: []string{"*"}, Operations: []string{"produce"}, Topics: []string{"a"}, Tenants: []string{"y"}}}})
	now := first
	guard := TenantGuard(func() *Auth { return now })
	ctx := NewContext(t.Context(), Principal{Name: "p", Method: MethodToken})
	for _, by := range []*Auth{first, second, first} {
		now = by
		for range 2 {
			for _, q := range [][2]string{{"a", "x"}, {"a", "y"}, {"b", "x"}, {"a", "x"}, {"a", ""}} {
				want := q[0] == "a" && (by == first && q[1] == "x" || by == second && q[1] == "y")
				if err := guard(ctx, q[0], q[1]); (err == nil) != want {
					t.Errorf("%v: %v", q, err)
				}
			}
		}
	}
}
