package fieldcrypt

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// person is the identifier of the person that a record is about, by which its
// times are shifted and keys chosen.
type person struct {
	id     []byte // in room
	known  bool
	wanted bool // what needs the identifier, or the person's key, came before it was there
	room   []byte
}

var (
	errNoPerson   = errors.New("the record does not say which person it is about")
	errTwoPersons = errors.New("the record names two persons")
)

// observe takes the identifier that the record holds. A field that a record has
// twice must say the same both times: readers differ in which they believe.
func (p *person) observe(id []byte) error {
	if p.known && !bytes.Equal(p.id, id) {
		return errTwoPersons
	}
	if len(id) == 0 {
		return nil // nobody
	}
	p.room = append(p.room[:0], id...)
	p.id, p.known = p.room, true
	return nil
}

// forget leaves nothing of the record behind.
func (p *person) forget() {
	clear(p.room[:cap(p.room)])
	p.id, p.known, p.wanted = nil, false, false
}

// begin finds what stands beside the value of the record.
func (s *sealing) begin(rec *Record) error {
	if rec == nil || !s.b.plan.about {
		return nil
	}
	s.dirty = true
	for i := range s.steps {
		if st := &s.steps[i]; st.field.about() && st.field.by.path == "" {
			// All fields of a plan go by the same.
			return s.beside(st, rec)
		}
	}
	return nil
}

// beside takes the identifier from the key or a header.
func (s *sealing) beside(st *step, rec *Record) error {
	if st.field.by.key {
		return s.person.observe(rec.Key)
	}
	for _, h := range rec.Headers {
		if h.Key != st.field.by.header {
			continue
		}
		if err := s.person.observe(h.Value); err != nil {
			return s.b.plan.fieldError(opProtect, st.field, err)
		}
	}
	return nil
}

// shift appends the time of the record's person.
func (s *sealing) shift(st *step, dst, value []byte) ([]byte, error) {
	switch {
	case s.person.known:
		return st.field.shift.Append(dst, value, st.keyed.days(s.person.id))
	case st.field.by.path == "" || s.round > 0:
		return dst, errNoPerson
	default:
		// The identifier may stand behind the time. What is written now is
		// thrown away.
		s.person.wanted, s.dirty = true, true
		return st.field.shift.Append(dst, value, 0)
	}
}

// ofPerson appends the value sealed under the key of the record's person.
func (s *sealing) ofPerson(st *step, dst, value []byte) ([]byte, error) {
	switch {
	case s.keys.Loaded():
	case s.person.known:
		if !s.keys.LoadCached(s.person.id) {
			// Nothing waits inside the byte loop: what is written now is thrown
			// away.
			s.person.wanted, s.dirty = true, true
			return dst, nil
		}
	case st.field.by.path == "" || s.round > 0:
		return dst, errNoPerson
	default:
		s.person.wanted, s.dirty = true, true
		return dst, nil
	}
	place := s.b.places[st.index]
	if st.op == stepPersonText {
		return s.keys.AppendText(dst, value, place)
	}
	return s.keys.Append(dst, value, place)
}

// loadPerson waits for the key of the record's person.
func (s *sealing) loadPerson(ctx context.Context) error {
	if s.keys == nil || !s.person.known {
		return nil
	}
	if err := s.keys.Load(ctx, s.person.id); err != nil {
		i := slices.IndexFunc(s.b.plan.fields, func(f fieldPlan) bool { return f.person })
		return s.b.plan.fieldError(opProtect, &s.b.plan.fields[i], err)
	}
	return nil
}
