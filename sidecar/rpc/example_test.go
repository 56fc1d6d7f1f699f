package rpc_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
)

// Parts that say yes to everything. A program takes those of the sidecar.
type yes struct{}

func (yes) Admit(int, int) (func(), *produce.Error) { return func() {}, nil }
func (yes) AdmitStream() (func(), *produce.Error)   { return func() {}, nil }

func (yes) Produce(_ context.Context, recs []produce.Record, _ produce.Mode) []produce.Result {
	out := make([]produce.Result, len(recs))
	for i := range out {
		out[i] = produce.Result{Outcome: produce.Delivered, Partition: 3, Offset: int64(i)}
	}
	return out
}

func (yes) Send(_ context.Context, _ produce.Record, done func(produce.Result)) {
	done(produce.Result{Outcome: produce.Delivered})
}

func (yes) Check(context.Context, produce.Record) produce.Result {
	return produce.Result{Outcome: produce.Delivered}
}

func (yes) Protect(_ context.Context, rec produce.Record) (produce.Record, error) { return rec, nil }

func (yes) Reveal(_ context.Context, rec produce.Record, _ string) (produce.Record, error) {
	return rec, nil
}

func (yes) Authenticate(ctx context.Context, _ *rpc.Caller) (context.Context, error) { return ctx, nil }
func (yes) Authorize(context.Context, rpc.Operation, string, string) error           { return nil }
func (yes) Revealed(context.Context, rpc.Reveal) error                               { return nil }

// A server on one port, and a record posted to it as JSON.
func Example() {
	s, err := rpc.New(rpc.DefaultConfig(), rpc.Deps{Sender: yes{}, Protector: yes{}, Guard: yes{}, Audit: yes{}})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	s.SetServing(true)

	url := "http://" + l.Addr().String() + "/fieldveil.v1.ProduceService/Produce"
	body := strings.NewReader(`{"topic": "customers", "records": [{"key": "Yy03", "value": "eyJpZCI6N30="}]}`)
	client := &http.Client{}
	resp, err := client.Post(url, "application/json", body)
	if err != nil {
		log.Fatal(err)
	}
	out, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, strings.Contains(string(out), "OUTCOME_DELIVERED"))
	client.CloseIdleConnections()

	s.Drain() // balancers turn away
	if err := s.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-done)
	// Output:
	// 200 true
	// <nil>
}
