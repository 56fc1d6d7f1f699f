package avro

import (
	"errors"
	"fmt"
	"slices"

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
	leaf     bool // a field that holds no others
	sealed   bool // the encoded records hold the wrapped form
}

// expansion is one walk over the schema from the root.
type expansion struct {
	s      *Schema
	rules  []schema.TagRule // those that name fields by their paths
	above  []*place         // records on the way from the root
	places int
	bytes  int // of paths and tags
	sealed int // wrapped places on the way from the root

	encodings map[*node]string
	written   int // of the types, to name their encodings
}

// maxFormer bounds the former paths of one field.
const maxFormer = 16

func (s *Schema) expand() error {
	e := &expansion{s: s, rules: s.text.Tags}
	tree, err := e.place(s.root, "", nil, nil, nil, 0)
	s.tree = tree
	return err
}

// place expands n at path. former are the paths the place had by aliases,
// outer the tags of what encloses it, innermost first.
func (e *expansion) place(n *node, path string, former, outer []string, union *place, depth int) (*place, error) {
	// Types that name others twice, level upon level, would grow without end.
	e.places++
	if e.places > maxFields {
		return nil, fmt.Errorf("avro: schema expands to more than %d fields and types", maxFields)
	}
	if depth > 2*maxNesting {
		return nil, fmt.Errorf("avro: %s: schema nests deeper than %d", at(path), 2*maxNesting)
	}
	own, sealed := n.tags, false
	for n.kind == kindReference || n.kind == kindWrapped {
		sealed = sealed || n.kind == kindWrapped
		n = n.items
		own = slices.Concat(own, n.tags)
	}
	own = slices.Concat(own, schema.TagsFor(e.rules, at(path), ""))
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
	p := &place{node: n, field: -1, tags: tags, sealed: sealed}
	if sealed {
		e.sealed++
		defer func() { e.sealed-- }()
	}
	if n.kind == "record" {
		for _, a := range e.above {
			// The original type of a wrapped field stands by itself, so that it
			// has definitions of its own of the types around it.
			if a.node != n && (e.sealed == 0 || a.node.name != n.name) {
				continue
			}
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
	}
	// A union of null and another type is no container: the other type is
	// nullable. Neither is the root, which nobody can wrap.
	branches := 0
	for _, b := range n.branches {
		if b.kind != "null" {
			branches++
		}
	}
	listed := n.kind != "null" && (n.kind != "union" || branches > 1) && (depth > 0 || leafKind(n.kind))
	if listed {
		p.field, p.leaf = len(e.s.fields), leafKind(n.kind)
		f := schema.Field{
			Path: at(path), Former: former, Type: schema.Type(n.kind), Logical: n.logical, Tags: tags,
			Nullable: union != nil && nullBranch(union.node) >= 0 || n.kind == "union" && nullBranch(n) >= 0,
			Sealed:   sealed,
		}
		if f.Logical != "" || f.Type != schema.TypeString && f.Type != schema.TypeBytes {
			f.Wrapped = schema.TypeBytes
			var err error
			if f.Encoding, err = e.encoding(n); err != nil {
				return nil, err
			}
		}
		e.s.fields = append(e.s.fields, f)
	}
	switch n.kind {
	case "record":
		e.above = append(e.above, p)
		defer func() { e.above = e.above[:len(e.above)-1] }()
		for i := range n.fields {
			f := &n.fields[i]
			c, err := e.place(f.typ, path+"/"+f.name, formerPaths(path, former, f), joinTags(f.tags, tags), nil, depth+1)
			if err != nil {
				return nil, err
			}
			p.children = append(p.children, c)
		}
	case "array", "map":
		step := "/[]"
		if n.kind == "map" {
			step = "/{}"
		}
		c, err := e.place(n.items, path+step, suffixed(former, step), tags, nil, depth+1)
		if err != nil {
			return nil, err
		}
		p.children = []*place{c}
	case "union":
		for _, b := range n.branches {
			c, err := e.place(b, path, former, tags, p, depth+1)
			if err != nil {
				return nil, err
			}
			p.children = append(p.children, c)
		}
	}
	if listed && !p.leaf {
		e.s.fields[p.field].End = len(e.s.fields)
	}
	return p, nil
}

// leafKind tells whether values of a kind hold no others.
func leafKind(kind string) bool {
	switch kind {
	case "null", "record", "array", "map", "union":
		return false
	default:
		return true
	}
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
