package main

import (
	"fmt"

	hamba "github.com/hamba/avro/v2"
	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// avroTagged are the tagged fields of workload.Avro20.
func avroTagged() []string { return []string{"full_name", "email", "phone", "national_id", "street"} }

func avroHeat() (heat, error) {
	c := workload.Avro20()
	us, err := product.Lane(c)
	if err != nil {
		return heat{}, err
	}
	us.Name = "fieldveil on Avro, 626 B"
	h, err := hamba.Parse(c.Schema)
	if err != nil {
		return heat{}, err
	}
	w, err := twmb.Parse(c.Schema)
	if err != nil {
		return heat{}, err
	}
	return heat{c, []*row.Lane{us}, []contender{
		{"hamba/avro, a struct", func(record []byte, f transform) ([]byte, error) {
			var o product.Order
			if err := hamba.Unmarshal(h, record, &o); err != nil {
				return nil, err
			}
			if err := inOrder(&o, f); err != nil {
				return nil, err
			}
			return hamba.Marshal(h, &o)
		}},
		{"hamba/avro, a map", func(record []byte, f transform) ([]byte, error) {
			var m map[string]any
			if err := hamba.Unmarshal(h, record, &m); err != nil {
				return nil, err
			}
			if err := inMap(m, f); err != nil {
				return nil, err
			}
			return hamba.Marshal(h, m)
		}},
		{"twmb/avro, a struct", func(record []byte, f transform) ([]byte, error) {
			var o product.Order
			if _, err := w.Decode(record, &o); err != nil {
				return nil, err
			}
			if err := inOrder(&o, f); err != nil {
				return nil, err
			}
			return w.Encode(&o)
		}},
		{"twmb/avro, a map", func(record []byte, f transform) ([]byte, error) {
			var m map[string]any
			if _, err := w.Decode(record, &m); err != nil {
				return nil, err
			}
			if err := inMap(m, f); err != nil {
				return nil, err
			}
			return w.Encode(m)
		}},
	}, func(a, b []byte) (bool, error) {
		var x, y product.Order
		if _, err := w.Decode(a, &x); err != nil {
			return false, err
		}
		_, err := w.Decode(b, &y)
		return product.Same(x, y), err
	}}, nil
}

func inOrder(o *product.Order, f transform) error {
	fields := []*string{&o.FullName, &o.Email, o.Phone, &o.NationalID, &o.Street}
	for _, p := range fields {
		v, err := f(*p)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

// inMap changes the tagged members of a decoded record. One of the libraries
// gives the value of a union as a map of its branch.
func inMap(m map[string]any, f transform) error {
	for _, name := range avroTagged() {
		place, key := m, name
		if branch, ok := m[name].(map[string]any); ok {
			place, key = branch, "string"
		}
		s, ok := place[key].(string)
		if !ok {
			return fmt.Errorf("%s is a %T", name, place[key])
		}
		v, err := f(s)
		if err != nil {
			return err
		}
		place[key] = v
	}
	return nil
}
