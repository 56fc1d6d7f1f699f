package workload

import "slices"

const proto20Schema = `syntax = "proto3";
package com.example.shop;

import "confluent/meta.proto";

message Order {
  string order_id = 1;
  int64 created_at = 2;
  string full_name = 3 [(confluent.field_meta).tags = "PII"];
  string email = 4 [(confluent.field_meta).tags = "PII"];
  optional string phone = 5 [(confluent.field_meta).tags = "PII"];
  string national_id = 6 [(confluent.field_meta).tags = "PII"];
  string street = 7 [(confluent.field_meta).tags = "PII"];
  string city = 8;
  string postal_code = 9;
  string country = 10;
  Status status = 11;
  int64 total_cents = 12;
  int32 item_count = 13;
  double discount = 14;
  bool gift = 15;
  optional string coupon = 16;
  bytes fingerprint = 17;
  repeated string skus = 18;
  string user_agent = 19;
  map<string, string> campaign = 20;
}

enum Status {
  NEW = 0;
  PAID = 1;
  PACKED = 2;
  SENT = 3;
  RETURNED = 4;
}
`

// wireWriter writes Protobuf by hand, for the same reasons as encoder.
type wireWriter struct {
	encoder
}

func (w *wireWriter) uvarint(u uint64) {
	for u >= 0x80 {
		w.buf = append(w.buf, byte(u)|0x80)
		u >>= 7
	}
	w.buf = append(w.buf, byte(u))
}

func (w *wireWriter) number(field int, v uint64) {
	w.uvarint(uint64(field) << 3) //nolint:gosec // a number of a field is small
	w.uvarint(v)
}

func (w *wireWriter) text(field int, s string) {
	w.uvarint(uint64(field)<<3 | 2) //nolint:gosec // as above
	w.uvarint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}

func (w *wireWriter) hidden(field int, s string) {
	w.text(field, s)
	w.tagged = append(w.tagged, []byte(s))
}

// Proto20 is the order of [Avro20] as a Protobuf message, with the same five
// strings tagged.
func Proto20() Case {
	w := &wireWriter{}
	w.text(1, "3f0c9a52-7d1e-4b86-9c44-e2a1705bd9f3")
	w.number(2, 1_767_225_600_123)
	w.hidden(3, "Marguerite Fernhollow")
	w.hidden(4, "marguerite.fernhollow@mail.example.com")
	w.hidden(5, "+1 212 555 0142")
	w.hidden(6, "912-34-5678")
	w.hidden(7, "698 Copperhead Drive, Apt 23")
	w.text(8, "Maple Hollow")
	w.text(9, "00031")
	w.text(10, "US")
	w.number(11, 3) // SENT
	w.number(12, 184_990)
	w.number(13, 4)
	w.uvarint(14<<3 | 1)
	w.double(0.075)
	w.number(15, 1)
	w.text(17, "\x9b\x02\xe7\x41\x5c\xd8\x3a\xf6\x10\x88\xbd\x27\x6e\xc3\x94\x5f")
	for _, sku := range []string{"KETTLE-STEEL-17L", "TOWEL-LINEN-GREY", "LAMP-DESK-BRASS", "FILTER-PAPER-100", "BOWL-ENAMEL-24CM", "KNIFE-BREAD-LONG"} {
		w.text(18, sku)
	}
	w.text(19, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ExampleBrowser/126.0.0.0 Safari/537.36")
	for _, pair := range [][2]string{
		{"source", "newsletter"}, {"medium", "email"}, {"name", "spring-kitchen"}, {"variant", "b"},
		{"landing", "/collections/kitchen/kettles"},
		{"referrer", "https://news.example.org/2026/spring/kitchen-week?content=hero-banner&term=kettle&v=b2"},
	} {
		entry := &wireWriter{}
		entry.text(1, pair[0])
		entry.text(2, pair[1])
		w.text(20, string(entry.buf))
	}
	return Case{Name: "proto20", Format: Protobuf, Schema: proto20Schema, Record: slices.Clip(w.buf), Tagged: w.tagged}
}
