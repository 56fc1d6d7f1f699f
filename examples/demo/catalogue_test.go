package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestTheCatalogueShowsEveryActionAndHoldsWhatItClaims(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--actions", "all"}, &out, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"encrypt, key: pii", "mode: deterministic", "mode: format-preserving", "tokenize, vault: people", "tokenize, key: ids",
		"hash, key: ids", "mask, rule: card", "generalize, to: year", "shift, key: ids", "constant", "drop", "reject",
		"no record: value_rejected", "4111 11** **** 1111", "41 actions shown, 11 of them reversible.", "mode: person", "entry 1 of the ledger", "[forgotten]",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if line != "\n" && strings.TrimRight(line, " \n")+"\n" != line {
			t.Errorf("a line ends in a space: %q", line)
		}
	}
}

func TestTheCatalogueFailsOnWhatDoesNotHold(t *testing.T) {
	chapters := []chapter{{"c", []entry{{"action: encrypt", avroString, "v", true}, {"action: mask", avroString, "w", false}}}}
	for name, tt := range map[string]struct {
		after, back map[string]any
		fails       bool
	}{
		"all is well":         {map[string]any{"f1": "x", "f2": "*"}, map[string]any{"f1": "v", "f2": "*"}, false},
		"one left as it was":  {map[string]any{"f1": "x", "f2": "w"}, map[string]any{"f1": "v", "f2": "w"}, true},
		"one did not return":  {map[string]any{"f1": "x", "f2": "*"}, map[string]any{"f1": "x", "f2": "*"}, true},
		"one is sent as null": {map[string]any{"f1": "v", "f2": nil}, map[string]any{"f1": "v", "f2": nil}, true},
	} {
		var out bytes.Buffer
		s := &shop{options: options{out: &out, width: 100}}
		err := s.showEntries(chapters, map[string]any{"f1": "v", "f2": "w"}, tt.after, tt.back, "")
		if errors.Is(err, errCatalogue) != tt.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
