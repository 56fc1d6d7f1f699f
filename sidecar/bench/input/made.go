package input

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/schema"
)

// A recordMaker makes records of one schema up, without framing.
type recordMaker interface {
	record(dst []byte) ([]byte, error)
}

// newRecordMaker returns the maker of a schema of any format.
func newRecordMaker(text schema.Text, seed uint64, spread Spread) (recordMaker, error) {
	parsed, err := parse(text)
	if err != nil {
		return nil, err
	}
	if d, ok := parsed.(schema.Derived); ok {
		if _, derived := d.Origin(); derived {
			return nil, errDerived
		}
	}
	tags := make(map[string][]string)
	for _, f := range parsed.Fields() {
		tags[f.Path] = f.Tags
	}
	b := bounded{maker: newMaker(seed), shaper: newShaper(tags), spread: spread}
	switch text.Format {
	case schema.Avro:
		return newAvroMaker(text, b)
	case schema.JSONSchema:
		return newJSONMaker(text, b)
	case schema.Protobuf:
		return newProtoMaker(text, b)
	default:
		return nil, errors.New("unknown format of schema")
	}
}

var errDerived = errors.New("this is the schema of protected records: give the one that it was derived from")

// Limits of what is made up.
const (
	DefaultRecords = 1000
	MaxRecords     = 1_000_000
)

// DefaultSpread is how many items arrays and maps have that are made up, unless
// the schema says otherwise.
func DefaultSpread() Spread { return Spread{Least: 1, Most: 4} }

// fill makes up count records of the schema, behind the framing where the Set has
// one. The text may be another than that of the Set, which has none where its
// policy protects JSON by paths.
func (s *Set) fill(ctx context.Context, text schema.Text, seed uint64, count int, spread Spread) error {
	m, err := newRecordMaker(text, seed, spread)
	if err != nil {
		return err
	}
	var head []byte
	if s.Framed {
		if head, err = frame(s.SchemaID, text.Format); err != nil {
			return err
		}
	}
	keys := newMaker(seed + 1)
	s.Synthetic = true
	total := 0
	for i := range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		value, err := m.record(append([]byte(nil), head...))
		if err != nil {
			return fmt.Errorf("record %d: %w", i+1, err)
		}
		if total += len(value); total > maxTotal {
			s.notef("Only %d records were made up: more do not fit into memory.", i)
			return nil
		}
		s.Records = append(s.Records, Record{Key: []byte(keys.uuid()), Value: value})
	}
	return nil
}
