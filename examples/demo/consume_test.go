package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func encode(t *testing.T, s *shop, c customers.Customer) []byte {
	t.Helper()
	b, err := s.form.frame()
	if err != nil {
		t.Fatal(err)
	}
	b, err = s.form.Encode(b, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheComparisonSeesEveryFault(t *testing.T) {
	s := newTestShop(t, 50, new(bytes.Buffer))
	values, _, err := s.generate()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.newProcess(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	rec := fieldcrypt.Record{Topic: s.topic, Value: values[s.shown]}
	sealed, err := p.Protect(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := p.Reveal(t.Context(), sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(held, revealed *customers.Customer)
		where string // empty for no fault
		err   string
	}{
		{name: "nothing is wrong", spoil: func(_, _ *customers.Customer) {}},
		{"an encrypted value comes back different", func(_, r *customers.Customer) { r.NationalID += "x" }, "/national_id", ""},
		{"an encrypted value stays an envelope", func(h, r *customers.Customer) { r.Phone = h.Phone }, "/phone", ""},
		{"an encrypted value was never encrypted", func(h, r *customers.Customer) { h.Address.Street = r.Address.Street }, "/address/street", ""},
		{"one of several values is missing", func(_, r *customers.Customer) { r.Emails = r.Emails[1:] }, "/emails/[]", ""},
		{"a masked value comes back", func(_, r *customers.Customer) { r.FullName = s.sent[s.shown].FullName }, "/full_name", ""},
		{"a dropped value comes back", func(_, r *customers.Customer) { r.Notes = s.sent[s.shown].Notes }, "/notes", ""},
		{"a field without a tag was changed on the broker", func(h, _ *customers.Customer) { h.BalanceCents++ }, "a field without a tag", ""},
		{"a field without a tag was changed in revealing", func(_, r *customers.Customer) { r.Preferences = nil }, "a field without a tag", ""},
		{"the record of another customer", func(_, r *customers.Customer) { r.ID = s.sent[s.shown+1].ID }, "", "nobody sent"},
		{"the record of nobody", func(h, r *customers.Customer) { h.ID, r.ID = "nobody", "nobody" }, "", "nobody sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			held, err := s.form.decode(sealed.Value)
			if err != nil {
				t.Fatal(err)
			}
			revealed, err := s.form.decode(opened.Value)
			if err != nil {
				t.Fatal(err)
			}
			tt.spoil(&held, &revealed)
			var count tally
			_, _, err = s.compare(&count, encode(t, s, held), encode(t, s, revealed))
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got error %v, want %q", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case tt.where == "" && (count.err() != nil || count.encrypted < 4 || count.oneWay != 4):
				t.Errorf("%+v", count)
			case tt.where != "" && (count.different == 0 || !strings.HasPrefix(count.first, tt.where+" of customer ")):
				t.Errorf("%+v, want %s", count, tt.where)
			}
		})
	}
}

func TestARecordThatNobodySentEndsTheDemo(t *testing.T) {
	s := newTestShop(t, 50, new(bytes.Buffer))
	if err := s.produce(t.Context()); err != nil {
		t.Fatal(err)
	}
	stranger := customers.New(99).Next()
	send(t, s, &kgo.Record{Key: []byte(s.sent[0].ID), Value: encode(t, s, stranger)})
	if err := s.readBack(t.Context()); err == nil {
		t.Error("it is taken for one that was sent")
	}
}
