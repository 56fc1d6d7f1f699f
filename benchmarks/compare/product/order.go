package product

import (
	"reflect"
	"time"
)

// Order is the record of workload.Avro20 as a producer in Go holds it. Both
// Avro libraries, ours and the rivals', read these tags.
type Order struct {
	OrderID     string            `avro:"order_id"`
	CreatedAt   time.Time         `avro:"created_at"`
	FullName    string            `avro:"full_name"`
	Email       string            `avro:"email"`
	Phone       *string           `avro:"phone"`
	NationalID  string            `avro:"national_id"`
	Street      string            `avro:"street"`
	City        string            `avro:"city"`
	PostalCode  string            `avro:"postal_code"`
	Country     string            `avro:"country"`
	Status      string            `avro:"status"`
	TotalCents  int64             `avro:"total_cents"`
	ItemCount   int               `avro:"item_count"`
	Discount    float64           `avro:"discount"`
	Gift        bool              `avro:"gift"`
	Coupon      *string           `avro:"coupon"`
	Fingerprint [16]byte          `avro:"fingerprint"`
	SKUs        []string          `avro:"skus"`
	UserAgent   string            `avro:"user_agent"`
	Campaign    map[string]string `avro:"campaign"`
}

// Secrets are the tagged fields of an order. Some rivals encrypt them in the
// struct that they are given, so these are put back before the next record.
type Secrets struct {
	FullName, Email, Phone, NationalID, Street string
}

// Secrets returns the tagged values.
func (o *Order) Secrets() Secrets {
	s := Secrets{FullName: o.FullName, Email: o.Email, NationalID: o.NationalID, Street: o.Street}
	if o.Phone != nil {
		s.Phone = *o.Phone
	}
	return s
}

// Put sets the tagged fields. Phone is set in place, so the order has one.
func (s *Secrets) Put(o *Order) {
	o.FullName, o.Email, o.NationalID, o.Street = s.FullName, s.Email, s.NationalID, s.Street
	*o.Phone = s.Phone
}

// Same reports whether two orders hold the same values.
func Same(a, b Order) bool {
	if !a.CreatedAt.Equal(b.CreatedAt) {
		return false
	}
	a.CreatedAt, b.CreatedAt = time.Time{}, time.Time{} // one instant has many forms
	return reflect.DeepEqual(a, b)
}
