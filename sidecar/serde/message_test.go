package serde

import (
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestMessageIsTheFirstOfTheFile(t *testing.T) {
	tests := []struct {
		name string
		text schema.Text
		want string // full name; empty for an error
	}{
		{"the first of two", schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; package n; message A { string a = 1; } message B {}`}, "n.A"},
		{"an import by name", schema.Text{
			Format: schema.Protobuf, Schema: `syntax = "proto3"; import "b.proto"; message A { n.B b = 1; }`,
			References: []string{`syntax = "proto3"; package n; message B { string b = 1; }`}, Names: []string{"b.proto"},
		}, "A"},
		{"a file without a message", schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; enum E { X = 0; }`}, ""},
		{"a text that is none", schema.Text{Format: schema.Protobuf, Schema: `message`}, ""},
		{"another format", schema.Text{Format: schema.Avro, Schema: `"string"`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Message(tt.text)
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("got %s", m.FullName())
			case tt.want == "":
				if code, _ := fault(t, err); code != CodeSchemaInvalid {
					t.Errorf("code %q", code)
				}
			case err != nil || string(m.FullName()) != tt.want:
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}
