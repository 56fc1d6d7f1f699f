// Package load makes load for measurements: open loops, in which each request is
// due at a time that no answer can move, and closed loops, which are as fast as
// their answers; and it keeps latencies in histograms.
//
// An open loop counts what a request waited since it was due. A loop that sends
// the next request only when the last was answered counts nothing while the server
// stands still, and shows a p99 that nobody ever sees: "coordinated omission".
package load
