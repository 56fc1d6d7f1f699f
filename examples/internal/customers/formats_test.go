package customers_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

func TestEveryFormatGivesTheCustomerBack(t *testing.T) {
	for _, f := range customers.Formats() {
		t.Run(f.Name, func(t *testing.T) {
			for i, c := range generate(5, 500) {
				b, err := f.Encode([]byte("before"), c)
				if err != nil {
					t.Fatal(err)
				}
				body, ok := bytes.CutPrefix(b, []byte("before"))
				if !ok {
					t.Fatal("it does not append")
				}
				back, err := f.Decode(body)
				if err != nil {
					t.Fatal(err)
				}
				if len(c.Emails) == 0 {
					back.Emails, c.Emails = nil, nil
				}
				if len(c.Preferences) == 0 {
					back.Preferences, c.Preferences = nil, nil
				}
				if !back.CreatedAt.Equal(c.CreatedAt) {
					t.Fatalf("record %d: created at %v, was %v", i, back.CreatedAt, c.CreatedAt)
				}
				back.CreatedAt = c.CreatedAt
				if back.LastOrderAt != nil && c.LastOrderAt != nil && back.LastOrderAt.Equal(*c.LastOrderAt) {
					back.LastOrderAt = c.LastOrderAt
				}
				if !reflect.DeepEqual(back, c) {
					t.Fatalf("record %d: %+v, was %+v", i, back, c)
				}
				again, err := f.Encode(nil, c)
				if err != nil || !bytes.Equal(again, body) {
					t.Fatalf("record %d: it encodes differently the second time, %v", i, err)
				}
				if _, err := f.Decode(append(body, '7')); err == nil && f.Name != "protobuf" {
					t.Fatal("a byte more is fine")
				}
			}
		})
	}
}

func TestTheListOfPathsIsThatOfTheSchema(t *testing.T) {
	want := map[customers.Secret]bool{}
	for _, c := range generate(1, 200) {
		for _, s := range customers.Sensitive(c) {
			want[customers.Secret{Path: s.Path, Tag: s.Tag}] = true
		}
	}
	listed := customers.SensitivePaths()
	if len(listed) != len(want) {
		t.Errorf("%d paths, want %d", len(listed), len(want))
	}
	for s := range want {
		if !slices.Contains(listed, s) {
			t.Errorf("%s %s is not listed", s.Path, s.Tag)
		}
	}
}
