//go:build !cgo

package main

import (
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
)

// run says that the client cannot be built: it links librdkafka.
func run(context.Context, *row.Document, ratio.Options) error {
	return row.MissingError{Err: errors.New("the client of Confluent needs cgo, and this build has none: install a C compiler and build with CGO_ENABLED=1")}
}
