package protobuf

import (
	"crypto/aes"
	"crypto/cipher"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/schema"
)

const flatText = `
syntax = "proto3";
package com.example.shop;
import "confluent/meta.proto";
enum Status { NEW = 0; PAID = 1; SENT = 2; }
message Order {
  string order_id = 1;
  int64 created_at = 2;
  int64 customer_id = 3;
  string full_name = 4 [(confluent.field_meta).tags = "PII"];
  string email = 5 [(confluent.field_meta).tags = "PII"];
  string phone = 6 [(confluent.field_meta).tags = "PII"];
  string national_id = 7 [(confluent.field_meta).tags = "PII"];
  string street = 8 [(confluent.field_meta).tags = "PII"];
  string city = 9;
  string country = 10;
  Status status = 11;
  int64 total_cents = 12;
  string currency = 13;
  int32 items = 14;
  bool gift = 15;
  double latitude = 16;
  double longitude = 17;
  string user_agent = 18;
  string session = 19;
  string note = 20;
}
`

const flatEdits = "replace /full_name replace /email replace /phone replace /national_id replace /street"

// flat is an order of 626 bytes with all 20 fields.
func flat() []byte {
	var b []byte
	text := func(n protowire.Number, s string) {
		b = protowire.AppendTag(b, n, protowire.BytesType)
		b = protowire.AppendString(b, s)
	}
	number := func(n protowire.Number, v uint64) {
		b = protowire.AppendTag(b, n, protowire.VarintType)
		b = protowire.AppendVarint(b, v)
	}
	text(1, "a41be7c0-52f9-4d03-8e6a-17c9d0f4b325")
	number(2, 1_767_225_600_123)
	number(3, 918_273)
	text(4, "Wilhelmina van der Aa-Featherstone")
	text(5, "wilhelmina.featherstone@mail.example.com")
	text(6, "+31 20 555 01 99")
	text(7, "1987-0412-7731")
	text(8, "Keizersgracht 1024, apartment 3b, back house")
	text(9, "Amsterdam")
	text(10, "NL")
	number(11, 1)
	number(12, 129_900)
	text(13, "EUR")
	number(14, 7)
	number(15, 1)
	b = protowire.AppendTag(b, 16, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(52.366697))
	b = protowire.AppendTag(b, 17, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(4.898431))
	text(18, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	text(19, "9c1d5f7e2b8a4c60d3e1f7a9b2c4d6e8")
	rest := 626 - len(b) - 4
	text(20, strings.Repeat("n", rest))
	return b
}

// padding stands for what an envelope adds to a value.
const padding = "fv1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"

func padded(_ int, dst, value []byte) ([]byte, error) {
	return append(append(dst, padding...), value...), nil
}

func unpadded(_ int, dst, value []byte) ([]byte, error) {
	return append(dst, value[len(padding):]...), nil
}

func BenchmarkRewrite(b *testing.B) {
	s := parse(b, flatText)
	src := flat()
	b.Run("floor", func(b *testing.B) {
		block, err := aes.NewCipher(make([]byte, 32))
		if err != nil {
			b.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			b.Fatal(err)
		}
		nonce, dst := make([]byte, aead.NonceSize()), make([]byte, 0, 64)
		b.ReportAllocs()
		for b.Loop() {
			aead.Seal(dst, nonce, src[:32], nil)
		}
	})
	run := func(name string, p schema.Program, src []byte, visit visit) {
		b.Run(name, func(b *testing.B) {
			var v schema.Visitor = visit
			dst := make([]byte, 0, 4096)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Rewrite(dst, src, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("edits=none", compile(b, s, ""), src, identity)
	run("edits=5/way=there", compile(b, s, flatEdits), src, padded)
	run("edits=5/way=back", restore(b, s, flatEdits), rewrite(b, compile(b, s, flatEdits), src, padded), unpadded)
	numbers := "wrap /created_at wrap /customer_id wrap /status wrap /latitude wrap /gift"
	run("wraps=5/way=there", compile(b, s, numbers), src, padded)
	texts := "number /created_at number /customer_id number /total_cents number /latitude number /items"
	run("numbers=5", compile(b, s, texts), src, identity)
	run("wraps=5/way=back", restore(b, s, numbers), rewrite(b, compile(b, s, numbers), src, padded), unpadded)
}
