// Package api holds the services that the sidecar offers over gRPC, gRPC-Web and
// Connect: their definition is in proto/fieldveil/v1, the Go code made from it in
// fieldveilv1 (messages and gRPC stubs) and fieldveilv1/fieldveilv1connect
// (Connect clients). Clients in Go import those two; others generate their own
// from the definition, or post JSON.
package api

//go:generate ../../scripts/buf generate
