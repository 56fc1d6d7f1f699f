package produce

import "strings"

// A Code names the reason of an [Error]. Codes of the [Protector] are those of
// its engine, such as "value_rejected" or "key_unavailable"; those below are the
// pipeline's. All are of a closed set, fit for metrics, and stay the same for
// ever.
type Code string

const (
	// CodeInvalid is a record or request that makes no sense, such as a negative
	// partition.
	CodeInvalid Code = "request_invalid"
	// CodeTopicUnknown is a topic that the cluster does not have.
	CodeTopicUnknown Code = "topic_unknown"
	// CodePartitionUnknown is a partition that the topic does not have.
	CodePartitionUnknown Code = "partition_unknown"
	// CodeTooLarge is a record that is too large for its topic once it is
	// protected.
	CodeTooLarge Code = "record_too_large"
	// CodeRefused is a record that the broker refuses for what it is.
	CodeRefused Code = "record_refused"
	// CodeKafkaDenied is a topic to which the cluster does not let the sidecar
	// write.
	CodeKafkaDenied Code = "kafka_denied"
	// CodeKafkaLogin is a cluster that does not let the sidecar in.
	CodeKafkaLogin Code = "kafka_login_failed"
	// CodeKafkaUnavailable is a cluster that cannot be reached, or cannot take
	// records now.
	CodeKafkaUnavailable Code = "kafka_unavailable"
	// CodeKafkaThrottled is a quota of the cluster.
	CodeKafkaThrottled Code = "kafka_throttled"
	// CodeKafkaFailed is any other answer of the cluster, and final.
	CodeKafkaFailed Code = "kafka_failed"
	// CodeNotSent is a record of a batch of which another record was refused, in
	// a batch that is sent as a whole or not at all.
	CodeNotSent Code = "batch_refused"
	// CodeOverloaded is a limit of the sidecar on what is in flight.
	CodeOverloaded Code = "overloaded"
	// CodeDraining is a sidecar that is being shut down.
	CodeDraining Code = "draining"
	// CodeCanceled is a request that ended before the record was handed over.
	CodeCanceled Code = "canceled"
	// CodeUnknown is a record that was handed over, and the request ended, or the
	// time for delivery, before the answer came. Its outcome is [Unknown].
	CodeUnknown Code = "outcome_unknown"
	// CodeInternal is a fault of the sidecar.
	CodeInternal Code = "internal"
)

// An Error says why a record was not delivered. It holds names and never data, so
// it may be logged and sent to anybody who may see the names of topics and
// fields.
type Error struct {
	Code    Code
	Outcome Outcome // Rejected, Retryable or Unknown
	Path    string  // canonical path of the field, or empty
	Tag     string  // the tag that chose the action, or empty
	Action  string  // such as "encrypt", or empty
	Kafka   int16   // Kafka's number of the error, 0 for none
}

// Error returns fixed words and names.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Path != "" {
		b.WriteString(" at ")
		b.WriteString(e.Path)
	}
	if e.Tag != "" {
		b.WriteString(", tagged ")
		b.WriteString(e.Tag)
	}
	if e.Action != "" {
		b.WriteString(", action ")
		b.WriteString(e.Action)
	}
	return b.String()
}
