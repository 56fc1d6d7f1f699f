package scenario

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

func TestAnAnswerIsGoodWhenEachRecordWasDelivered(t *testing.T) {
	good := func() *v1.RecordResult {
		return &v1.RecordResult{Outcome: v1.Outcome_OUTCOME_DELIVERED, Partition: proto.Int32(3), Offset: proto.Int64(1 << 40), Timestamp: timestamppb.Now()}
	}
	bad := &v1.RecordResult{Outcome: v1.Outcome_OUTCOME_RETRYABLE, Code: "overloaded"}
	for _, c := range []struct {
		name    string
		results []*v1.RecordResult
		want    bool
	}{
		{"all were", []*v1.RecordResult{good(), good()}, true},
		{"one was not", []*v1.RecordResult{good(), bad}, false},
		{"one has no outcome", []*v1.RecordResult{good(), {Partition: proto.Int32(3)}}, false},
		{"one is missing", []*v1.RecordResult{good()}, false},
		{"one is too many", []*v1.RecordResult{good(), good(), good()}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ack := &v1.StreamAck{Sequence: 7, Results: c.results}
			stream, err := proto.Marshal(&v1.ProduceStreamResponse{Message: &v1.ProduceStreamResponse_Ack{Ack: ack}})
			if err != nil {
				t.Fatal(err)
			}
			if err := delivered(stream, 2, ackField, resultsField); (err == nil) != c.want || err != nil && !errors.Is(err, errAnswer) {
				t.Errorf("of a stream: %v", err)
			}
			unary, err := proto.Marshal(&v1.ProduceResponse{Results: c.results})
			if err != nil {
				t.Fatal(err)
			}
			if err := delivered(unary, 2, responseField); (err == nil) != c.want {
				t.Errorf("of a call: %v", err)
			}
			if err := delivered(stream[:len(stream)-1], 2, ackField, resultsField); err == nil {
				t.Error("half an answer is good")
			}
		})
	}
}
