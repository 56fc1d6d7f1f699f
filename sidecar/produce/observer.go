package produce

import "time"

// An Observer is told what the pipeline does, for metrics. Its methods are called
// from many goroutines at once, some of them the Kafka client's, and must not
// block. Topics are those that the cluster has, apart from those of records that
// were refused.
type Observer interface {
	// Protected is called after each call of the Protector: how long it took, the
	// bytes of the record before and after, and why it failed, or nil. A record
	// that failed has no bytes after.
	Protected(topic string, took time.Duration, before, after int, err *Error)
	// Finished is called once for each record that Produce or Send let in, with
	// what its sender is told, and how long that took.
	Finished(topic string, took time.Duration, res Result)
	// Late is called when the answer comes for a record whose sender was told
	// before that its outcome is not known.
	Late(topic string, res Result)
}

// Stats is what is in a pipeline at one moment.
type Stats struct {
	Requests int64 // that were admitted and not released
	Records  int64 // of these requests
	Bytes    int64 // of these records, before they are protected
	Streams  int64
	Pending  int64 // records with the Kafka client, whether anybody waits or not
	Draining bool
}
