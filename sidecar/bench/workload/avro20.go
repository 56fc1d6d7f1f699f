package workload

import (
	"slices"
	"strings"
)

// field is one field of the 20-field record's schema.
type field struct{ name, typ string }

// avro20Fields is the schema of [Avro20], in order.
func avro20Fields() []field {
	return []field{
		{"order_id", `{"type": "string", "logicalType": "uuid"}`},
		{"created_at", `{"type": "long", "logicalType": "timestamp-millis"}`},
		{"full_name", `"string"`},
		{"email", `"string"`},
		{"phone", `["null", "string"]`},
		{"national_id", `"string"`},
		{"street", `"string"`},
		{"city", `"string"`},
		{"postal_code", `"string"`},
		{"country", `"string"`},
		{"status", `{"type": "enum", "name": "Status", "symbols": ["NEW", "PAID", "PACKED", "SENT", "RETURNED"]}`},
		{"total_cents", `"long"`},
		{"item_count", `"int"`},
		{"discount", `"double"`},
		{"gift", `"boolean"`},
		{"coupon", `["null", "string"]`},
		{"fingerprint", `{"type": "fixed", "name": "Fingerprint", "size": 16}`},
		{"skus", `{"type": "array", "items": "string"}`},
		{"user_agent", `"string"`},
		{"campaign", `{"type": "map", "values": "string"}`},
	}
}

// avro20Schema returns the schema text with the named fields tagged.
func avro20Schema(tagged ...string) string {
	var b strings.Builder
	b.WriteString(`{"type": "record", "name": "Order", "namespace": "com.example.shop", "fields": [`)
	for i, f := range avro20Fields() {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  " + `{"name": "` + f.name + `", "type": ` + f.typ)
		if slices.Contains(tagged, f.name) {
			b.WriteString(`, "confluent:tags": ["` + Tag + `"]`)
		}
		b.WriteByte('}')
	}
	b.WriteString("\n]}\n")
	return b.String()
}

// Avro20 is an order of 20 fields and exactly 626 bytes. Five strings are
// tagged: a name, an e-mail address, a telephone number in a nullable union, a
// national id and a street, 11 to 38 bytes long.
func Avro20() Case {
	e := encodeAvro20()
	return e.newCase("avro20", avro20Schema("full_name", "email", "phone", "national_id", "street"))
}

// Avro20One is the record of [Avro20], byte for byte, with the e-mail address
// alone tagged.
func Avro20One() Case {
	e := encodeAvro20()
	e.tagged = e.tagged[1:2:2]
	return e.newCase("avro20one", avro20Schema("email"))
}

func encodeAvro20() *encoder {
	e := &encoder{}
	e.str("3f0c9a52-7d1e-4b86-9c44-e2a1705bd9f3")
	e.long(1_767_225_600_123)
	e.secret("Marguerite Fernhollow")
	e.secret("marguerite.fernhollow@mail.example.com")
	e.branch(1)
	e.secret("+1 212 555 0142")
	e.secret("912-34-5678")
	e.secret("698 Copperhead Drive, Apt 23")
	e.str("Maple Hollow")
	e.str("00031")
	e.str("US")
	e.long(3) // SENT
	e.long(184_990)
	e.long(4)
	e.double(0.075)
	e.boolean(true)
	e.branch(0) // no coupon
	e.buf = append(e.buf, "\x9b\x02\xe7\x41\x5c\xd8\x3a\xf6\x10\x88\xbd\x27\x6e\xc3\x94\x5f"...)
	skus := []string{"KETTLE-STEEL-17L", "TOWEL-LINEN-GREY", "LAMP-DESK-BRASS", "FILTER-PAPER-100", "BOWL-ENAMEL-24CM", "KNIFE-BREAD-LONG"}
	e.block(len(skus), func(i int) { e.str(skus[i]) })
	e.str("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ExampleBrowser/126.0.0.0 Safari/537.36")
	e.labels(
		"source", "newsletter",
		"medium", "email",
		"name", "spring-kitchen",
		"variant", "b",
		"landing", "/collections/kitchen/kettles",
		"referrer", "https://news.example.org/2026/spring/kitchen-week?content=hero-banner&term=kettle&v=b2",
	)
	return e
}
