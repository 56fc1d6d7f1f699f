package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rest"
)

// A pipeline that delivers everything to the first partition.
type pipeline struct{ next int64 }

func (p *pipeline) Admit(int, int) (func(), *produce.Error) { return func() {}, nil }
func (p *pipeline) AdmitStream() (func(), *produce.Error)   { return func() {}, nil }

func (p *pipeline) Produce(_ context.Context, recs []produce.Record, _ produce.Mode) []produce.Result {
	out := make([]produce.Result, len(recs))
	for i := range recs {
		out[i] = produce.Result{Outcome: produce.Delivered, Offset: p.next}
		p.next++
	}
	return out
}

func (p *pipeline) Send(ctx context.Context, rec produce.Record, done func(produce.Result)) {
	done(p.Produce(ctx, []produce.Record{rec}, produce.Each)[0])
}

func (p *pipeline) Check(context.Context, produce.Record) (r produce.Result) { return r }

func ExampleNew() {
	surface, err := rest.New(rest.DefaultConfig(), rest.Deps{Sender: &pipeline{}, Guard: rest.Open{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: surface}
	surface.ConfigureServer(server) // limits of headers, and HTTP/2 without TLS

	request := httptest.NewRequest(http.MethodPost, "/topics/customers", strings.NewReader(`{"records":[{"key":"c-7","value":{"email":"ann@example.test"}}]}`))
	request.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	answer := httptest.NewRecorder()
	server.Handler.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 {"offsets":[{"partition":0,"offset":0,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}
}

func ExampleConfig_Validate() {
	c := rest.Config{MaxRecords: -1, PublicURL: "kafka"}
	fmt.Println(c.Validate())
	// Output:
	// max_records: must be from 1 to 1048576
	// public_url: must be http or https, a host, and no more than a path
}
