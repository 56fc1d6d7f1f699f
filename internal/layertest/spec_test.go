package layertest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A requirement is defined once, at the beginning of a list item.
var (
	defined = regexp.MustCompile(`(?m)^- \*\*FV-(\d+)\*\*`)
	cited   = regexp.MustCompile(`\bFV-(\d+)\b`)
)

// numbers returns the numbers that the first group of re matches, in order.
func numbers(t *testing.T, re *regexp.Regexp, text string) []int {
	t.Helper()
	var out []int
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func TestEveryRequirementOfTheFormatHasATestThatCitesIt(t *testing.T) {
	dir := top(t)
	doc, err := os.ReadFile(filepath.Join(dir, "docs", "format.md"))
	if err != nil {
		t.Fatal(err)
	}
	requirements := numbers(t, defined, string(doc))
	if len(requirements) < 20 {
		t.Fatalf("docs/format.md defines only %v", requirements)
	}
	if !slices.IsSorted(requirements) || len(slices.Compact(slices.Clone(requirements))) != len(requirements) {
		t.Errorf("docs/format.md defines a number twice or out of order: %v", requirements)
	}
	for _, n := range numbers(t, cited, string(doc)) {
		if !slices.Contains(requirements, n) {
			t.Errorf("docs/format.md cites FV-%d and does not define it", n)
		}
	}

	citations := map[int][]string{}
	walk(t, func(name string) {
		if !strings.HasSuffix(name, "_test.go") || within(name, "internal/layertest") {
			return
		}
		src, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers(t, cited, string(src)) {
			citations[n] = append(citations[n], name)
		}
	})
	for _, n := range requirements {
		if len(citations[n]) == 0 {
			t.Errorf("no test cites FV-%d", n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(citations)) {
		if !slices.Contains(requirements, n) {
			t.Errorf("FV-%d is not defined in docs/format.md and is cited in %v", n, slices.Compact(citations[n]))
		}
	}
}
