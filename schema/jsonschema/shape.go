package jsonschema

import "github.com/fieldveil/fieldveil/schema/jsondoc"

// shapes makes the shapes of the places, which fold in the same way.
type shapes map[*place]*jsondoc.Shape

func (m shapes) of(p *place) *jsondoc.Shape {
	if p == nil {
		return nil
	}
	if p.outer != nil {
		p = p.outer
	}
	if s, ok := m[p]; ok {
		return s
	}
	s := &jsondoc.Shape{Field: p.field, Omit: p.omit, Integral: p.integral}
	m[p] = s
	if p.sealed {
		// A string stands here, whatever the original has.
		s.Any = true
		return s
	}
	s.Kinds = p.kinds
	if p.kinds&kindInteger != 0 {
		s.Kinds = s.Kinds&^kindInteger | jsondoc.KindNumber
	}
	if len(p.members) > 0 {
		s.Members = make(map[string]*jsondoc.Shape, len(p.members))
		for name, c := range p.members {
			s.Members[name] = m.of(c)
		}
	}
	s.Match = m.match(p)
	s.Items = m.of(p.items)
	for _, c := range p.prefix {
		s.Prefix = append(s.Prefix, m.of(c))
	}
	return s
}

// match returns the function that finds the place of members without a name.
func (m shapes) match(p *place) func([]byte) (*jsondoc.Shape, bool) {
	rest := m.of(p.rest)
	if len(p.patterns) == 0 {
		if rest == nil {
			return nil
		}
		return func([]byte) (*jsondoc.Shape, bool) { return rest, true }
	}
	several := m.of(p.several)
	singles := make([]*jsondoc.Shape, len(p.patterns))
	for i, pp := range p.patterns {
		singles[i] = m.of(pp.place)
	}
	patterns := p.patterns
	return func(name []byte) (*jsondoc.Shape, bool) {
		s, matching := rest, 0
		for i := range patterns {
			if !patterns[i].re.Match(name) {
				continue
			}
			matching++
			if matching > 1 {
				s = several
				break
			}
			s = singles[i]
		}
		return s, s != nil
	}
}
