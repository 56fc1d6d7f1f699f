// Package datakey holds data keys and seals and opens values with them. It
// never shows a key.
//
// A [Cache] stands between producers and a KMS. For each [Scope], which is a
// key name and a tenant, it keeps one data key to seal with and those that were
// needed to open. It promises:
//
//   - No key is used beyond its limits on age, seals and bytes, and no key at
//     all beyond 2^32 seals. The budget is taken before the seal.
//
//   - The next key is fetched in the background before a limit is reached, so
//     roll-over does not wait; and only when somebody asks for the scope, so an
//     idle scope costs no calls unless [Cache.Warm] keeps it warm.
//
//   - A KMS that fails is left alone but for a probe every few seconds, and
//     callers without a key fail at once. It is noticed within 5 seconds that it
//     is back.
//
//   - A KEK that the KMS refuses twice ends the use of its keys. The KMS is asked
//     before Refresh is over.
//
//   - Any number of callers on a cold scope make one call to the KMS.
//
//   - A new key is unwrapped once and compared, and durable in the key store if
//     there is one, before it seals anything.
//
//   - A key that was unwrapped is checked against the commitment of its block.
//
//   - When no key can be had, callers get an error. There is no other way on.
//
//   - What is kept of scopes, openers, refusals and endpoints is bounded,
//     however many tenants there are.
//
// It does not promise that a key is gone from memory. The raw data key lives
// only while its subkeys are derived and is wiped then. What stays is the key
// schedule inside the standard library's cipher, which cannot be wiped: it is
// dropped when the key expires, is revoked or evicted, or the Cache closes, and
// the collector overwrites it some time after. What value keys are derived from
// is wiped then, as soon as nobody is deriving one.
//
// A [Domain] holds the other kind of data key, one that all processes have alike
// so that equal values become equal bytes. It promises:
//
//   - No such key is made on the fly: [CreateDomainBlock] made it, and its block
//     was given to every process. No other key opens a deterministic value.
//   - The KMS unwraps it again while it is used, so that a KEK that was disabled
//     ends its use after the Expire of its [Limits] at the latest.
//   - Everything above about verification, errors and wiping.
//
// docs/format.md sections 1 and 4 are the specification.
package datakey
