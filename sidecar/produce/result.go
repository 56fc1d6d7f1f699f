package produce

import "time"

// An Outcome says what became of a record. The four are never mixed up: a sender
// that repeats what was [Rejected] wastes its time, one that repeats what is
// [Unknown] may write it twice, and one that does not repeat what is [Retryable]
// loses it.
type Outcome uint8

const (
	// Unknown is a record that was handed over and of which no answer came in
	// time: it may be in the topic, now or later, or not. Whatever is in the topic
	// is protected.
	Unknown Outcome = iota
	// Delivered is a record that the brokers acknowledged with acks=all.
	Delivered
	// Rejected is a record that is not in the topic and would be refused again.
	Rejected
	// Retryable is a record that is not in the topic and may get there later.
	Retryable
)

// String returns the outcome as metrics and logs name it.
func (o Outcome) String() string {
	switch o {
	case Delivered:
		return "delivered"
	case Rejected:
		return "rejected"
	case Retryable:
		return "retryable"
	case Unknown:
		return "unknown"
	default:
		return "invalid"
	}
}

// A Result is what became of one record.
type Result struct {
	Outcome Outcome
	// Where a delivered record is. Partition and Offset are -1 for others.
	Partition int32
	Offset    int64
	Timestamp time.Time
	// Bytes of key and value as they were protected, -1 for one that is null.
	KeySize, ValueSize int
	// Held says that the Kafka client still has the record, and refers to what
	// the sender's record referred to: the request ended first. That memory must
	// not be written to any more, nor go back to a pool. Only an Unknown record
	// can be held.
	Held bool
	// Err is nil for a delivered record and for no other.
	Err *Error
}
