// Command confluent compares this project with confluent-kafka-go v2 and its
// client-side field level encryption: the serializer for Avro with a rule that
// encrypts the tagged fields, a registry of schemas and data keys in its own
// process, and its local KMS. Nothing here waits for a network.
package main

import (
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
)

func main() { row.Main(program()) }

func program() row.Program {
	return row.Program{
		Rival: "confluentinc/confluent-kafka-go CSFLE", Version: row.Version("github.com/confluentinc/confluent-kafka-go/v2"),
		Rounds: 201, Slice: 5 * time.Millisecond,
		Run: run,
	}
}
