package fieldcrypt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/mask"
)

func policyPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks returns the fenced blocks of a page that are marked so. It goes line by
// line, because the fence that ends one block looks like one that begins another.
func blocks(page, mark string) []string {
	var (
		out    []string
		inside bool
		wanted bool
		block  strings.Builder
	)
	for line := range strings.Lines(page) {
		fence, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case ok && !inside:
			inside, wanted = true, fence == mark
			block.Reset()
		case ok:
			inside = false
			if wanted {
				out = append(out, block.String())
			}
		case inside:
			block.WriteString(line)
		}
	}
	return out
}

func TestThePoliciesOfThePageAreRead(t *testing.T) {
	found := blocks(policyPage(t), "yaml")
	if len(found) < 2 {
		t.Fatalf("docs/policy.md shows %d policies", len(found))
	}
	for _, text := range found {
		if _, err := fieldcrypt.ParsePolicy([]byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	// The example runs under the policy of the fixtures: the same but for comments.
	plain := func(s string) string {
		return strings.TrimSpace(regexp.MustCompile(`(?m)(^| +)# .*\n`).ReplaceAllString(s, "\n"))
	}
	if plain(found[0]) != plain(string(readFixture(t, "policy.yaml"))) {
		t.Errorf("the page's policy is\n%s\nand that of the fixtures\n%s", plain(found[0]), plain(string(readFixture(t, "policy.yaml"))))
	}
}

// The values before and after are those of a frozen record, which
// TestEveryReleaseRevealsTheFixtures opens.
func TestTheExampleOfThePageIsAFixture(t *testing.T) {
	schemas := fixtureSchemas(t)
	enc := twmb.MustParse(strings.Replace(schemas[fixtureCustomer].Schema, `"com.example.Address"`, schemas[fixtureCustomer].References[0], 1))
	var v any
	if _, err := enc.Decode(readRecords(t).Records[0].Value[5:], &v); err != nil {
		t.Fatal(err)
	}
	after, _ := v.(map[string]any)
	before := fixtureValue(nil)
	var want strings.Builder
	row := func(name, before string, after any) {
		text := fmt.Sprint(after)
		if b, ok := after.([]byte); ok {
			text = fmt.Sprintf("%x", b)
		}
		if after == nil {
			text = "null"
		}
		fmt.Fprintf(&want, "%-7s %-16s  %s\n", name, before, text)
	}
	row("field", "before", "after")
	for _, name := range []string{"id", "name", "birth", "notes", "email"} {
		row(name, fmt.Sprint(before[name]), after[name])
	}
	row("photo", fmt.Sprintf("%x", before["photo"]), after["photo"])
	place, _ := after["address"].(map[string]any)
	row("street", "Dlouhá 1", place["street"])
	row("city", "Praha", place["city"])
	cards, _ := after["cards"].([]any)
	card, _ := cards[0].(map[string]any)
	row("pan", "4111111111111111", card["pan"])
	for _, b := range blocks(policyPage(t), "") {
		if b == want.String() {
			return
		}
	}
	t.Errorf("docs/policy.md does not show\n%s", want.String())
}

// What the page says that the loader says is what it says, somewhere in the
// cases of TestPolicyFiles.
func TestTheErrorsOfThePageAreThoseOfTheLoader(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "policy", "*.want"))
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]bool)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if _, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ".yaml:"); ok {
				said[rest] = true
			}
		}
	}
	checked := 0
	for _, b := range blocks(policyPage(t), "") {
		for line := range strings.Lines(b) {
			rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "policy.yaml:")
			if !ok {
				continue
			}
			checked++
			if !said[rest] {
				t.Errorf("the loader does not say %q", rest)
			}
		}
	}
	if checked < 10 {
		t.Errorf("docs/policy.md shows only %d errors", checked)
	}
}

// The page has a word for each code that it names, and names none that is not.
func TestTheCodesOfThePageExist(t *testing.T) {
	known := map[string]bool{}
	for _, c := range []fieldcrypt.Code{
		fieldcrypt.CodeUngoverned, fieldcrypt.CodeUntagged, fieldcrypt.CodeMalformed, fieldcrypt.CodeSchema, fieldcrypt.CodePolicy, fieldcrypt.CodeTenant,
		fieldcrypt.CodeNotText, fieldcrypt.CodeTooLarge, fieldcrypt.CodeForeignKey, fieldcrypt.CodeMoved, fieldcrypt.CodeUnsealed,
		fieldcrypt.CodeTampered, fieldcrypt.CodeProtectionLost, fieldcrypt.CodeMemory, fieldcrypt.CodeValue,
		fieldcrypt.CodePerson, fieldcrypt.CodeForgotten, fieldcrypt.CodeVault, fieldcrypt.CodeRejected, fieldcrypt.CodeTenantDenied,
	} {
		known[string(c)] = true
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`((?:topic|schema|policy|tenant|record|value|key|format|protection|memory|person|vault)_[a-z]+(?:_[a-z]+)?)`").FindAllStringSubmatch(policyPage(t), -1) {
		named[m[1]] = true
		if !known[m[1]] {
			t.Errorf("the page names code %q", m[1])
		}
	}
	for c := range known {
		if !named[c] {
			t.Errorf("the page does not name code %q", c)
		}
	}
}

// rowsUnder returns the cells of the table with a header, without its marks of
// code.
func rowsUnder(t *testing.T, page, header string) [][]string {
	t.Helper()
	_, table, ok := strings.Cut(page, header+"\n")
	if !ok {
		t.Fatalf("no table %s", header)
	}
	var rows [][]string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") {
			if strings.HasPrefix(line, "|") {
				continue // the line below the header
			}
			break
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "| \n"), " | ") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows
}

// codeIn returns the first piece of code in a cell.
func codeIn(cell string) string {
	_, rest, _ := strings.Cut(cell, "`")
	code, _, _ := strings.Cut(rest, "`")
	return code
}

func TestTheExamplesOfThePageAreWhatTheActionsDo(t *testing.T) {
	page := policyPage(t)
	protect := func(rule, before string) string {
		t.Helper()
		e := newWorld(t).engine("version: 1\ndataset: d\ntopics: [{match: t, format: json, fields: [{path: /v, " + rule + "}]}]\n")
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: []byte(`{"v":` + before + `}`)})
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			return ""
		}
		return strings.TrimSuffix(strings.TrimPrefix(string(out.Value), `{"v":`), `}`)
	}
	masks := rowsUnder(t, page, "| rule | keeps | before | after |")
	named := map[string]bool{}
	for _, row := range masks {
		rule := codeIn(row[0])
		named[rule] = true
		want := fmt.Sprintf("%q", codeIn(row[3]))
		if got := protect("action: mask, rule: \""+rule+"\"", fmt.Sprintf("%q", codeIn(row[2]))); got != want {
			t.Errorf("rule %s: the page says %s, and it is %s", rule, want, got)
		}
	}
	for _, name := range mask.Names() {
		if base, _, _ := strings.Cut(name, ","); !named[name] && !named[base] && name != "card-first6-last4" {
			t.Errorf("the page has no rule %s", name)
		}
	}
	general := rowsUnder(t, page, "| action | type | before | after |")
	for _, row := range general {
		if got, want := protect("action: generalize, "+codeIn(row[0]), codeIn(row[2])), codeIn(row[3]); got != want {
			t.Errorf("generalize %s: the page says %s, and it is %s", row[0], want, got)
		}
	}
	if len(masks) < 20 || len(general) < 9 {
		t.Errorf("%d masks and %d generalisations", len(masks), len(general))
	}
}
