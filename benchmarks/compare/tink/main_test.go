package main

import (
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func TestTinkIsMeasuredAndCallsItsRemoteKeyForEachValue(t *testing.T) {
	d := rowtest.Run(t, program())
	if len(d.Rows) != 3 {
		t.Fatalf("%d rows", len(d.Rows))
	}
	if calls := d.Rows[2].Rival.Value; calls != 5 {
		t.Errorf("%v calls a record", calls)
	}
}

// idle is a rival that does nothing, which would win every race.
type idle struct{}

func (idle) Encrypt(plaintext, _ []byte) ([]byte, error) { return plaintext, nil }

func (idle) Decrypt(ciphertext, _ []byte) ([]byte, error) { return ciphertext, nil }

func TestARivalThatDoesNothingIsNoticed(t *testing.T) {
	if check(idle{}, workload.Avro20().Tagged) == nil {
		t.Error("plain values pass")
	}
}
