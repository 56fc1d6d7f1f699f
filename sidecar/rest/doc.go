// Package rest serves the HTTP and JSON protocols of the sidecar: the produce
// and metadata routes of the Confluent REST Proxy, version 2 and version 3, one
// route that takes a body as it is, and CloudEvents in binary mode.
//
// It turns requests into [produce.Record] values and results into answers, and
// knows nothing of policies and keys. No answer and no word to an [Observer]
// holds data of a request: texts are fixed words, paths, indexes, and the names
// of keys that look like names of keys.
//
// docs/rest.md has the routes, the errors, and where they differ from other
// proxies; openapi.yaml is the same for programs, and is served.
package rest
