package fieldcrypt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

const shiftRules = `
version: 1
dataset: visits
domain_keys:
  ids: {kek: "local:k", versions: [%s]}
rules:
  - {tag: WHEN, action: shift, key: ids, join: patient, days: 100, by: %s}
topics: [{match: "*"}]
`

// The identifier stands behind the first time and before the second one.
const shiftFields = `{"name": "admitted", "type": {"type": "int", "logicalType": "date"}, "confluent:tags": ["WHEN"]},
	{"name": "patient", "type": ["null", "string", "long"]},
	{"name": "discharged", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "confluent:tags": ["WHEN"]}`

func visit(patient any, admitted time.Time, days int) map[string]any {
	return map[string]any{
		"patient": patient, "admitted": admitted, "discharged": admitted.AddDate(0, 0, days).Add(7 * time.Hour),
	}
}

func TestTheTimesOfOnePersonMoveTogether(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(shiftFields))
	day := time.Date(2024, 2, 27, 0, 0, 0, 0, time.UTC)
	for by, beside := range map[string]func(rec *fieldcrypt.Record, patient string){
		"/patient": func(*fieldcrypt.Record, string) {},
		"key":      func(rec *fieldcrypt.Record, p string) { rec.Key = []byte(p) },
		"header:x-patient": func(rec *fieldcrypt.Record, p string) {
			rec.Headers = []fieldcrypt.Header{{Key: "x-patient", Value: []byte(p)}}
		},
	} {
		policy := fmt.Sprintf(shiftRules, w.domainKey(""), by)
		offsets := map[string]time.Duration{}
		for _, patient := range []string{"p-1", "p-2", "p-3", "p-4", "p-5", "p-1"} {
			rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, visit(patient, day, 3))}
			beside(&rec, patient)
			out, err := w.engine(policy).Protect(t.Context(), rec)
			if err != nil {
				t.Fatalf("%s: %v", by, err)
			}
			got := w.decoded(1, out.Value)
			admitted, _ := got["admitted"].(time.Time)
			discharged, _ := got["discharged"].(time.Time)
			if d := discharged.Sub(admitted); d != 3*24*time.Hour+7*time.Hour {
				t.Errorf("%s: the stay is %s now", by, d)
			}
			moved := admitted.Sub(day)
			if moved.Abs() > 100*24*time.Hour || moved%(24*time.Hour) != 0 {
				t.Errorf("%s: moved by %s", by, moved)
			}
			if before, ok := offsets[patient]; ok && before != moved {
				t.Errorf("%s: %s was moved by %s and %s", by, patient, before, moved)
			}
			offsets[patient] = moved
			if got["patient"] != patient {
				t.Errorf("%s: the identifier became %v", by, got["patient"])
			}
			if _, err := w.engine(policy).Reveal(t.Context(), out); err != nil {
				t.Errorf("%s: %v", by, err)
			}
		}
		seen := map[time.Duration]bool{}
		for _, o := range offsets {
			seen[o] = true
		}
		if len(seen) < 3 {
			t.Errorf("%s: five persons moved by %v", by, offsets)
		}
	}
}

func TestARecordThatDoesNotSayWhoseTimesItHoldsIsRefused(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(shiftFields))
	key := w.domainKey("")
	day := time.Date(2024, 2, 27, 0, 0, 0, 0, time.UTC)
	header := func(v string) fieldcrypt.Header { return fieldcrypt.Header{Key: "x-patient", Value: []byte(v)} }
	for name, tt := range map[string]struct {
		by  string
		rec fieldcrypt.Record
	}{
		"null":        {"/patient", fieldcrypt.Record{Value: w.framed(1, visit(nil, day, 1))}},
		"empty":       {"/patient", fieldcrypt.Record{Value: w.framed(1, visit("", day, 1))}},
		"no key":      {"key", fieldcrypt.Record{Value: w.framed(1, visit("p", day, 1))}},
		"no header":   {"header:x-patient", fieldcrypt.Record{Value: w.framed(1, visit("p", day, 1))}},
		"two headers": {"header:x-patient", fieldcrypt.Record{Value: w.framed(1, visit("p", day, 1)), Headers: []fieldcrypt.Header{header("a"), header("b")}}},
	} {
		tt.rec.Topic = "t"
		_, err := w.engine(fmt.Sprintf(shiftRules, key, tt.by)).Protect(t.Context(), tt.rec)
		if f := asFault(t, err); f.Code != fieldcrypt.CodePerson || f.Retryable() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShiftsThatDoNotFitAreRefusedWhenThePlanIsMade(t *testing.T) {
	w := newWorld(t)
	key := w.domainKey("")
	for name, tt := range map[string]struct{ fields, by, want string }{
		"a number that tells no layout": {`{"name": "x", "type": "long", "confluent:tags": ["WHEN"]}, {"name": "p", "type": "string"}`, "/p", "layout"},
		"text that tells no layout":     {`{"name": "x", "type": "string", "confluent:tags": ["WHEN"]}, {"name": "p", "type": "string"}`, "/p", "layout"},
		"a time of day":                 {`{"name": "x", "type": {"type": "int", "logicalType": "time-millis"}, "confluent:tags": ["WHEN"]}, {"name": "p", "type": "string"}`, "/p", "time-millis"},
		"no such identifier":            {`{"name": "x", "type": {"type": "int", "logicalType": "date"}, "confluent:tags": ["WHEN"]}`, "/p", "no such field"},
		"an identifier of truth":        {`{"name": "x", "type": {"type": "int", "logicalType": "date"}, "confluent:tags": ["WHEN"]}, {"name": "p", "type": "boolean"}`, "/p", "names the person"},
	} {
		w.schemas[1] = avroText(record(tt.fields))
		_, err := w.engine(fmt.Sprintf(shiftRules, key, tt.by)).Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: frame(1)})
		f := asFault(t, err)
		if f.Code != fieldcrypt.CodePolicy || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
