package input

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// OwnRecords is the name of a Set that holds the user's own records.
const OwnRecords = "own records"

// OwnSchema is the name of a Set whose records were made up from the user's schema.
const OwnSchema = "own schema"

// A Record is one record as its producer gives it away, before it is protected.
type Record struct {
	Key     []byte // nil for none
	Value   []byte
	Headers []fieldcrypt.Header
}

// A Set is what a run measures: records of one topic, with their schema and
// policy. It must not be changed while a run uses it; reading is safe for
// concurrent use.
type Set struct {
	Name  string // such as "order-avro", OwnRecords or OwnSchema
	Topic string // the topic that the policy sees
	// Text is the schema with its references. It is the zero Text where the policy
	// protects JSON by paths, and the records follow no schema.
	Text    schema.Text
	Subject string // where a registry would have it; empty without a schema
	Policy  []byte // text of the policy file
	Records []Record
	// Framed says that values begin with the wire prefix of SchemaID.
	Framed    bool
	SchemaID  int
	Synthetic bool // the values were made up
	// Tagged holds, for each record, the plaintexts that the policy encrypts, in the
	// order in which the record holds them: what a floor has to seal. Those of JSON
	// have their quotes, as they are sealed. Values that are encrypted in their own format are none of them, since no cipher of the floor
	// makes those; nor are keys and headers.
	Tagged [][][]byte
	// Protected is how many values of a record the policy changes, on average.
	Protected float64
	// KMS opens the keys that Policy names, in this process. It is nil where they
	// belong to a key management service of the user: see [Set.Rekey].
	KMS kms.Wrapper
	// Notes are sentences for the reader of the report: what was left out, and why.
	// They hold counts and names, no data.
	Notes []string
}

// Source returns the schemas of the records by id, for fieldcrypt.WithSchemas. It
// is empty where there are none.
func (s *Set) Source() schema.Static {
	if !s.Framed {
		return schema.Static{}
	}
	return schema.Static{s.SchemaID: s.Text}
}

// Describe returns what a report says about the Set.
func (s *Set) Describe() report.Input {
	in := report.Input{Name: s.Name, Format: s.format(), Records: len(s.Records), Protected: s.Protected, Synthetic: s.Synthetic}
	if len(s.Records) == 0 {
		return in
	}
	total := 0
	for i := range s.Records {
		total += len(s.Records[i].Value)
	}
	in.Bytes = float64(total) / float64(len(s.Records))
	return in
}

func (s *Set) format() string {
	switch s.Text.Format {
	case schema.Avro:
		return "avro"
	case schema.JSONSchema:
		return "jsonschema"
	case schema.Protobuf:
		return "protobuf"
	default:
		return "json"
	}
}

var (
	errEmpty = errors.New("there are no records")
	errFrame = errors.New("the framing is not that of the schema")
)

// body returns a value without its framing, and the message indexes of it.
func (s *Set) body(value []byte) (body []byte, indexes []int, err error) {
	if !s.Framed {
		return value, nil, nil
	}
	id, n, err := wire.ParseFrame(value)
	if err != nil || id != s.SchemaID {
		return nil, nil, errFrame
	}
	body = value[n:]
	if s.Text.Format != schema.Protobuf {
		return body, nil, nil
	}
	indexes, n, err = wire.ParseIndexes(body)
	if err != nil {
		return nil, nil, errFrame
	}
	return body[n:], indexes, nil
}

// frame returns what stands before the values of a schema.
func frame(id int, f schema.Format) ([]byte, error) {
	out, err := wire.AppendFrame(nil, id)
	if err == nil && f == schema.Protobuf {
		// Values are of the first message of the file.
		out, err = wire.AppendIndexes(out, []int{0})
	}
	return out, err
}

// notef adds a sentence for the reader.
func (s *Set) notef(format string, args ...any) {
	s.Notes = append(s.Notes, strings.TrimSpace(fmt.Sprintf(format, args...)))
}
