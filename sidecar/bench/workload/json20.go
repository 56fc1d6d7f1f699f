package workload

import "strings"

// json20Size is the exact length of [JSON20]'s record, in bytes.
const json20Size = 1024

const json20Schema = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "$id": "https://example.com/shop/order.json",
  "title": "Order",
  "type": "object",
  "properties": {
    "order_id": {"type": "string", "format": "uuid"},
    "created_at": {"type": "integer"},
    "full_name": {"type": "string", "confluent:tags": ["PII"]},
    "email": {"type": "string", "confluent:tags": ["PII"]},
    "phone": {"type": ["string", "null"], "confluent:tags": ["PII"]},
    "national_id": {"type": "string", "confluent:tags": ["PII"]},
    "street": {"type": "string", "confluent:tags": ["PII"]},
    "city": {"type": "string"},
    "postal_code": {"type": "string"},
    "country": {"type": "string"},
    "status": {"enum": ["NEW", "PAID", "PACKED", "SENT", "RETURNED"]},
    "total_cents": {"type": "integer"},
    "item_count": {"type": "integer"},
    "discount": {"type": "number"},
    "gift": {"type": "boolean"},
    "coupon": {"type": ["string", "null"]},
    "fingerprint": {"type": "string"},
    "skus": {"type": "array", "items": {"type": "string"}},
    "user_agent": {"type": "string"},
    "campaign": {"type": "object", "additionalProperties": {"type": "string"}}
  }
}
`

// JSONPaths are the paths of the tagged fields of [JSON20], for a policy of
// records without a schema.
func JSONPaths() []string {
	return []string{"/full_name", "/email", "/phone", "/national_id", "/street"}
}

// JSON20 is the order of [Avro20] as a JSON document of 1,024 bytes, in the
// compact form that encoders write, with the same five strings tagged.
func JSON20() Case {
	const head = `{"order_id":"3f0c9a52-7d1e-4b86-9c44-e2a1705bd9f3","created_at":1767225600123,` +
		`"full_name":"Marguerite Fernhollow","email":"marguerite.fernhollow@mail.example.com",` +
		`"phone":"+1 212 555 0142","national_id":"912-34-5678","street":"698 Copperhead Drive, Apt 23",` +
		`"city":"Maple Hollow","postal_code":"00031","country":"US","status":"SENT","total_cents":184990,` +
		`"item_count":4,"discount":0.075,"gift":true,"coupon":null,"fingerprint":"9b02e7415cd83af61088bd276ec3945f",` +
		`"skus":["KETTLE-STEEL-17L","TOWEL-LINEN-GREY","LAMP-DESK-BRASS","FILTER-PAPER-100","BOWL-ENAMEL-24CM","KNIFE-BREAD-LONG"],` +
		`"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ExampleBrowser/126.0.0.0 Safari/537.36",` +
		`"campaign":{"source":"newsletter","medium":"email","name":"spring-kitchen","variant":"b",` +
		`"landing":"/collections/kitchen/kettles","referrer":"https://news.example.org/2026/spring/kitchen-week?`
	const tail = `"}}`
	text := head + strings.Repeat("x", json20Size-len(head)-len(tail)) + tail
	c := Case{Name: "json20", Format: JSON, Schema: json20Schema, Record: []byte(text)}
	for _, s := range []string{
		"Marguerite Fernhollow", "marguerite.fernhollow@mail.example.com", "+1 212 555 0142", "912-34-5678", "698 Copperhead Drive, Apt 23",
	} {
		c.Tagged = append(c.Tagged, []byte(s))
	}
	return c
}
