package customers

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/avro"
)

//go:embed customer.schema.json
var jsonSchemaText string

//go:embed customer.proto
var protoText string

// A Format is one way to write customers.
type Format struct {
	// Name is "avro", "json" (without a schema), "jsonschema" or "protobuf".
	Name string
	// Type is what a schema registry calls the format, empty where there is no
	// schema.
	Type string
	// Schema is the text of the schema with its tags, empty for none.
	Schema string
	// Message is what stands between the schema id and the record: the message
	// indexes of Protobuf.
	Message []byte
	// Encode appends a customer to dst. Equal customers give equal bytes.
	Encode func(dst []byte, c Customer) ([]byte, error)
	// Decode reads one customer as any consumer of the format does.
	Decode func(b []byte) (Customer, error)
}

// Formats returns all formats, the default first.
func Formats() []Format {
	return []Format{
		{Name: "avro", Type: "AVRO", Schema: schemaText, Encode: Encode, Decode: decodeAvro},
		{Name: "json", Encode: encodeJSON, Decode: decodeJSON},
		{Name: "jsonschema", Type: "JSON", Schema: jsonSchemaText, Encode: encodeJSON, Decode: decodeJSON},
		// The first message of the file has the shortest indexes.
		{Name: "protobuf", Type: "PROTOBUF", Schema: protoText, Message: []byte{0}, Encode: encodeProto, Decode: decodeProto},
	}
}

// SensitivePaths returns the paths of the tagged fields with their tags, for
// records without a schema.
func SensitivePaths() []Secret {
	return []Secret{
		{Path: "/full_name", Tag: "PII.NAME"},
		{Path: "/date_of_birth", Tag: "PII.BIRTH"},
		{Path: "/emails/[]", Tag: "PII.EMAIL"},
		{Path: "/phone", Tag: "PII.PHONE"},
		{Path: "/national_id", Tag: "PII.NATIONAL_ID"},
		{Path: "/card_number", Tag: "PCI.PAN"},
		{Path: "/address/street", Tag: "PII.ADDRESS"},
		{Path: "/shipping_address/street", Tag: "PII.ADDRESS"},
		{Path: "/notes", Tag: "PII.NOTES"},
	}
}

var readerSchema = sync.OnceValues(func() (*avro.Schema, error) { return avro.Parse(schemaText) })

var errLeft = errors.New("customers: bytes are left behind the record")

func decodeAvro(b []byte) (c Customer, err error) {
	s, err := readerSchema()
	if err != nil {
		return c, err
	}
	rest, err := s.Decode(b, &c)
	if err == nil && len(rest) > 0 {
		err = errLeft
	}
	return c, err
}

func encodeJSON(dst []byte, c Customer) ([]byte, error) {
	if c.Emails == nil {
		c.Emails = []string{} // none, not null
	}
	if c.Preferences == nil {
		c.Preferences = map[string]string{}
	}
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return dst, fmt.Errorf("customers: encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func decodeJSON(b []byte) (c Customer, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if d.More() {
		return c, errLeft
	}
	return c, nil
}
