package protobuf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
)

// hashBytes is how much of the digest of a message type stands in its name.
const hashBytes = 16

// encoding names how the bytes of a wrapped field are to be read: by its type,
// and for messages by the digest of what decides how a parser reads them. Names
// do not, so a rename keeps it.
func (b *builder) encoding(f *field) (string, error) {
	value := f
	prefix := ""
	switch {
	case f.isMap:
		value, prefix = f.value(), "map<"+f.key().kind.String()+", "
	case f.label == labelRepeated:
		prefix = "repeated "
	}
	name := value.kind.String()
	if value.enum != "" {
		name = "enum:" + value.enum
	}
	if value.msg != nil {
		hash, err := b.hash(value.msg)
		if err != nil {
			return "", err
		}
		name += ":" + hash
	}
	if f.isMap {
		name += ">"
	}
	return prefix + name, nil
}

// hash is the digest of a message type: of the numbers, labels and types of its
// fields, and of the types that these have, each numbered where it comes first.
func (b *builder) hash(m *message) (string, error) {
	if m.hash != "" {
		return m.hash, nil
	}
	h := sha256.New()
	h.Write([]byte("fieldveil/1 protobuf message\n"))
	numbers := map[*message]int{m: 0}
	queue := []*message{m}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		var line []byte
		line = append(line, "message "...)
		line = strconv.AppendInt(line, int64(len(next.fields)), 10)
		for _, f := range next.fields {
			b.hashed++
			if b.hashed > maxHashed {
				return "", fmt.Errorf("protobuf: the message types refer to each other more than can be followed, at %s", m.name)
			}
			line = append(line, '\n')
			line = strconv.AppendInt(line, int64(f.number), 10)
			switch {
			case f.isMap:
				line = append(line, " map "...)
			case f.label == labelRepeated:
				line = append(line, " repeated "...)
			case f.required:
				line = append(line, " required "...)
			default:
				line = append(line, " singular "...)
			}
			line = append(line, f.kind.String()...)
			if f.enum != "" {
				line = append(append(line, ' '), f.enum...)
			}
			if f.msg != nil {
				n, known := numbers[f.msg]
				if !known {
					n = len(numbers)
					numbers[f.msg] = n
					queue = append(queue, f.msg)
				}
				line = strconv.AppendInt(append(line, ' '), int64(n), 10)
			}
		}
		h.Write(append(line, '\n'))
	}
	m.hash = hex.EncodeToString(h.Sum(nil)[:hashBytes])
	return m.hash, nil
}
