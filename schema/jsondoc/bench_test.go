package jsondoc

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// order is a record of about 1 KB, as services write them.
const order = `{"order_id":"7f1c0f0e-6f0b-4f0e-9b1a-0d9f3c2b1a55","version":3,"created_at":"2026-11-21T08:14:55.123Z","status":"CONFIRMED","customer_id":84613297,"full_name":"Wilhelmina Vandenberghe","email":"wilhelmina.vandenberghe@example.com","phone":"+32 470 12 34 56","date_of_birth":"1987-04-23","vip":false,"address":{"street":"Rue de la Loi 155, bte 12","city":"Bruxelles","postcode":"1040","country":"BE"},"card":{"pan":"4111111111111111","expiry":"11/29","brand":"VISA"},"currency":"EUR","total":1289.95,"items":[{"sku":"KB-2231-BLK","title":"Mechanical keyboard, tenkeyless, brown switches","quantity":1,"price":149.95},{"sku":"MN-0027-4K","title":"27 inch monitor, 4K, height adjustable stand","quantity":2,"price":570}],"notes":"Please leave the parcel with the neighbour at number 157 if nobody answers the door. The bell does not always work, so knock as well.","coupon":null,"source":"web-checkout","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36","ip":"203.0.113.77"}`

// account is a record of 1 KB with 20 members, of which five are personal.
const account = `{"id":"7f1c0f0e-6f0b-4f0e-9b1a-0d9f3c2b1a55","created_at":"2026-11-21T08:14:55.123Z","updated_at":"2026-11-21T08:15:02.871Z","status":"ACTIVE","full_name":"Wilhelmina Vandenberghe","email":"wilhelmina.vandenberghe@example.com","phone":"+32 470 12 34 56","ip":"203.0.113.77","pan":"4111111111111111","language":"nl-BE","marketing":false,"credit_limit":2500.50,"score":712,"referrer":"https://www.example.com/campaigns/autumn-2026/landing?utm_source=newsletter&utm_medium=email","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36","plan":"premium-yearly","notes":"Prefers to be called in the afternoon, after four. Asked twice about the invoice of October, which was sent again on the third of November by post.","last_order":"b3a7c8de-91f0-4a52-8c11-5ce2d9b47a10","trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","closed_at":null}`

// accountShape describes all members of account.
func accountShape() (*Shape, []schema.Field) {
	root := &Shape{Field: NoField, Members: map[string]*Shape{}}
	for n := range strings.FieldsSeq("id created_at updated_at status language marketing credit_limit score referrer user_agent plan notes last_order trace closed_at") {
		root.Members[n] = &Shape{Field: NoField}
	}
	var fields []schema.Field
	for i, n := range strings.Fields("full_name email phone ip pan") {
		root.Members[n] = &Shape{Field: i}
		fields = append(fields, field("/"+n))
	}
	return root, fields
}

func orderPaths() []string {
	return []string{"/full_name", "/email", "/phone", "/card/pan", "/ip"}
}

// orderShape describes all members of order, and has the fields of orderPaths.
func orderShape() (*Shape, []schema.Field) {
	other := func() *Shape { return &Shape{Field: NoField} }
	object := func(fields map[string]int, names string) *Shape {
		s := &Shape{Field: NoField, Members: map[string]*Shape{}}
		for n := range strings.FieldsSeq(names) {
			s.Members[n] = other()
		}
		for n, f := range fields {
			s.Members[n] = &Shape{Field: f}
		}
		return s
	}
	root := object(map[string]int{"full_name": 0, "email": 1, "phone": 2, "ip": 4},
		"order_id version created_at status customer_id date_of_birth vip currency total notes coupon source user_agent")
	root.Members["address"] = object(nil, "street city postcode country")
	root.Members["card"] = object(map[string]int{"pan": 3}, "expiry brand")
	root.Members["items"] = &Shape{Field: NoField, Items: object(nil, "sku title quantity price")}
	var fields []schema.Field
	for _, p := range orderPaths() {
		f := field(p)
		f.Type, f.Numeric = schema.TypeString, false
		fields = append(fields, f)
	}
	return root, fields
}

// sixty appends a fixed text of the size of a short sealed value.
type sixty struct{}

func (sixty) Visit(_ int, dst, _ []byte) ([]byte, error) {
	return append(dst, "fv1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"...), nil
}

// same appends the value.
type same struct{}

func (same) Visit(_ int, dst, value []byte) ([]byte, error) { return append(dst, value...), nil }

func bench(b *testing.B, p schema.Program, src []byte, v schema.Visitor) {
	b.Helper()
	dst := make([]byte, 0, 4*len(src)+1024)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Rewrite(dst, src, v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	root, fields := orderShape()
	described := newSchema(b, root, fields...)
	paths := forPaths(b, orderPaths()...)
	deep := forPaths(b, "/**/full_name", "/**/email", "/**/phone", "/**/pan", "/**/ip")
	root, fields = accountShape()
	flat := newSchema(b, root, fields...)
	flatPaths := forPaths(b, "/full_name", "/email", "/phone", "/ip", "/pan")
	for _, s := range []struct {
		record, name, text string
		*Schema
	}{
		{"account", "shape", account, flat}, {"account", "paths", account, flatPaths},
		{"order", "shape", order, described}, {"order", "paths", order, paths}, {"order", "deep", order, deep},
	} {
		b.Run("record="+s.record+"/schema="+s.name+"/op=replace", func(b *testing.B) {
			bench(b, compile(b, s.Schema, all(s.Schema, schema.Replace)...), []byte(s.text), sixty{})
		})
		b.Run("record="+s.record+"/schema="+s.name+"/op=wrap", func(b *testing.B) {
			bench(b, compile(b, s.Schema, all(s.Schema, schema.Wrap)...), []byte(s.text), sixty{})
		})
		b.Run("record="+s.record+"/schema="+s.name+"/op=none", func(b *testing.B) { bench(b, compile(b, s.Schema), []byte(s.text), same{}) })
	}
}

func BenchmarkScan(b *testing.B) {
	s := forPaths(b, "/x")
	p := compile(b, s)
	long := `["` + strings.Repeat("All work and no play makes a long text. ", 250) + `"]`
	short := `["` + strings.Repeat(`thirty-two bytes of plain text..","`, 300) + `"]`
	for _, in := range []struct{ name, text string }{
		{"long", long},
		{"short", short},
		{"accents", `["` + strings.Repeat("Příliš žluťoučký kůň úpěl ďábelské ódy. ", 250) + `"]`},
		{"escapes", `["` + strings.Repeat(`line\nbreak \"quoted\" \u00e9 `, 300) + `"]`},
		{"numbers", "[" + strings.Repeat("12345.678,", 1000) + "0]"},
		{"spaces", "[" + strings.Repeat("\n                1,", 500) + "0]"},
	} {
		b.Run("text="+in.name, func(b *testing.B) { bench(b, p, []byte(in.text), same{}) })
	}
}

// Objects of very many members, and values that are nothing but escapes: the work
// for each byte must not grow with their number.
func BenchmarkBombs(b *testing.B) {
	s := forPaths(b, "/x")
	p := compile(b, s, all(s, schema.Replace)...)
	for _, n := range []int{1000, 100_000} {
		b.Run("names="+itoa(n), func(b *testing.B) { bench(b, p, []byte("{"+manyNames(n)+"}"), same{}) })
		b.Run("escaped="+itoa(n), func(b *testing.B) {
			bench(b, p, []byte("{"+repeat(n, func(i int) string { return `"\u006e` + itoa(i) + `":0` })+"}"), same{})
		})
		b.Run("escapes="+itoa(n), func(b *testing.B) {
			bench(b, p, []byte(`{"x":"`+strings.Repeat(`\u0000`, n)+`"}`), same{})
		})
	}
}
