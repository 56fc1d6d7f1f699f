// Package tinkkms keeps key encryption keys in Tink: in keyset files, behind any
// KMS client of Tink, or in any Tink AEAD. It is a provider for package kms;
// package datakey caches and retries above it.
//
// # KEKs
//
// The URI of a KEK is tink:, and then a path, or a key URI of a KMS client:
//
//	tink:/etc/fieldveil/pii.json
//	tink:./dev-keyset.json
//	tink:gcp-kms://projects/acme/locations/europe/keyRings/pii/cryptoKeys/kek
//
// A keyset file is JSON or binary, as Tink and tinkey write it. It is encrypted
// under a master key that [WithMasterKey] names, or, for development alone and by
// [WithCleartextKeysets], in clear. Rotation is Tink's: the primary key of a
// keyset wraps, all enabled ones unwrap.
//
// # What it promises
//
// A data key is drawn here and encrypted by the AEAD with the canonical encryption
// context as associated data. The wrapped key is Tink's ciphertext, byte for byte
// (FV-58 in docs/format.md), so any Tink in any language opens it with the same
// keyset.
//
// Nothing of Tink's global registry of KMS clients is read: only the clients of
// the options are ever called, and a keyset whose keys call a KMS by themselves is
// refused. A keyset file is read anew for each call, only while its owner alone may
// write it, and in clear only while nobody else may read it. A path that has a
// master key is never read as a keyset in clear. The deadline of the context holds
// also for an AEAD that knows none. No error holds what an AEAD has said.
//
// It does not promise to wipe the keys of a keyset: Tink does not. A KMS client
// sees the data keys in clear, since Tink knows no other way; where one of this
// module's own providers exists for a service, it is the better choice. Tink's
// AES-GCM does not run under GODEBUG=fips140=only.
//
// # Errors
//
// A keyset that does not decrypt is kms.ErrCorrupt. What a KMS client says cannot
// be told apart in general, so its failures are kms.ErrUnavailable, which is
// retryable, unless [WithClassifier] knows better.
package tinkkms
