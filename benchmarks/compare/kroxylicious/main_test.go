package main

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
)

// The run itself checks that the broker holds hidden values and that readers get
// the record.
func TestTheProxyIsMeasuredBesideARealBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it starts a broker and a proxy, which takes half a minute")
	}
	d := rowtest.Run(t, program())
	if len(d.Rows) != 2 {
		t.Fatalf("%d rows", len(d.Rows))
	}
	for _, r := range d.Rows {
		if r.Unit != "records/s" || r.Ours.Value <= 0 || r.Rival.Value <= 0 {
			t.Errorf("row %+v", r)
		}
	}
}

func TestTheVersionIsTheOneFetched(t *testing.T) {
	if !strings.Contains(string(pom), "<kroxylicious.version>"+version+"</") {
		t.Errorf("pom.xml asks for another version than %s", version)
	}
}
