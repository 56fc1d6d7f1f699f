//go:build !cgo

package main

import (
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
)

func TestWithoutCgoTheComparisonIsSkipped(t *testing.T) {
	if d := rowtest.Run(t, program()); d.Skipped == "" {
		t.Error("rows without a client")
	}
}
