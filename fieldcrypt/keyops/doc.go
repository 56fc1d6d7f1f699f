// Package keyops moves data keys from one key encryption key (KEK) to another,
// and tells when nothing needs a KEK any more.
//
// [Rewrap] goes through a catalog of wrapped data keys and has the key management
// service wrap each of them under another KEK. The keys are never in clear in
// this process, unless somebody asked for that by name ([KeysInClearHere]) or
// wants the answers proven. Whatever ends in the middle is taken up again by
// calling it again.
//
// A [Census] is what was found in the records: which data keys they need, under
// which KEKs, where. Package kgocrypt takes one of Kafka topics. [Retire] answers
// from it, from the catalogs and from the policy whether a KEK can go, and gives
// an [Evidence] of its answer.
//
// It promises that Retire refuses as long as anything that it was shown needs the
// KEK, or could not be read. It promises nothing about what it was not shown:
// topics that nobody listed, backups, mirrors, lakes, another catalog, a producer
// that still has yesterday's policy. Nor does it touch the KEK: whoever has the
// evidence disables the KEK at its service, waits, and only then has it deleted.
package keyops
