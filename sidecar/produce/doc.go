// Package produce is the sidecar's only way to Kafka: every protocol turns its
// requests into a [Record], hands them to a [Pipeline], and turns each [Result]
// back. The pipeline protects a record, hands it to one Kafka client, and says
// what became of it.
//
// It knows nothing of policies, keys or protocols: what protects is behind
// [Protector]. A record that could not be protected is never handed over, and
// there is no way around the Protector.
package produce
