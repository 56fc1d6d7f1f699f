// Package telemetry says what the sidecar does, to people and to machines, and
// never what it carries: metrics for Prometheus, spans for OpenTelemetry, lines
// of a log.
//
// Whatever could hold data of a record is kept out by construction and not by
// care. Labels of metrics and attributes of spans come from closed sets that are
// declared at the start: what is not in its set becomes "other". A line of the
// log shows attributes of an allow-list alone, each with a grammar of its own;
// of anything else the reader sees that something was removed.
//
// Nothing here fails a record. Where telemetry cannot be had, it is missing, and
// a metric says so.
package telemetry
