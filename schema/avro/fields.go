package avro

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// A place is one occurrence of a type in the expanded schema. A recursive
// reference is a place that points to the outer one.
type place struct {
	node     *node
	children []*place // of records, unions; one of arrays and maps
	outer    *place   // of a recursive reference
	tags     []string
	field    int  // index into fields, or -1
	sealed   bool // the encoded records hold the wrapped form
}

// expansion is one walk over the schema from the root.
type expansion struct {
	s         *Schema
	encodings encodings
	above     []*place // records on the way from the root
	places    int
	bytes     int // of paths and tags
	matching  int // of names with patterns
}

// maxFormer bounds the former paths of one field.
const maxFormer = 16

func (s *Schema) expand() error {
	e := &expansion{s: s, encodings: encodings{known: make(map[*node]string)}}
	tags, err := e.ruled("/", "")
	if err != nil {
		return err
	}
	tree, err := e.place(s.root, "", nil, tags, nil, 0)
	s.tree = tree
	return err
}

// place expands n at path. former are the paths the place had by aliases,
// outer the tags of what encloses it, innermost first.
func (e *expansion) place(n *node, path string, former, outer []string, union *node, depth int) (*place, error) {
	// Types that name others twice, level upon level, would grow without end.
	e.places++
	if e.places > maxFields {
		return nil, fmt.Errorf("avro: schema expands to more than %d fields and types", maxFields)
	}
	if depth > 2*maxNesting {
		return nil, fmt.Errorf("avro: %s: schema nests deeper than %d", at(path), 2*maxNesting)
	}
	p := &place{field: -1}
	own := n.tags
	for n.kind == kindReference || n.kind == kindSealed {
		p.sealed = p.sealed || n.kind == kindSealed
		n = n.items
		own = slices.Concat(own, n.tags)
	}
	tags := joinTags(own, outer)
	if len(tags) > maxFieldTags {
		return nil, fmt.Errorf("avro: %s: more than %d tags", at(path), maxFieldTags)
	}
	e.bytes += len(path) + len(tags)*16
	for _, f := range former {
		e.bytes += len(f)
	}
	if len(path) > maxPath || e.bytes > maxExpanded {
		return nil, errors.New("avro: paths and tags are too long, all together")
	}
	p.node, p.tags = n, tags
	if n.kind == "record" {
		if a := e.outer(n); a != nil {
			// The fields below are those of the outer place. A tag that only the
			// inner one has would be lost, and its values with it.
			for _, t := range tags {
				if !slices.Contains(a.tags, t) {
					return nil, fmt.Errorf("avro: %s: tag %q on a recursive reference does not stand on the type itself", at(path), t)
				}
			}
			p.outer = a
			return p, nil
		}
		e.above = append(e.above, p)
		defer func() { e.above = e.above[:len(e.above)-1] }()
	}
	if err := e.list(p, path, former, union, depth); err != nil {
		return nil, err
	}
	if err := e.children(p, path, former, depth); err != nil {
		return nil, err
	}
	if p.field >= 0 && container(n) {
		e.s.fields[p.field].End = len(e.s.fields)
	}
	return p, nil
}

// outer returns the place of the same record type that encloses this one. Types
// are told apart by name, as a derived schema holds some of them more than once.
func (e *expansion) outer(n *node) *place {
	for _, a := range e.above {
		if a.node.name == n.name {
			return a
		}
	}
	return nil
}

// container tells whether a value of n holds others.
func container(n *node) bool {
	return n.kind == "record" || n.kind == "array" || n.kind == "map" || n.kind == "union"
}

// list makes a field of p. Null is none, nor is a union of null and one other,
// which is a type that can be null, nor the root, unless it is a leaf.
func (e *expansion) list(p *place, path string, former []string, union *node, depth int) error {
	n := p.node
	if n.kind == "null" || n.kind == "union" && others(n) < 2 || container(n) && depth == 0 {
		return nil
	}
	f := schema.Field{
		Path: at(path), Former: former, Type: schema.Type(n.kind), Tags: p.tags, Sealed: p.sealed,
		Nullable: union != nil && nullBranch(union) >= 0 || nullBranch(n) >= 0,
	}
	if !container(n) {
		f.Logical = n.logical
	}
	_, f.Numeric = numberOf(n)
	if wrappable(n) {
		f.Wrapped, f.Encoding = schema.TypeBytes, e.encodings.of(n)
		if e.encodings.size > maxCanonical {
			return errors.New("avro: types are too long, all together")
		}
	}
	p.field = len(e.s.fields)
	e.s.fields, e.s.places = append(e.s.fields, f), append(e.s.places, p)
	return nil
}

func (e *expansion) children(p *place, path string, former []string, depth int) error {
	n := p.node
	add := func(n *node, path string, former, tags []string, union *node) error {
		c, err := e.place(n, path, former, tags, union, depth+1)
		p.children = append(p.children, c)
		return err
	}
	switch n.kind {
	case "record":
		for i := range n.fields {
			f := &n.fields[i]
			below := path + "/" + f.name
			ruled, err := e.ruled(below, n.name+"."+f.name)
			if err != nil {
				return err
			}
			tags := joinTags(joinTags(f.tags, ruled), p.tags)
			if err := add(f.typ, below, formerPaths(path, former, f), tags, nil); err != nil {
				return err
			}
		}
	case "array", "map":
		step := "/[]"
		if n.kind == "map" {
			step = "/{}"
		}
		ruled, err := e.ruled(path+step, "")
		if err != nil {
			return err
		}
		return add(n.items, path+step, suffixed(former, step), joinTags(ruled, p.tags), nil)
	case "union":
		for _, b := range n.branches {
			if err := add(b, path, former, p.tags, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bounds of the tags beside a text.
const (
	maxRules    = 4096
	maxMatching = 1 << 28 // products of the lengths of patterns and names
)

func checkRules(rules []schema.TagRule) error {
	if len(rules) > maxRules {
		return fmt.Errorf("avro: more than %d rules give tags", maxRules)
	}
	for _, r := range rules {
		switch {
		case len(r.Pattern) > maxPath:
			return fmt.Errorf("avro: a pattern is longer than %d bytes", maxPath)
		case len(r.Tags) > maxTags:
			return fmt.Errorf("avro: pattern %.80q: more than %d tags", r.Pattern, maxTags)
		case slices.Contains(r.Tags, ""):
			return fmt.Errorf("avro: pattern %.80q: %w", r.Pattern, errTags)
		}
	}
	return nil
}

// ruled returns the tags that the rules beside the text give to a path and a
// qualified name.
func (e *expansion) ruled(path, name string) ([]string, error) {
	var near []schema.TagRule
	for _, r := range e.s.text.Tags {
		if !strings.ContainsAny(r.Pattern, "*?") {
			if r.Pattern == path || r.Pattern == name {
				near = append(near, r)
			}
			continue
		}
		if e.matching += len(r.Pattern) * max(len(path), len(name)); e.matching > maxMatching {
			return nil, errors.New("avro: patterns and names are too long, all together")
		}
		near = append(near, r)
	}
	return schema.TagsFor(near, path, name), nil
}

// nullBranch returns the index of the null branch of a union, or -1.
func nullBranch(n *node) int {
	return slices.IndexFunc(n.branches, func(b *node) bool { return b.kind == "null" })
}

// joinTags returns own and then outer, which has no repeats, without repeats.
func joinTags(own, outer []string) []string {
	if len(own) == 0 {
		return outer
	}
	out := make([]string, 0, len(own)+len(outer))
	for _, t := range own {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	inner := len(out)
	for _, t := range outer {
		if !slices.Contains(out[:inner], t) {
			out = append(out, t)
		}
	}
	return out
}

// formerPaths are all other spellings of path/f: its aliases below the path and
// its name and aliases below each former path.
func formerPaths(path string, former []string, f *nodeField) []string {
	var out []string
	now := path + "/" + f.name
	for _, base := range append([]string{path}, former...) {
		for _, name := range append([]string{f.name}, f.aliases...) {
			if p := base + "/" + name; p != now {
				out = append(out, p)
			}
			if len(out) == maxFormer {
				return out
			}
		}
	}
	return out
}

func suffixed(paths []string, step string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, p+step)
	}
	return out
}
