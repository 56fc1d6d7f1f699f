package fieldcrypt

import "strings"

// A glyph is one element of a pattern: of topics a character, of paths a segment.
type glyph struct {
	kind glyphKind
	text string // of a literal
}

type glyphKind uint8

const (
	literal glyphKind = iota
	anyOne            // one of any
	anyRun            // any number of any, none included
)

// topicGlyphs reads the pattern of a topic.
func topicGlyphs(match string) []glyph {
	out := make([]glyph, 0, len(match))
	for i := range len(match) {
		switch match[i] {
		case '*':
			out = append(out, glyph{kind: anyRun})
		case '?':
			out = append(out, glyph{kind: anyOne})
		default:
			out = append(out, glyph{text: match[i : i+1]})
		}
	}
	return out
}

// pathGlyphs reads the pattern of a path in records without a schema, and of all
// that is below it: a value is taken with what it holds.
func pathGlyphs(path string) []glyph {
	var out []glyph
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch segment {
		case "**":
			out = append(out, glyph{kind: anyRun})
		case "*", "{}":
			// Of an array it is no item; that this says so too finds too much, at
			// most.
			out = append(out, glyph{kind: anyOne})
		default:
			out = append(out, glyph{text: segment})
		}
	}
	return append(out, glyph{kind: anyRun})
}

// meet tells whether something matches both patterns.
func meet(a, b []glyph) bool {
	// reach[j] tells whether the glyphs of a so far and the first j of b meet.
	reach := make([]bool, len(b)+1)
	reach[0] = true
	for j := 1; j <= len(b) && b[j-1].kind == anyRun; j++ {
		reach[j] = true
	}
	for i := range a {
		next := make([]bool, len(b)+1)
		for j := range next {
			switch {
			case a[i].kind == anyRun:
				next[j] = reach[j] || j > 0 && next[j-1]
			case j == 0:
			case b[j-1].kind == anyRun:
				next[j] = next[j-1] || reach[j]
			default:
				next[j] = reach[j-1] && (a[i].kind == anyOne || b[j-1].kind == anyOne || a[i].text == b[j-1].text)
			}
		}
		reach = next
	}
	return reach[len(b)]
}
