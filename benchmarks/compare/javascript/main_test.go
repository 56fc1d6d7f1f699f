package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func TestTheClientForJavaScriptIsMeasured(t *testing.T) {
	if d := rowtest.Run(t, program()); len(d.Rows) != 2 {
		t.Errorf("%d rows", len(d.Rows))
	}
}

func TestTheVersionIsTheOneFetched(t *testing.T) {
	if !strings.Contains(string(manifest), `"@confluentinc/schemaregistry": "`+version+`"`) {
		t.Errorf("package.json asks for another version than %s", version)
	}
}

func TestAPlainWireFormIsNoticed(t *testing.T) {
	c := workload.Avro20()
	s := serialized{Wire: base64.StdEncoding.EncodeToString(c.Record), Back: map[string]any{}}
	if s.check(map[string]any{}, c.Tagged) == nil {
		t.Error("a plain record passes")
	}
	s.Wire = base64.StdEncoding.EncodeToString([]byte("hidden"))
	if err := s.check(map[string]any{}, c.Tagged); err != nil {
		t.Error(err)
	}
	if s.check(map[string]any{"email": "someone@else.example"}, c.Tagged) == nil {
		t.Error("another order passes")
	}
}
