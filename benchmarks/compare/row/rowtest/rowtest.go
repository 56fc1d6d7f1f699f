// Package rowtest runs the programs of benchmarks/compare for their tests.
package rowtest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
)

// Run runs a program very briefly and returns what it has printed. It skips the
// test when the rival cannot be had, and fails it when the document is not what
// its readers expect. Figures of so short a run mean nothing.
func Run(t *testing.T, p row.Program) row.Document {
	t.Helper()
	var document, table bytes.Buffer
	if err := row.Execute(t.Context(), p, ratio.Options{Rounds: 3, Slice: time.Millisecond}, &document, &table); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(document.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("the document has %d lines and should have one", n)
	}
	var d row.Document
	decoder := json.NewDecoder(&document)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.Skipped != "" {
		t.Skipf("skipped: %s", d.Skipped)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	if d.Rival != p.Rival || d.Version != p.Version {
		t.Errorf("the document speaks of %s %s", d.Rival, d.Version)
	}
	if table.Len() == 0 {
		t.Error("there is no table")
	}
	return d
}
