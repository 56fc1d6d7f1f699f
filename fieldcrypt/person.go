package fieldcrypt

import (
	"bytes"
	"errors"
)

// person is the identifier of the person that a record is about, by which its
// times are shifted.
type person struct {
	id     []byte // in room
	known  bool
	wanted bool // a time was met before the identifier
	room   []byte
}

var (
	errNoPerson   = errors.New("the record does not say whose time this is")
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
	if rec == nil || !s.b.plan.shifts {
		return nil
	}
	s.dirty = true
	for i := range s.steps {
		if st := &s.steps[i]; st.op == stepShift && st.field.by.path == "" {
			// All shifted fields of a plan go by the same.
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
