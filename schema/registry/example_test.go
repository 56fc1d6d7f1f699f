package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
)

// serve stands for a registry.
func serve() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/7", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"schema": "{\"type\":\"record\",\"name\":\"Order\",\"fields\":[{\"name\":\"mail\",\"type\":\"string\"}]}",
			"metadata": {"tags": {"Order.mail": ["PII"]}}}`)
	})
	mux.HandleFunc("GET /schemas/ids/7/versions", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `[{"subject": "orders-value", "version": 1}]`)
	})
	mux.HandleFunc("POST /subjects/orders-value/versions", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"id": 8}`)
	})
	return httptest.NewServer(mux)
}

func ExampleNew() {
	server := serve()
	defer server.Close()
	ctx := context.Background()

	client, err := registry.New([]string{server.URL}, registry.WithBasicAuth("producer", "secret"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	text, err := client.Schema(ctx, 7)
	fmt.Println(text.Format, text.Tags, err)
	_, err = client.Schema(ctx, 99)
	fmt.Println(errors.Is(err, schema.ErrNotFound))
	// Output:
	// AVRO [{Order.mail [PII]}] <nil>
	// true
}

func ExampleClient_Register() {
	server := serve()
	defer server.Close()
	client, err := registry.New([]string{server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	id, err := client.Register(context.Background(), "orders-value", schema.Text{Format: schema.Avro, Schema: `"bytes"`})
	fmt.Println(id, err)
	// Output: 8 <nil>
}

// A snapshot lets a producer start while the registry is away.
func ExampleClient_Snapshot() {
	server := serve()
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "schemas")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	client, err := registry.New([]string{server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Schema(ctx, 7); err != nil {
		fmt.Println(err)
		return
	}
	if err := client.Snapshot(dir); err != nil {
		fmt.Println(err)
		return
	}
	client.Close()
	server.Close()

	snapshot, err := registry.LoadDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err = registry.New([]string{server.URL}, registry.WithSnapshot(snapshot))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	text, err := client.Schema(ctx, 7)
	fmt.Println(text.Tags, err)
	// Output: [{Order.mail [PII]}] <nil>
}

func ExampleTagged() {
	server := serve()
	defer server.Close()
	client, err := registry.New([]string{server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	tags, err := registry.ParseTags([]byte(`
version: 1
subjects:
  - match: orders-*
    tags:
      - {pattern: /mail, tags: [PII.EMAIL]}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := registry.Tagged(client, tags)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := source.Schema(context.Background(), 7)
	fmt.Println(text.Tags, err)
	// Output: [{Order.mail [PII]} {/mail [PII.EMAIL]}] <nil>
}
