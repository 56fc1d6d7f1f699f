// Package audit writes down who did what cannot be seen in the records: who
// revealed, detokenized, forgot, reloaded, acknowledged that protection is taken
// away. A [Log] is a chain of lines, each bound to the one before by its hash, as
// docs/format.md specifies it in section 13, and may be sealed by a key. A line is
// durable before the act that it is about begins; when it cannot be written, the
// act is refused.
//
// A line holds names and numbers, and never a value, a token or a person's
// identifier.
package audit
