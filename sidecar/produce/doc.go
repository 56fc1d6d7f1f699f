// Package produce is the sidecar's only way to Kafka: every protocol turns its
// requests into a [Record], hands them to a [Pipeline], and turns each [Result]
// back. The pipeline protects a record, hands it to one Kafka client, and says
// what became of it.
//
// It knows nothing of policies, keys or protocols: what protects is behind
// [Protector]. A record that could not be protected is never handed over, and
// there is no way around the Protector.
//
// What the brokers answer is about batches, and the client passes the answer for
// a batch on to all records that wait behind it in the same partition. So a
// record can be refused because of another one. The pipeline keeps away what it
// can see beforehand: what is too large, or breaks another rule of its topic, and
// topics and partitions that are not there. Where an answer got lost in between, or the client does not say whether
// a record was written, the outcome is [Unknown].
package produce
