// Package customers makes the customer records that the examples send.
//
// A [Generator] yields the same records for the same seed, on every machine:
// nine locales, native scripts where people write them so, arrays, nulls, a
// nested named type and a map. [Schema] tags what is personal and [Sensitive]
// lists it, so a demo can search a broker's files for every plaintext that
// must not be there.
//
// # Synthetic by construction
//
// Nobody in these records exists. Surnames, streets and cities are invented,
// e-mail domains lie under example.com, example.org and example.net,
// telephone numbers in ranges kept for fiction (or, where a country publishes
// none, where no subscriber's number can begin), national ids in series that
// are never issued, and card numbers on the prefixes of published test cards.
package customers

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"
)

//go:embed customer.avsc
var schemaText string

// Schema returns the Avro schema of a [Customer], com.example.crm.Customer,
// with the confluent:tags that say which fields are sensitive.
func Schema() string { return schemaText }

// A Customer is one record of [Schema].
type Customer struct {
	ID              string            `avro:"customer_id" json:"customer_id"` // UUID, version 4
	CreatedAt       time.Time         `avro:"created_at" json:"created_at"`   // UTC, whole milliseconds
	Locale          string            `avro:"locale" json:"locale"`           // such as "cs-CZ"
	Country         string            `avro:"country" json:"country"`
	FullName        string            `avro:"full_name" json:"full_name"`
	DateOfBirth     string            `avro:"date_of_birth" json:"date_of_birth"` // YYYY-MM-DD
	Emails          []string          `avro:"emails" json:"emails"`               // none to three
	Phone           *string           `avro:"phone" json:"phone"`                 // nil when not known
	NationalID      string            `avro:"national_id" json:"national_id"`
	CardNumber      string            `avro:"card_number" json:"card_number"` // 15 or 16 digits, valid by Luhn
	Address         Address           `avro:"address" json:"address"`
	ShippingAddress *Address          `avro:"shipping_address" json:"shipping_address"` // nil when equal to Address
	Tier            string            `avro:"tier" json:"tier"`                         // BRONZE, SILVER, GOLD or PLATINUM
	Segment         string            `avro:"segment" json:"segment"`
	Currency        string            `avro:"currency" json:"currency"`
	BalanceCents    int64             `avro:"balance_cents" json:"balance_cents"`
	LoyaltyPoints   int32             `avro:"loyalty_points" json:"loyalty_points"`
	OrderCount      int32             `avro:"order_count" json:"order_count"`
	LastOrderAt     *time.Time        `avro:"last_order_at" json:"last_order_at"` // nil without an order
	Score           float64           `avro:"score" json:"score"`                 // 0 to 1
	MarketingOptIn  bool              `avro:"marketing_opt_in" json:"marketing_opt_in"`
	Preferences     map[string]string `avro:"preferences" json:"preferences"`
	Notes           *string           `avro:"notes" json:"notes"` // nil when nobody wrote one
}

// An Address is the nested record com.example.crm.Address.
type Address struct {
	Street     string `avro:"street" json:"street"`
	City       string `avro:"city" json:"city"`
	PostalCode string `avro:"postal_code" json:"postal_code"`
	Country    string `avro:"country" json:"country"`
}

// wireCustomer is a Customer whose preferences are a list: a Go map has no
// order, and equal customers must encode to equal bytes. Its preferences field
// is shallower than the embedded one and therefore wins.
type wireCustomer struct {
	Customer
	Preferences []preference `avro:"preferences" json:"preferences"`
}

type preference struct {
	Key   string `avro:"key" json:"key"`
	Value string `avro:"value" json:"value"`
}

// wireSchema is [Schema] with the map written as an array of key and value
// records. Avro gives both the same bytes: a count, the pairs, a zero.
var wireSchema = sync.OnceValues(func() (*avro.Schema, error) {
	const (
		asMap  = `{"type": "map", "values": "string"}`
		asList = `{"type": "array", "items": {"type": "record", "name": "Preference", "fields": [` +
			`{"name": "key", "type": "string"}, {"name": "value", "type": "string"}]}}`
	)
	text := strings.Replace(schemaText, asMap, asList, 1)
	if text == schemaText {
		return nil, fmt.Errorf("customers: the schema has no map to put in order")
	}
	return avro.Parse(text)
})

// Encode appends the Avro encoding of c under [Schema], without any framing,
// to dst. Equal customers give equal bytes: map entries go out sorted by key.
// It is safe for concurrent use. It fails only for a Customer that does not
// fit the schema, such as an unknown tier; dst is then returned as it was.
func Encode(dst []byte, c Customer) ([]byte, error) {
	s, err := wireSchema()
	if err != nil {
		return dst, err
	}
	w := wireCustomer{Customer: c, Preferences: make([]preference, 0, len(c.Preferences))}
	for _, k := range slices.Sorted(maps.Keys(c.Preferences)) {
		w.Preferences = append(w.Preferences, preference{Key: k, Value: c.Preferences[k]})
	}
	out, err := s.AppendEncode(dst, &w)
	if err != nil {
		return dst, fmt.Errorf("customers: encode: %w", err)
	}
	return out, nil
}

// A Secret is one plaintext that must not leave the producer.
type Secret struct {
	Path  string // canonical field path, such as "/address/street" or "/emails/[]"
	Tag   string // such as "PII.EMAIL"
	Value string // the plaintext, UTF-8, eight bytes or more
}

// String names the secret and leaves its value out, so that a demo which
// prints a find does not publish it.
func (s Secret) String() string { return s.Path + " (" + s.Tag + ")" }

// Sensitive lists every protected plaintext of c in the order of the schema.
// Nulls and empty arrays give none. The tables are made so that no value occurs
// inside a clear field of any generated record, and a test searches the demo's
// for it: a find in a broker's bytes is a leak. Search uncompressed bytes,
// since compression would hide one.
func Sensitive(c Customer) []Secret {
	out := make([]Secret, 0, 10)
	add := func(path, tag, value string) {
		out = append(out, Secret{Path: path, Tag: tag, Value: value})
	}
	add("/full_name", "PII.NAME", c.FullName)
	add("/date_of_birth", "PII.BIRTH", c.DateOfBirth)
	for _, e := range c.Emails {
		add("/emails/[]", "PII.EMAIL", e)
	}
	if c.Phone != nil {
		add("/phone", "PII.PHONE", *c.Phone)
	}
	add("/national_id", "PII.NATIONAL_ID", c.NationalID)
	add("/card_number", "PCI.PAN", c.CardNumber)
	add("/address/street", "PII.ADDRESS", c.Address.Street)
	if c.ShippingAddress != nil {
		add("/shipping_address/street", "PII.ADDRESS", c.ShippingAddress.Street)
	}
	if c.Notes != nil {
		add("/notes", "PII.NOTES", *c.Notes)
	}
	return out
}
