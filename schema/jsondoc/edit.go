package jsondoc

import (
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/schema"
)

// edit reads the value at pos and rewrites it.
func (m *machine) edit(n *node, pos, depth int) (int, error) {
	if pos >= len(m.src) {
		return 0, malformed(pos, reasonTruncated)
	}
	c := m.src[pos]
	switch {
	case n.op == schema.Nullify:
		return m.nullify(pos, depth)
	case c == 'n':
		return m.literal(pos, "null")
	case n.op == schema.Wrap && m.program.back:
		return m.unwrap(n, pos, depth)
	case n.op == schema.Wrap:
		return m.wrap(n, pos, depth)
	case n.op == schema.Number && (c == '-' || digit(c)):
		return m.renumber(n, pos)
	case n.op == schema.Number:
		return 0, m.refuse(pos, depth, reasonNoNumber)
	case c == '"':
		return m.replace(n, pos)
	default:
		return 0, m.refuse(pos, depth, reasonString)
	}
}

// refuse gives the reason for which a value does not fit its edit. What is no JSON
// at all is told as such.
func (m *machine) refuse(pos, depth int, reason string) error {
	if _, err := m.value(m.program.open, pos, depth); err != nil {
		return err
	}
	return malformed(pos, reason)
}

func (m *machine) nullify(pos, depth int) (int, error) {
	end, err := m.value(m.program.open, pos, depth)
	if err != nil {
		return 0, err
	}
	m.flush(pos)
	m.dst = append(m.dst, "null"...)
	m.mark = end
	return end, nil
}

// visit has the visitor append to what was copied. kept is true when the value is
// to stay.
func (m *machine) visit(n *node, value []byte) (kept bool, err error) {
	out, err := m.visitor.Visit(int(n.edit), m.dst, value)
	if err != nil {
		if m.program.back && errors.Is(err, schema.ErrKeep) {
			return true, nil
		}
		return false, err
	}
	if len(out) < len(m.dst) {
		return false, errAnswerDst
	}
	m.dst = out
	return false, nil
}

// content checks the string at pos and returns what it means.
func (m *machine) content(pos int) (content []byte, end int, err error) {
	end, escaped, err := m.text(pos)
	if err != nil {
		return nil, 0, err
	}
	content = m.src[pos+1 : end-1 : end-1]
	if escaped {
		content = slices.Clip(m.decoded(content))
	}
	return content, end, nil
}

func (m *machine) replace(n *node, pos int) (int, error) {
	content, end, err := m.content(pos)
	if err != nil {
		return 0, err
	}
	// The quotes stay, and with them the work of writing them.
	m.flush(pos + 1)
	start := len(m.dst)
	kept, err := m.visit(n, content)
	if err != nil || kept {
		return end, err
	}
	m.mark = end - 1
	return end, m.quote(n, start)
}

// quote makes the answer at m.dst[start:] the inside of a string.
func (m *machine) quote(n *node, start int) (err error) {
	if m.plain != nil && m.plain.Plain(int(n.edit)) {
		return nil
	}
	m.dst, err = quoted(m.dst, start)
	return err
}

func (m *machine) renumber(n *node, pos int) (int, error) {
	end, err := m.number(pos)
	if err != nil {
		return 0, err
	}
	m.flush(pos)
	start := len(m.dst)
	kept, err := m.visit(n, m.src[pos:end:end])
	if err != nil || kept {
		return end, err
	}
	m.mark = end
	if !fitsNumber(m.dst[start:], end-pos, n.integral) {
		return 0, schema.ErrNumber
	}
	return end, nil
}

func (m *machine) wrap(n *node, pos, depth int) (int, error) {
	end, err := m.value(m.program.open, pos, depth)
	if err != nil {
		return 0, err
	}
	m.flush(pos)
	m.dst = append(m.dst, '"')
	start := len(m.dst)
	if _, err = m.visit(n, m.src[pos:end:end]); err != nil {
		return 0, err
	}
	if err := m.quote(n, start); err != nil {
		return 0, err
	}
	m.dst = append(m.dst, '"')
	m.mark = end
	return end, nil
}

func (m *machine) unwrap(n *node, pos, depth int) (int, error) {
	var (
		value []byte
		end   int
		err   error
	)
	if m.src[pos] == '"' {
		value, end, err = m.content(pos)
	} else if end, err = m.value(m.program.open, pos, depth); err == nil {
		value = m.src[pos:end:end]
	}
	if err != nil {
		return 0, err
	}
	m.flush(pos)
	start := len(m.dst)
	kept, err := m.visit(n, value)
	if err != nil || kept {
		return end, err
	}
	m.mark = end
	if !m.single(m.dst[start:], depth) {
		return 0, malformed(pos, reasonRestored)
	}
	return end, nil
}

// single tells whether text is exactly one JSON value, which depth containers may
// enclose.
func (m *machine) single(text []byte, depth int) bool {
	// The names of the objects around lie in the same scratch, and are not looked
	// at.
	in := machine{program: m.program, src: text, held: m.held}
	end, err := in.value(m.program.open, 0, depth)
	m.held = in.held
	return err == nil && end == len(text)
}
