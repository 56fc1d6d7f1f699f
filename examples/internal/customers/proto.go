package customers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// metaProto is as much of the file that customer.proto imports as a reader
// needs.
const metaProto = `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
`

// descriptor is the message type Customer.
var descriptor = sync.OnceValues(func() (protoreflect.MessageDescriptor, error) {
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{
			"customer.proto": protoText, "confluent/meta.proto": metaProto,
		}),
	})}
	files, err := c.Compile(context.Background(), "customer.proto")
	if err != nil {
		return nil, fmt.Errorf("customers: %w", err)
	}
	return files[0].Messages().ByName("Customer"), nil
})

// A message sets and gets fields by name.
type message struct{ protoreflect.Message }

func (m message) field(name string) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(protoreflect.Name(name))
}

func (m message) set(name string, v any) { m.Set(m.field(name), protoreflect.ValueOf(v)) }

func (m message) setAddress(name string, a Address) {
	in := message{m.Mutable(m.field(name)).Message()}
	in.set("street", a.Street)
	in.set("city", a.City)
	in.set("postal_code", a.PostalCode)
	in.set("country", a.Country)
}

func (m message) text(name string) string { return m.Get(m.field(name)).String() }
func (m message) int(name string) int64   { return m.Get(m.field(name)).Int() }

func (m message) optional(name string) *string {
	if !m.Has(m.field(name)) {
		return nil
	}
	s := m.text(name)
	return &s
}

func (m message) address(name string) Address {
	in := message{m.Get(m.field(name)).Message()}
	return Address{Street: in.text("street"), City: in.text("city"), PostalCode: in.text("postal_code"), Country: in.text("country")}
}

func encodeProto(dst []byte, c Customer) ([]byte, error) {
	d, err := descriptor()
	if err != nil {
		return dst, err
	}
	m := message{dynamicpb.NewMessage(d)}
	for name, v := range map[string]string{
		"customer_id": c.ID, "locale": c.Locale, "country": c.Country, "full_name": c.FullName, "date_of_birth": c.DateOfBirth,
		"national_id": c.NationalID, "card_number": c.CardNumber, "segment": c.Segment, "currency": c.Currency,
	} {
		m.set(name, v)
	}
	for name, v := range map[string]*string{"phone": c.Phone, "notes": c.Notes} {
		if v != nil {
			m.set(name, *v)
		}
	}
	emails := m.Mutable(m.field("emails")).List()
	for _, e := range c.Emails {
		emails.Append(protoreflect.ValueOfString(e))
	}
	m.setAddress("address", c.Address)
	if c.ShippingAddress != nil {
		m.setAddress("shipping_address", *c.ShippingAddress)
	}
	tier := m.field("tier").Enum().Values().ByName(protoreflect.Name(c.Tier))
	if tier == nil {
		return dst, fmt.Errorf("customers: encode: unknown tier")
	}
	m.set("tier", tier.Number())
	m.set("created_at", c.CreatedAt.UnixMilli())
	m.set("balance_cents", c.BalanceCents)
	m.set("loyalty_points", c.LoyaltyPoints)
	m.set("order_count", c.OrderCount)
	if c.LastOrderAt != nil {
		m.set("last_order_at", c.LastOrderAt.UnixMilli())
	}
	m.set("score", c.Score)
	m.set("marketing_opt_in", c.MarketingOptIn)
	preferences := m.Mutable(m.field("preferences")).Map()
	for k, v := range c.Preferences {
		preferences.Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(v))
	}
	// Map entries go out sorted by key.
	out, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m.Interface())
	if err != nil {
		return dst, fmt.Errorf("customers: encode: %w", err)
	}
	return out, nil
}

func decodeProto(b []byte) (c Customer, err error) {
	d, err := descriptor()
	if err != nil {
		return c, err
	}
	m := message{dynamicpb.NewMessage(d)}
	if err := proto.Unmarshal(b, m.Interface()); err != nil {
		return c, err
	}
	c = Customer{
		ID: m.text("customer_id"), CreatedAt: time.UnixMilli(m.int("created_at")).UTC(), Locale: m.text("locale"),
		Country: m.text("country"), FullName: m.text("full_name"), DateOfBirth: m.text("date_of_birth"),
		Phone: m.optional("phone"), NationalID: m.text("national_id"), CardNumber: m.text("card_number"),
		Address: m.address("address"), Segment: m.text("segment"), Currency: m.text("currency"),
		BalanceCents: m.int("balance_cents"), LoyaltyPoints: int32(m.int("loyalty_points")), OrderCount: int32(m.int("order_count")),
		Score: m.Get(m.field("score")).Float(), MarketingOptIn: m.Get(m.field("marketing_opt_in")).Bool(),
		Notes: m.optional("notes"),
	}
	emails := m.Get(m.field("emails")).List()
	for i := range emails.Len() {
		c.Emails = append(c.Emails, emails.Get(i).String())
	}
	if m.Has(m.field("shipping_address")) {
		a := m.address("shipping_address")
		c.ShippingAddress = &a
	}
	if v := m.field("tier").Enum().Values().ByNumber(m.Get(m.field("tier")).Enum()); v != nil {
		c.Tier = string(v.Name())
	}
	if m.Has(m.field("last_order_at")) {
		at := time.UnixMilli(m.int("last_order_at")).UTC()
		c.LastOrderAt = &at
	}
	c.Preferences = make(map[string]string)
	m.Get(m.field("preferences")).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		c.Preferences[k.String()] = v.String()
		return true
	})
	return c, nil
}
