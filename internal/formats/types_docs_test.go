package formats_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The table of docs/policy.md says which types an action takes; the matrix says
// what the tests hold the code to. They are two texts by hand, and must agree.
func TestTheMatrixIsWhatTheDocumentationSays(t *testing.T) {
	table := documentedTypes(t)
	columns := slices.Concat(actions()...)
	checked := 0
	for name, line := range readMatrix(t) {
		row, container := strings.TrimSuffix(line.row, "?"), false
		for _, prefix := range []string{"array of ", "map of ", "repeated ", "record of ", "message of ", "message of "} {
			rest, ok := strings.CutPrefix(row, prefix)
			if ok {
				row, container = strings.TrimSuffix(rest, "?"), true
			}
		}
		cells := table[documentedRow(row)]
		if cells == nil {
			continue // several types at once, or none that the table has
		}
		whole := table["record, array, map, union, with `apply: whole`"]
		letters := []rune(strings.Join(line.letters, ""))
		for i, a := range columns {
			column := documentedColumn(a.name)
			cell, nullable := cells[column], strings.HasSuffix(line.row, "?")
			switch {
			case container && a.word == "drop":
				continue // the container may be null, or what it holds
			case container && strings.HasSuffix(a.name, "-whole"):
				cell = whole[column]
			}
			want := documentedOutcome(&a, cell, row, nullable)
			if want != outRefused && strings.HasSuffix(name, " holding null") {
				want = outNull
			}
			checked++
			if letters[i] != want {
				t.Errorf("%s under %s has %c in the matrix, and the table says %q for %s: %c", name, a.name, letters[i], cell, line.row, want)
			}
		}
	}
	if checked < 7000 {
		t.Errorf("%d pairs were found in the table", checked)
	}
	t.Logf("%d pairs", checked)
}

// documentedTypes reads the table: by row and column, what the cell says.
func documentedTypes(t *testing.T) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, ok := strings.Cut(string(text), "\n| | `encrypt` | deterministic |")
	if !ok {
		t.Fatal("docs/policy.md has no table of types and actions")
	}
	lines := strings.Split("| | `encrypt` | deterministic |"+text2, "\n")
	columns := cellsOf(lines[0])
	out := make(map[string]map[string]string)
	for _, line := range lines[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := cellsOf(line)
		if len(cells) != len(columns) {
			t.Fatalf("%d cells in %q", len(cells), line)
		}
		row := make(map[string]string)
		for i, cell := range cells[1:] {
			row[columns[i+1]] = cell
		}
		out[cells[0]] = row
	}
	return out
}

func cellsOf(line string) []string {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// documentedRow returns the row of the table for one of the matrix, empty for none.
func documentedRow(row string) string {
	switch row {
	case "string", "bytes", "decimal", "uuid":
		return "`" + row + "`"
	case "number":
		return "integers, `float`, `double`"
	case "date", "date as text":
		return "dates"
	case "timestamp":
		return "timestamps"
	case "few":
		return "`boolean`, `enum`"
	case "other":
		return "`fixed`, times of day, other constraints"
	case "json string", "json number", "json other", "any string", "any number", "any other":
		return "a value of JSON without a schema"
	default:
		return ""
	}
}

func documentedColumn(action string) string {
	switch action {
	case "encrypt", "encrypt-whole", "person", "person-whole":
		return "`encrypt`"
	case "deterministic", "deterministic-reason", "deterministic-whole":
		return "deterministic"
	case "format-preserving", "token-key-digits":
		return "format-preserving, computed tokens"
	case "token-prefixed", "token-uuid", "token-pan":
		return "`tokenize` in a vault"
	case "hash-hex", "hash-uuid", "unsafe-sha256":
		return "`hash`"
	case "mask-keep", "mask-email", "mask-redact":
		return "`mask`"
	case "bucket", "top", "round":
		return "`generalize` numbers"
	case "year", "year-seconds", "year-iso-date", "shift-person", "shift-key", "shift-seconds", "shift-iso-date":
		return "`generalize` times, `shift`"
	case "constant-text", "constant-number":
		return "`constant`"
	case "drop", "drop-whole":
		return "`drop`"
	default:
		return "`reject`"
	}
}

// documentedOutcome returns the letter that a cell asks for.
func documentedOutcome(a *action, cell, row string, nullable bool) rune {
	fits := map[way]rune{never: outGone, byKey: outBack, byRequest: outToken, refused: outRejected}[a.way]
	kind, bare := strings.CutPrefix(row, "json ")
	kind, anything := strings.CutPrefix(kind, "any ")
	ofRecord := func(want string) rune {
		if kind == want {
			return fits
		}
		return outMalformed
	}
	column := documentedColumn(a.name)
	if column == "`generalize` times, `shift`" && cell != "no" {
		return documentedTime(a, cell, row, fits, ofRecord, bare || anything)
	}
	switch cell {
	case "no":
		return outRefused
	case "yes":
		if anything && a.word == "encrypt" && strings.HasPrefix(column, "`encrypt`") || anything && column == "deterministic" {
			return outDerived // a schema says what it was
		}
		if anything && a.word == "drop" && !nullable {
			return outRefused
		}
		return fits
	case "derived":
		return outDerived
	case "with a reason":
		if strings.Contains(a.params, "reason:") {
			return outDerived
		}
		return outRefused
	case "a number in it":
		return fits
	case "a number":
		if a.name == "constant-number" {
			return fits
		}
		return outRefused
	case "`format: uuid`", "`form: uuid`":
		if strings.HasSuffix(a.name, "-uuid") {
			return fits
		}
		return outRefused
	case "if nullable":
		if nullable {
			return fits
		}
		return outRefused
	case "if it is a string":
		return ofRecord("string")
	case "if it is a number":
		return ofRecord("number")
	default:
		return outFault
	}
}

// documentedTime returns the letter for an action on times.
func documentedTime(a *action, cell, row string, fits rune, ofRecord func(string) rune, recordTells bool) rune {
	seconds, date := strings.HasSuffix(a.name, "-seconds"), strings.HasSuffix(a.name, "-iso-date")
	switch {
	case cell == "yes" && date && row == "date as text":
		return fits // the layout is that of the type
	case cell == "yes" && !seconds && !date:
		return fits
	case cell == "yes":
		return outRefused
	case cell != "with `layout`":
		return outFault
	case !seconds && !date:
		return outRefused
	case recordTells && seconds:
		return ofRecord("number")
	case recordTells:
		return ofRecord("string")
	case seconds == (row == "number"):
		return fits
	default:
		return outRefused
	}
}
