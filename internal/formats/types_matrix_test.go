package formats_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whoever writes the matrix reads every line that has changed against the table in
// docs/policy.md: it is what the tests hold the code to.
var update = flag.Bool("update", false, "write testdata/types.txt from what the code does, to be read line by line")

const matrixFile = "testdata/types.txt"

// A matrixLine is one type with its outcome under each action, in the groups of
// actions.
type matrixLine struct {
	name, row string
	letters   []string
}

func writeMatrix(t *testing.T, groups [][]action, lines []matrixLine) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# What becomes of a value of each type under each action.\n#\n")
	for _, o := range outcomes() {
		fmt.Fprintf(&b, "#   %c  %s\n", o.letter, o.says)
	}
	b.WriteString("#\n# The columns:\n#\n")
	for i, a := range slices.Concat(groups...) {
		fmt.Fprintf(&b, "#  %2d  %-21s {%s}\n", i+1, a.name, a.rule())
	}
	b.WriteString("#\n# The row is that of the table in docs/policy.md; ? says that the value may be null.\n#\n")
	for _, digit := range []int{10, 1} {
		n, groups := 0, []string{}
		for _, group := range groups {
			s := ""
			for range group {
				n++
				s += fmt.Sprint(n / digit % 10)
			}
			groups = append(groups, s)
		}
		b.WriteString("# " + strings.Join(groups, " ") + "\n")
	}
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s | %-26s | %s\n", strings.Join(l.letters, " "), l.row, l.name)
	}
	if err := os.MkdirAll(filepath.Dir(matrixFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(matrixFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readMatrix returns the lines by name.
func readMatrix(t *testing.T) map[string]matrixLine {
	t.Helper()
	text, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]matrixLine)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.SplitN(strings.TrimSpace(line), " | ", 3)
		if len(parts) != 3 {
			t.Fatalf("%s: %q", matrixFile, line)
		}
		l := matrixLine{name: parts[2], row: strings.TrimSpace(parts[1]), letters: strings.Fields(parts[0])}
		if _, twice := out[l.name]; twice {
			t.Fatalf("%s: %q stands there twice", matrixFile, l.name)
		}
		out[l.name] = l
	}
	return out
}
