package main

import (
	"encoding/json"
	"reflect"

	experiment "github.com/go-json-experiment/json"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// document is workload.JSON20 as a struct.
type document struct {
	OrderID     string            `json:"order_id"`
	CreatedAt   int64             `json:"created_at"`
	FullName    string            `json:"full_name"`
	Email       string            `json:"email"`
	Phone       *string           `json:"phone"`
	NationalID  string            `json:"national_id"`
	Street      string            `json:"street"`
	City        string            `json:"city"`
	PostalCode  string            `json:"postal_code"`
	Country     string            `json:"country"`
	Status      string            `json:"status"`
	TotalCents  int64             `json:"total_cents"`
	ItemCount   int               `json:"item_count"`
	Discount    float64           `json:"discount"`
	Gift        bool              `json:"gift"`
	Coupon      *string           `json:"coupon"`
	Fingerprint string            `json:"fingerprint"`
	SKUs        []string          `json:"skus"`
	UserAgent   string            `json:"user_agent"`
	Campaign    map[string]string `json:"campaign"`
}

func (d *document) each(f transform) error {
	for _, p := range []*string{&d.FullName, &d.Email, d.Phone, &d.NationalID, &d.Street} {
		v, err := f(*p)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

func jsonHeat() (heat, error) {
	c := workload.JSON20()
	bySchema, err := product.Lane(c)
	if err != nil {
		return heat{}, err
	}
	bySchema.Name = "fieldveil on JSON, 1 KB, by JSON Schema"
	byPaths, err := product.LanePaths(c, workload.JSONPaths())
	if err != nil {
		return heat{}, err
	}
	byPaths.Name = "fieldveil on JSON, 1 KB, by paths"
	type codec struct {
		name      string
		unmarshal func([]byte, any) error
		marshal   func(any) ([]byte, error)
	}
	h := heat{c: c, ours: []*row.Lane{bySchema, byPaths}, same: func(a, b []byte) (bool, error) {
		var x, y map[string]any
		if err := json.Unmarshal(a, &x); err != nil {
			return false, err
		}
		err := json.Unmarshal(b, &y)
		return reflect.DeepEqual(x, y), err
	}}
	for _, j := range []codec{
		{"encoding/json", json.Unmarshal, json.Marshal},
		{
			"go-json-experiment",
			func(b []byte, v any) error { return experiment.Unmarshal(b, v) },
			func(v any) ([]byte, error) { return experiment.Marshal(v) },
		},
	} {
		h.contenders = append(h.contenders,
			contender{j.name + ", a struct", func(record []byte, f transform) ([]byte, error) {
				var d document
				if err := j.unmarshal(record, &d); err != nil {
					return nil, err
				}
				if err := d.each(f); err != nil {
					return nil, err
				}
				return j.marshal(&d)
			}},
			contender{j.name + ", a map", func(record []byte, f transform) ([]byte, error) {
				var m map[string]any
				if err := j.unmarshal(record, &m); err != nil {
					return nil, err
				}
				if err := inMap(m, f); err != nil {
					return nil, err
				}
				return j.marshal(m)
			}})
	}
	return h, nil
}
