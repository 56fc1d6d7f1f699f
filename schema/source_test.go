package schema_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestStatic(t *testing.T) {
	text := schema.Text{Format: schema.Avro, Schema: `"n.A"`, References: []string{`{"type":"fixed","name":"n.A","size":1}`}}
	tests := []struct {
		name   string
		source schema.Static
		id     int
		found  bool
	}{
		{"an id that is there", schema.Static{7: text}, 7, true},
		{"an id that is not there", schema.Static{7: text}, 8, false},
		{"an id below zero", schema.Static{7: text}, -7, false},
		{"a source without schemas", nil, 7, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var source schema.Source = tt.source
			got, err := source.Schema(t.Context(), tt.id)
			if tt.found {
				if err != nil || got.Schema != text.Schema || got.Format != text.Format || len(got.References) != 1 {
					t.Errorf("got %+v and error %v", got, err)
				}
				return
			}
			if !errors.Is(err, schema.ErrNotFound) {
				t.Errorf("error is %v, want ErrNotFound", err)
			}
			if err == nil || !strings.Contains(err.Error(), fmt.Sprint(tt.id)) {
				t.Errorf("error %v does not name id %d", err, tt.id)
			}
			if got.Schema != "" {
				t.Errorf("got %+v with an error", got)
			}
		})
	}
}

func ExampleStatic() {
	var source schema.Source = schema.Static{
		1: {Format: schema.Avro, Schema: `"string"`},
	}
	text, err := source.Schema(context.Background(), 1)
	fmt.Println(text.Format, text.Schema, err)
	_, err = source.Schema(context.Background(), 2)
	fmt.Println(errors.Is(err, schema.ErrNotFound))
	// Output:
	// AVRO "string" <nil>
	// true
}

func TestMalformedErrorSaysTheReasonAlone(t *testing.T) {
	err := &schema.MalformedError{Offset: 3, Reason: "truncated"}
	if err.Error() != "malformed record: truncated" {
		t.Errorf("text is %q", err.Error())
	}
}
