package serve

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// A streamSender counts the streams that are open.
type streamSender struct {
	produce.Sender

	open int
}

func (s *streamSender) AdmitStream() (release func(), err *produce.Error) {
	s.open++
	return func() { s.open-- }, nil
}

// Send implements [produce.Sender]: whoever sends is told at once.
func (*streamSender) Send(_ context.Context, rec produce.Record, done func(produce.Result)) {
	done(produce.Result{Outcome: produce.Delivered, Offset: int64(len(rec.Value))})
}

func TestEverySenderIsToldOfHisOwnRecord(t *testing.T) {
	c := &counted{Sender: &streamSender{}, observe: telemetry.NewObserver(telemetry.Options{})}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 200 {
				told := 0
				c.Send(t.Context(), produce.Record{Topic: "t", Value: make([]byte, n)}, func(res produce.Result) {
					told++
					if res.Offset != int64(n) {
						t.Errorf("%d is told of %d", n, res.Offset)
					}
				})
				if told != 1 {
					t.Errorf("told %d times", told)
				}
			}
		})
	}
	wg.Wait()
}

func TestAStreamGivesItsRoomBackOnce(t *testing.T) {
	inner := &streamSender{}
	c := &counted{Sender: inner, observe: telemetry.NewObserver(telemetry.Options{})}
	release, err := c.AdmitStream()
	if err != nil || inner.open != 1 {
		t.Fatalf("%v, %d open", err, inner.open)
	}
	release()
	release()
	if inner.open != 0 {
		t.Errorf("%d open", inner.open)
	}
}

// A batchSender answers each record of a batch in a way of its own.
type batchSender struct{ produce.Sender }

func (batchSender) SendBatch(_ context.Context, recs []produce.Record, results []produce.Result, done func()) {
	for i := range recs {
		results[i] = produce.Result{Outcome: produce.Delivered, Offset: int64(i), KeySize: -1, ValueSize: 10}
		if len(recs[i].Value) > 1 {
			results[i] = produce.Result{Outcome: produce.Rejected, KeySize: -1, ValueSize: -1, Err: &produce.Error{Code: "value_rejected", Outcome: produce.Rejected}}
		}
	}
	done()
}

func TestABatchIsCountedRecordByRecord(t *testing.T) {
	o := telemetry.NewObserver(telemetry.Options{Topics: []string{"a"}})
	c := &counted{Sender: batchSender{}, observe: o}
	recs := []produce.Record{
		{Topic: "a", Value: []byte("1")}, {Topic: "a", Value: []byte("2")}, {Topic: "a", Value: []byte("three")},
		{Topic: "b", Value: []byte("four")}, {Topic: "a", Value: []byte("5")},
	}
	results, told := make([]produce.Result, len(recs)), 0
	c.SendBatch(t.Context(), recs, results, func() { told++ })
	if told != 1 || results[4].Offset != 4 || results[2].Err == nil {
		t.Fatalf("told %d times, %+v", told, results)
	}
	page := httptest.NewRecorder()
	o.Handler().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`fieldveil_records_total{code="ok",outcome="delivered",protocol="grpc"} 3`,
		`fieldveil_records_total{code="value_rejected",outcome="rejected",protocol="grpc"} 2`,
		`fieldveil_record_in_bytes_total{protocol="grpc"} 12`, `fieldveil_record_out_bytes_total{protocol="grpc"} 30`,
		`fieldveil_topic_records_total{outcome="delivered",topic="a"} 3`, `fieldveil_topic_records_total{outcome="rejected",topic="a"} 1`,
		`fieldveil_topic_records_total{outcome="rejected",topic="other"} 1`,
	} {
		if !strings.Contains(page.Body.String(), want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
}
