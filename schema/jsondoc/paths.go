package jsondoc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/schema"
)

// maxStates bounds the shapes of a list of patterns. Patterns with ** that are
// made for it could ask for exponentially many.
const (
	maxStates = 1 << 12
	maxWork   = 1 << 22 // positions in the states that were looked at
)

// ForPaths returns the schema of documents without one. It has a leaf field of
// [schema.TypeJSON] for each pattern, in that order, and describes everything
// else.
//
// A pattern is a canonical path: a slash before each segment, which is the name of
// a member or one of these:
//
//	[]   any item of an array
//	*    any member of an object; {} means the same
//	**   any number of members and items, none included; at the end of a pattern
//	     at least one
//
// In a name, the characters that have a meaning here are spelled as in [Segment].
// When several patterns match a value, the first in the list counts.
//
// ForPaths fails when a pattern is not well-formed or stands in the list twice, or
// when the patterns together are too many to be matched in one pass.
func ForPaths(name string, paths []string) (*Schema, error) {
	b := pathBuilder{shapes: map[string]*Shape{}}
	fields := make([]schema.Field, 0, len(paths))
	start := make([]position, 0, len(paths))
	for i, path := range paths {
		segments, err := parsePath(path)
		if err != nil {
			return nil, fmt.Errorf("jsondoc: path %q: %w", path, err)
		}
		if slices.Contains(paths[:i], path) {
			return nil, fmt.Errorf("jsondoc: path %q: stands in the list twice", path)
		}
		b.patterns = append(b.patterns, segments)
		start = append(start, position{i, 0})
		fields = append(fields, schema.Field{
			Path: path, Type: schema.TypeJSON, Nullable: true, Wrapped: schema.TypeString, Encoding: "json",
			Numeric: true,
		})
	}
	root := b.shape(start)
	for len(b.open) > 0 {
		next := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		b.fill(next)
		if b.tooMany() {
			return nil, errors.New("jsondoc: paths: too many patterns that overlap")
		}
	}
	return New(name, "", fields, root)
}

// special characters of a pattern, and the digits that stand for them behind a ~.
const escapable = "~/*[]{}"

// Segment spells the name of a member for a path: ~0 stands for ~ and ~1 for /, as
// in a JSON Pointer, and ~2 for *, ~3 for [, ~4 for ], ~5 for { and ~6 for }.
func Segment(name string) string {
	if !strings.ContainsAny(name, escapable) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if i := strings.IndexRune(escapable, r); i >= 0 {
			b.WriteString("~" + strconv.Itoa(i))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

type segmentKind uint8

const (
	literalName segmentKind = iota
	anyMember
	anyItem
	anyDepth
)

type segment struct {
	kind segmentKind
	name string
}

func parsePath(path string) ([]segment, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("does not begin with a slash")
	}
	if !utf8.ValidString(path) {
		return nil, errors.New("is not UTF-8")
	}
	var out []segment
	for s := range strings.SplitSeq(path[1:], "/") {
		switch s {
		case "":
			return nil, errors.New("has an empty segment")
		case "[]":
			out = append(out, segment{kind: anyItem})
		case "*", "{}":
			out = append(out, segment{kind: anyMember})
		case "**":
			// Two of them mean no more than one.
			if n := len(out); n == 0 || out[n-1].kind != anyDepth {
				out = append(out, segment{kind: anyDepth})
			}
		default:
			name, err := parseName(s)
			if err != nil {
				return nil, err
			}
			out = append(out, segment{literalName, name})
		}
	}
	return out, nil
}

func parseName(s string) (string, error) {
	// A star or a bracket inside a name is more likely a wish for a pattern than
	// a name, and as a name it would protect nothing.
	if i := strings.IndexAny(s, "*[]{}"); i >= 0 {
		return "", fmt.Errorf("has %q inside a name; as a character it is spelled ~%d", s[i], strings.IndexByte(escapable, s[i]))
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '~' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) || s[i] < '0' || int(s[i]-'0') >= len(escapable) {
			return "", errors.New("has a ~ without a digit from 0 to 6")
		}
		b.WriteByte(escapable[s[i]-'0'])
	}
	return b.String(), nil
}

// A position says that the first segments of a pattern have been matched.
type position struct{ pattern, segments int }

// pathBuilder makes a shape of each set of positions that can be reached.
type pathBuilder struct {
	patterns [][]segment
	shapes   map[string]*Shape
	open     []state
	work     int
	key      []byte
}

type state struct {
	shape *Shape
	at    []position
}

// shape returns the shape of a value at which positions are reached.
func (b *pathBuilder) shape(at []position) *Shape {
	at = b.closure(at)
	b.work += len(at)
	b.key = b.key[:0]
	for _, p := range at {
		b.key = binary.AppendUvarint(b.key, uint64(p.pattern))  //nolint:gosec // a count
		b.key = binary.AppendUvarint(b.key, uint64(p.segments)) //nolint:gosec // a count
	}
	if s, ok := b.shapes[string(b.key)]; ok {
		return s
	}
	s := &Shape{Field: NoField}
	for _, p := range at {
		if p.segments == len(b.patterns[p.pattern]) {
			s.Field = p.pattern
			break
		}
	}
	b.shapes[string(b.key)] = s
	b.open = append(b.open, state{s, at})
	return s
}

// closure adds the positions behind each ** that is not the last segment, and
// sorts.
func (b *pathBuilder) closure(at []position) []position {
	out := slices.Clone(at)
	for _, p := range at {
		pattern := b.patterns[p.pattern]
		if p.segments+1 < len(pattern) && pattern[p.segments].kind == anyDepth {
			out = append(out, position{p.pattern, p.segments + 1})
		}
	}
	slices.SortFunc(out, func(x, y position) int {
		if x.pattern != y.pattern {
			return x.pattern - y.pattern
		}
		return x.segments - y.segments
	})
	return slices.Compact(out)
}

// step returns the positions after one more item or member, apart from those that
// a name leads to.
func (b *pathBuilder) step(at []position, item bool) (next []position) {
	for _, p := range at {
		pattern := b.patterns[p.pattern]
		if p.segments == len(pattern) {
			continue
		}
		further := position{p.pattern, p.segments + 1}
		switch kind := pattern[p.segments].kind; {
		case kind == anyItem && item, kind == anyMember && !item:
			next = append(next, further)
		case kind == anyDepth:
			next = append(next, p)
			if further.segments == len(pattern) {
				next = append(next, further)
			}
		}
	}
	return next
}

// fill gives a shape the shapes inside.
func (b *pathBuilder) fill(s state) {
	inside := false
	named := map[string][]position{}
	var names []string
	for _, p := range s.at {
		if p.segments == len(b.patterns[p.pattern]) {
			continue
		}
		inside = true
		if next := b.patterns[p.pattern][p.segments]; next.kind == literalName {
			if named[next.name] == nil {
				names = append(names, next.name)
			}
			named[next.name] = append(named[next.name], position{p.pattern, p.segments + 1})
		}
	}
	if !inside {
		s.shape.Any = true
		return
	}
	others := b.step(s.at, false)
	s.shape.rest = b.shape(others)
	s.shape.Items = b.shape(b.step(s.at, true))
	s.shape.Members = make(map[string]*Shape, len(names))
	for _, name := range names {
		if b.tooMany() {
			return
		}
		s.shape.Members[name] = b.shape(slices.Concat(others, named[name]))
	}
}

// tooMany tells that the patterns ask for more than they are given.
func (b *pathBuilder) tooMany() bool { return len(b.shapes) > maxStates || b.work > maxWork }
