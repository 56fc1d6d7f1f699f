package sidecar

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	fieldveilv1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// dial returns a client that comes back soon after its sidecar was away.
func (l *load) dial() (fieldveilv1.ProduceServiceClient, func()) {
	quick := backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond}
	conn, err := grpc.NewClient("passthrough:///"+l.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quick, MinConnectTimeout: 5 * time.Second}))
	if err != nil {
		panic(err)
	}
	return fieldveilv1.NewProduceServiceClient(conn), func() { _ = conn.Close() }
}

// calls returns a sender that makes a call for each batch.
func (l *load) calls() (sender, func()) {
	client, end := l.dial()
	return func(people []person) ([]person, bool) {
		// As over HTTP, the answer is waited for even if the test is over.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		out, err := client.Produce(ctx, &fieldveilv1.ProduceRequest{Topic: l.topic, Records: records(people)})
		if err != nil {
			l.failed(err)
			return people, true
		}
		return l.results(people, out.GetResults())
	}, end
}

// streams returns a sender that keeps a stream open, and opens another when that
// has ended.
func (l *load) streams() (sender, func()) {
	client, end := l.dial()
	// Ending the context is the way to be rid of a stream.
	ctx, cancel := context.WithCancel(context.Background())
	var stream fieldveilv1.ProduceService_ProduceStreamClient
	var sequence uint64
	send := func(people []person) (*fieldveilv1.StreamAck, error) {
		if stream == nil {
			fresh, err := client.ProduceStream(ctx)
			if err != nil {
				return nil, err
			}
			open := &fieldveilv1.StreamOpen{Topic: l.topic, Mode: fieldveilv1.Mode_MODE_WHOLE}
			// Only Recv knows why a Send fails.
			_ = fresh.Send(&fieldveilv1.ProduceStreamRequest{Message: &fieldveilv1.ProduceStreamRequest_Open{Open: open}})
			if _, err := fresh.Recv(); err != nil {
				return nil, err
			}
			stream = fresh
		}
		sequence++
		batch := &fieldveilv1.StreamBatch{Sequence: sequence, Records: records(people)}
		_ = stream.Send(&fieldveilv1.ProduceStreamRequest{Message: &fieldveilv1.ProduceStreamRequest_Batch{Batch: batch}}) // as above
		in, err := stream.Recv()
		if err == nil && in.GetAck().GetSequence() != sequence {
			err = fmt.Errorf("batch %d was answered as batch %d", sequence, in.GetAck().GetSequence())
		}
		return in.GetAck(), err
	}
	post := func(people []person) ([]person, bool) {
		ack, err := send(people)
		if err != nil {
			stream = nil
			l.failed(err)
			return people, true
		}
		return l.results(people, ack.GetResults())
	}
	return post, func() { cancel(); end() }
}

func records(people []person) []*fieldveilv1.Record {
	var out []*fieldveilv1.Record
	for _, p := range people {
		value, err := json.Marshal(p)
		if err != nil {
			panic(err)
		}
		out = append(out, &fieldveilv1.Record{Key: []byte(p.wireKey()), Value: value})
	}
	return out
}

func (l *load) results(people []person, results []*fieldveilv1.RecordResult) (left []person, wait bool) {
	if err := sameLength(len(results), len(people)); err != nil {
		l.lost(err)
		return people, true
	}
	places := make([]*place, len(people))
	for i, r := range results {
		if r.GetOutcome() == fieldveilv1.Outcome_OUTCOME_DELIVERED {
			places[i] = &place{r.GetPartition(), r.GetOffset()}
		}
	}
	return l.told(people, places)
}

// failed notes a call that failed as a whole: the sidecar said so, or there was
// nobody to connect to, or it broke off.
func (l *load) failed(err error) {
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "fieldveil" {
			l.refused.Add(1)
			note := err.Error()
			l.other.Store(&note)
			return
		}
	}
	switch text := s.Message(); {
	case s.Code() == codes.Unavailable && strings.Contains(text, "dial tcp"):
		l.away.Add(1)
	case s.Code() == codes.Unavailable && strings.Contains(text, "server preface"):
		l.reset.Add(1) // it was not accepted, or not read from
	default:
		l.lost(err)
	}
}
