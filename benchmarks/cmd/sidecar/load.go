package main

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// A load is a client with connections of its own.
type load interface {
	// run keeps the server busy for a time and returns how many records were
	// answered.
	run(d time.Duration) (records int, err error)
	close()
}

// batchSize is how many records a batch has.
const batchSize = 100

// framed returns the Avro record behind the id of its schema, as clients of a
// registry write it.
func framed() []byte {
	out := binary.BigEndian.AppendUint32([]byte{0}, 1)
	return append(out, workload.Avro20().Record...)
}

// bodyJSON is a batch for version 2 of the REST proxy, as JSON.
func bodyJSON() []byte {
	doc := workload.JSON20().Record
	return bodyV2(func(b []byte) []byte { return append(b, doc...) })
}

// bodyBinary is a batch of framed Avro, as base64.
func bodyBinary() []byte {
	value := framed()
	return bodyV2(func(b []byte) []byte {
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, value)
		return append(b, '"')
	})
}

func bodyV2(value func([]byte) []byte) []byte {
	b := []byte(`{"records":[`)
	for i := range batchSize {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"value":`...)
		b = append(value(b), '}')
	}
	return append(b, "]}"...)
}
