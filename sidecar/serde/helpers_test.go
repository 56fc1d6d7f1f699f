package serde

import (
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
)

// encoderOf compiles a text under id 7, without a registry.
func encoderOf(tb testing.TB, f Format, text string, cfg Config, refs ...string) *Encoder {
	tb.Helper()
	c := compile(7, &schema.Text{Format: f.language(), Schema: text, References: refs}, &cfg)
	if c.err != nil {
		tb.Fatal(c.err)
	}
	return c.enc
}

// fault returns code and path of an error of this package.
func fault(tb testing.TB, err error) (code, path string) {
	tb.Helper()
	if err == nil {
		return "", ""
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		tb.Fatalf("error of type %T: %v", err, err)
	}
	return e.Code(), e.Path()
}

// start returns a Serde on a registry in memory.
func start(tb testing.TB, cfg Config) (*Serde, *registrytest.Server) {
	tb.Helper()
	server, err := registrytest.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Close)
	client, err := registry.New([]string{server.URL()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	s, err := New(client, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s, server
}

func framed(s string) string { return "\x00\x00\x00\x00\x07" + s }
