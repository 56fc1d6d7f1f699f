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
		fieldcrypt.CodeUngoverned, fieldcrypt.CodeUntagged, fieldcrypt.CodeSchema, fieldcrypt.CodePolicy, fieldcrypt.CodeTenant,
		fieldcrypt.CodeNotText, fieldcrypt.CodeTooLarge, fieldcrypt.CodeForeignKey, fieldcrypt.CodeMoved, fieldcrypt.CodeUnsealed,
		fieldcrypt.CodeTampered, fieldcrypt.CodeProtectionLost, fieldcrypt.CodeMemory,
	} {
		known[string(c)] = true
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`((?:topic|schema|policy|tenant|record|value|key|format|protection|memory)_[a-z]+(?:_[a-z]+)?)`").FindAllStringSubmatch(policyPage(t), -1) {
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
