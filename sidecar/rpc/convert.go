package rpc

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// JSON goes by way of the generated messages, which know its rules.

// message returns an empty message of the form of a request.
func (k kind) request() proto.Message {
	switch k {
	case kindCheck:
		return &v1.CheckRequest{}
	case kindProtect:
		return &v1.ProtectRequest{}
	case kindReveal:
		return &v1.RevealRequest{}
	case kindStream:
		return &v1.ProduceStreamRequest{}
	case kindProduce:
	}
	return &v1.ProduceRequest{}
}

// message returns the generated message that r is.
func (r *response) message() proto.Message {
	switch r.kind {
	case kindCheck:
		m := &v1.CheckResponse{Results: make([]*v1.CheckResult, len(r.results))}
		for i := range r.results {
			m.Results[i] = checkOf(&r.results[i])
		}
		return m
	case kindProtect:
		return &v1.ProtectResponse{Record: recordOf(&r.rec)}
	case kindReveal:
		return &v1.RevealResponse{Record: recordOf(&r.rec)}
	case kindStream:
		if r.opened {
			opened := &v1.StreamOpened{WindowRecords: uint32(r.records), WindowBytes: uint64(r.bytes)} //nolint:gosec // Validate bounds the window
			return &v1.ProduceStreamResponse{Message: &v1.ProduceStreamResponse_Opened{Opened: opened}}
		}
		ack := &v1.StreamAck{Sequence: r.sequence, Results: resultsOf(r.results)}
		return &v1.ProduceStreamResponse{Message: &v1.ProduceStreamResponse_Ack{Ack: ack}}
	case kindProduce:
	}
	return &v1.ProduceResponse{Results: resultsOf(r.results)}
}

func resultsOf(results []produce.Result) []*v1.RecordResult {
	out := make([]*v1.RecordResult, len(results))
	for i := range results {
		out[i] = resultOf(&results[i])
	}
	return out
}

func resultOf(res *produce.Result) *v1.RecordResult {
	outcome, err := answer(res)
	if err != nil {
		return &v1.RecordResult{
			Outcome: outcome, Code: string(err.Code), Path: err.Path, Tag: err.Tag, Action: err.Action, KafkaError: int32(err.Kafka),
		}
	}
	return &v1.RecordResult{
		Outcome: outcome, Partition: &res.Partition, Offset: &res.Offset, Timestamp: timeOf(res.Timestamp),
	}
}

func checkOf(res *produce.Result) *v1.CheckResult {
	if accepted(res) {
		return &v1.CheckResult{Accepted: true, KeySize: sizeOf(res.KeySize), ValueSize: sizeOf(res.ValueSize)}
	}
	outcome, err := answer(res)
	return &v1.CheckResult{Outcome: outcome, Code: string(err.Code), Path: err.Path, Tag: err.Tag, Action: err.Action}
}

func sizeOf(n int) *int32 {
	if n < 0 {
		return nil
	}
	return new(int32(n)) //nolint:gosec // a message holds less than 2 GiB
}

func timeOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func recordOf(rec *produce.Record) *v1.Record {
	out := &v1.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value, Timestamp: timeOf(rec.Timestamp)}
	if rec.Partition >= 0 {
		out.Partition = &rec.Partition
	}
	for _, h := range rec.Headers {
		out.Headers = append(out.Headers, &v1.Header{Name: h.Key, Value: h.Value})
	}
	return out
}
