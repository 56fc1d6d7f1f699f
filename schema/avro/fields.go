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
	leaf     int // index into fields, or -1
}

// expansion is one walk over the schema from the root.
type expansion struct {
	s      *Schema
	above  []*place // records on the way from the root
	places int
	bytes  int // of paths and tags
}

// maxFormer bounds the former paths of one field.
const maxFormer = 16

func (s *Schema) expand() error {
	e := &expansion{s: s}
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
	own := n.tags
	for n.kind == kindReference {
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
	p := &place{node: n, leaf: -1, tags: tags}
	switch n.kind {
	case "record":
		for _, a := range e.above {
			if a.node != n {
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
	case "null":
	default:
		p.leaf = len(e.s.fields)
		e.s.fields = append(e.s.fields, schema.Field{
			Path: at(path), Former: former, Type: schema.Type(n.kind), Logical: n.logical,
			Nullable: union != nil && nullBranch(union.node) >= 0, Tags: tags,
		})
	}
	return p, nil
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
