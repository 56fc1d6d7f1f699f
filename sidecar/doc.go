// Package sidecar is the frame of the server: it knows files, signals, listeners
// and the order of starting and ending, and nothing of records.
//
// What serves records is a [Generation], built from one configuration by a
// [Builder]. It is never changed. A reload reads, checks and builds another one
// and puts it in place at once; each request sees exactly one generation, and the
// old one is closed after its last request. Whatever goes wrong on the way leaves
// the old one where it is, and is told by log, metric and /readyz.
//
// A reload that would protect less than before is refused. Whoever can write the
// file cannot let it pass from within the file: it needs a process that was
// started to allow it, or somebody on this host who acknowledges this one change
// by its digest. A restart knows no before; it is guarded by whoever reviews
// deployments, with "fieldveil config validate --against".
package sidecar
