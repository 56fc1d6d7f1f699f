// Package registry is a client of schema registries that speak the HTTP
// interface of Confluent Schema Registry. It stands on net/http and the standard
// library alone, but for the YAML of a [TagFile].
//
// A [Client] is a [schema.Source], a [schema.GUIDSource] and a
// [schema.Registrar]. It promises:
//
//   - What an id stands for never changes. Texts are kept for as long as there
//     is room, and remembered by digest beyond that: other content under a known
//     id is [ErrChanged], never a new schema.
//   - Tags and rules beside the text are never dropped. Those that cannot be
//     honoured are [ErrUnsupported]. Rules that encrypt become demands; no rule is
//     run here.
//   - An outage stops nothing that is known, and is asked about a bounded number
//     of times. Callers that miss the same schema share one request, which
//     outlives each of them.
//   - No answer makes it use more than bounded memory, time or depth.
//   - Credentials go to the hosts that were named, over TLS or on this machine,
//     and into no error text, log or print.
//
// Registries with contexts show each under a path of its own: a URL that ends in
// "/contexts/.name" makes a Client of that context. Subjects of another one can
// be named in full, as ":.name:subject".
//
// A [Dir] holds schemas in files, so that a producer can start while the
// registry is away: see [Client.Snapshot] and [WithSnapshot]. A [TagFile] adds
// tags to schemas that cannot be changed: see [Tagged].
package registry
