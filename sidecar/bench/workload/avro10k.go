package workload

import (
	"fmt"
	"strings"
)

// avro10KSize is the exact length of [Avro10K]'s record, in bytes.
const avro10KSize = 10_240

const avro10KSchema = `{
  "type": "record", "name": "GiftOrder", "namespace": "com.example.shop", "fields": [
    {"name": "order_id", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "buyer", "type": {"type": "record", "name": "Buyer", "fields": [
      {"name": "customer_id", "type": "long"},
      {"name": "full_name", "type": "string", "confluent:tags": ["PII"]},
      {"name": "email", "type": "string", "confluent:tags": ["PII"]},
      {"name": "phone", "type": ["null", "string"], "default": null, "confluent:tags": ["PII"]},
      {"name": "national_id", "type": "string", "confluent:tags": ["PII"]},
      {"name": "date_of_birth", "type": "string", "confluent:tags": ["PII"]},
      {"name": "tier", "type": {"type": "enum", "name": "Tier", "symbols": ["BRONZE", "SILVER", "GOLD"]}},
      {"name": "billing", "type": {"type": "record", "name": "Address", "fields": [
        {"name": "street", "type": "string", "confluent:tags": ["PII"]},
        {"name": "city", "type": "string"},
        {"name": "postal_code", "type": "string"},
        {"name": "country", "type": "string"}
      ]}},
      {"name": "second", "type": ["null", "Address"], "default": null}
    ]}},
    {"name": "recipients", "type": {"type": "array", "items": {"type": "record", "name": "Recipient", "fields": [
      {"name": "recipient_id", "type": {"type": "string", "logicalType": "uuid"}},
      {"name": "full_name", "type": "string", "confluent:tags": ["PII"]},
      {"name": "email", "type": "string", "confluent:tags": ["PII"]},
      {"name": "phone", "type": ["null", "string"], "default": null, "confluent:tags": ["PII"]},
      {"name": "address", "type": "Address"},
      {"name": "parcel_grams", "type": "int"},
      {"name": "latitude", "type": "double"},
      {"name": "longitude", "type": "double"},
      {"name": "deliver_after", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null},
      {"name": "signature_required", "type": "boolean"},
      {"name": "options", "type": {"type": "map", "values": "string"}}
    ]}}},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
      {"name": "sku", "type": "string"},
      {"name": "title", "type": "string"},
      {"name": "quantity", "type": "int"},
      {"name": "price_cents", "type": "long"},
      {"name": "weight_kg", "type": "float"},
      {"name": "attributes", "type": {"type": "map", "values": "string"}}
    ]}}},
    {"name": "events", "type": {"type": "array", "items": {"type": "record", "name": "Event", "fields": [
      {"name": "at", "type": "long"},
      {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["CREATED", "PAID", "PICKED", "PACKED", "SENT"]}},
      {"name": "by", "type": "string"}
    ]}}},
    {"name": "gift_message", "type": ["null", "string"], "default": null, "confluent:tags": ["PII"]},
    {"name": "label_image", "type": "bytes"},
    {"name": "labels", "type": {"type": "map", "values": "string"}}
  ]
}
`

// recipients times their four tagged strings, with the buyer's seven and the
// gift message, make the 60 tagged strings of [Avro10K].
const recipients = 13

// Avro10K is a gift order of exactly 10,240 bytes: nested records, a named
// type used in three places, arrays of records, maps, nullable unions. 60
// strings are tagged, 52 of them inside the array of recipients.
func Avro10K() Case {
	e := &encoder{}
	e.str("a41be7c0-52f9-4d03-8e6a-17c9d0f4b325")
	e.long(1_767_225_600_123)
	e.buyer()
	e.block(recipients, e.recipient)
	e.block(48, e.item)
	e.block(12, func(i int) {
		e.long(1_767_225_600_123 + int64(i)*417_331)
		e.long(int64(i * 5 / 12))
		e.str(fmt.Sprintf("station-%02d", 3+i%4))
	})
	e.branch(1)
	e.secret("Happy birthday to all of you from Marguerite, see you in Fernhaven at Easter!")

	// What stands behind the image is built first, so that the image can take
	// up exactly what is missing to the full size.
	tail := &encoder{}
	tail.labels("warehouse", "north-2", "carrier", "example-post", "wave", "2026-01-01/7", "priority", "standard")
	const lengthPrefix = 2 // of an image between 64 and 8,191 bytes
	e.str(image(avro10KSize - len(e.buf) - lengthPrefix - len(tail.buf)))
	e.buf = append(e.buf, tail.buf...)
	return e.newCase("avro10k", avro10KSchema)
}

// image stands for a compressed picture: bytes without a pattern to them.
func image(n int) string {
	var b strings.Builder
	x := uint32(0x2545f491)
	for range n {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b.WriteByte(byte(x >> 8)) //nolint:gosec // one byte of it is wanted
	}
	return b.String()
}

func (e *encoder) buyer() {
	e.long(40_118_827)
	e.secret("Marguerite Fernhollow")
	e.secret("marguerite.fernhollow@mail.example.com")
	e.branch(1)
	e.secret("+1 212 555 0142")
	e.secret("912-34-5678")
	e.secret("1974-11-23")
	e.long(2) // GOLD
	e.address("698 Copperhead Drive, Apt 23", 0)
	e.branch(1)
	e.address("12 Old Depot Street", 3)
}

func (e *encoder) address(street string, i int) {
	cities := [...]string{"Maple Hollow", "Fernhaven", "Port Larkin", "Dry Bend", "Silverpine Falls"}
	e.secret(street)
	e.str(cities[i%len(cities)])
	e.str(fmt.Sprintf("000%02d", 31+i))
	e.str("US")
}

func (e *encoder) recipient(i int) {
	given := [...]string{"Abigail", "Thaddeus", "Isadora", "Zoë", "Grayson"}
	family := [...]string{"Dunwicket", "Quillmere", "Kettlebrook", "Windlehaven", "Pellbrook", "Millwhistle", "Ravensfeather"}
	street := [...]string{"Elm Hollow Lane", "Prairie Lantern Road", "Blue Heron Parkway", "Mesa Verbena Avenue, Apt 7", "Cannery Row East"}
	g, f := given[i%len(given)], family[i%len(family)]

	e.str(fmt.Sprintf("%08x-5b1d-4c2e-9f%02x-%012x", 0x9e3779b9^i*0x01000193, i, 0x6a09e667f3bc^i*0x01000193))
	e.secret(g + " " + f)
	e.secret(fmt.Sprintf("%s.%s%d@inbox.example.net", strings.ToLower(strings.ReplaceAll(g, "ë", "e")), strings.ToLower(f), 17+i*61))
	e.branch(1)
	e.secret(fmt.Sprintf("+1 303 555 01%02d", 10+i*5))
	e.address(fmt.Sprintf("%d %s", 101+i*37, street[i%len(street)]), i)
	e.long(int64(420 + i*95))
	e.double(39.5 + float64(i)/64)
	e.double(-104.75 - float64(i)/32)
	if i%3 == 0 {
		e.branch(0)
	} else {
		e.branch(1)
		e.long(1_767_312_000_000 + int64(i)*3_600_000)
	}
	e.boolean(i%2 == 0)
	if i%4 == 3 {
		e.labels()
	} else {
		e.labels("wrap", "paper-green", "card", "birthday")
	}
}

func (e *encoder) item(i int) {
	title := [...]string{
		"Kettle, brushed steel, 1.7 litres", "Linen towel, set of two, stone grey", "Desk lamp with a brass arm",
		"Paper filters, unbleached, 100 pieces", "Bread knife with an oak handle", "Enamel bowl, dark blue rim, 24 cm",
	}
	e.str(fmt.Sprintf("SKU-%06d-%c", 104_729+i*7919, 'A'+i%6))
	e.str(title[i%len(title)])
	e.long(int64(1 + i%5))
	e.long(int64(1_290 + i*350))
	e.float(0.25 + float32(i)/16)
	e.labels(
		"colour", [...]string{"graphite", "sand", "moss green"}[i%3],
		"origin", [...]string{"Portugal", "Czechia"}[i%2],
		"shelf", fmt.Sprintf("%c%02d-%d", 'C'+i%4, i, 1+i%7),
		"batch", fmt.Sprintf("2025-%02d-%04d", 1+i%12, 3000+i*13),
	)
}
