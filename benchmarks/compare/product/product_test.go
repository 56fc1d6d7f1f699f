package product

import (
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func TestEveryWorkloadIsHiddenAndComesBack(t *testing.T) {
	for _, c := range workload.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			l, err := Lane(c)
			if err != nil {
				t.Fatal(err)
			}
			l.Do(2)
			floor, err := Floor(c)
			if err != nil {
				t.Fatal(err)
			}
			floor.Do(2)
		})
	}
	c := workload.JSON20()
	l, err := LanePaths(c, workload.JSONPaths())
	if err != nil {
		t.Fatal(err)
	}
	l.Do(2)
}

func TestAnOutputThatHidesNothingIsNoticed(t *testing.T) {
	c := workload.Avro20()
	if err := Hidden(c.Record, c.Tagged); err == nil {
		t.Error("a plain record passes")
	}
	if err := Hidden(c.Record, c.Tagged[4:]); err == nil {
		t.Error("a record with one plain value passes")
	}
	if err := Hidden(nil, c.Tagged); err == nil {
		t.Error("no output passes")
	}
	if err := Hidden([]byte("nothing of it"), c.Tagged); err != nil {
		t.Error(err)
	}
}

func TestOneDataKeyServesAllRecords(t *testing.T) {
	first, rest, err := KMSCalls(t.Context(), workload.Avro20(), 50)
	if err != nil {
		t.Fatal(err)
	}
	if first == 0 || first > 2 || rest != 0 {
		t.Errorf("%d calls before the first record was done, %d after", first, rest)
	}
}
