// Package gcpkms keeps key encryption keys in Google Cloud Key Management
// Service. It is a provider for package kms; package datakey caches and retries
// above it.
//
// # KEKs
//
// The URI of a KEK is gcp-kms: and the resource name of a key:
//
//	gcp-kms:projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer
//
// The key is one for symmetric encryption (purpose ENCRYPT_DECRYPT, algorithm
// GOOGLE_SYMMETRIC_ENCRYPTION), of any protection level. The URI names no version:
// the primary version wraps, and every version that is enabled unwraps, so that a
// rotation of the key needs nothing here. The form gcp-kms://projects/… of other
// libraries is refused: a KEK has one name.
//
// # What it promises
//
// Cloud KMS makes no data keys. A data key comes from crypto/rand of this process
// and is sealed by Encrypt, with the canonical encoding of the encryption context
// as additional authenticated data; the wrapped key is the ciphertext, byte for
// byte. Decrypt names the KEK, so a wrapped key chooses a version of it and never
// another key.
//
// Every request has CRC-32C checksums of the data key, the wrapped key and the
// context. An answer to Encrypt is taken only if it says that they were verified,
// matches its own checksum and names a version of the KEK; an answer to Decrypt
// only if it matches its own. Anything else is kms.ErrUnavailable, and the call
// may be repeated.
//
// Every failure wraps one class of package kms and is an [*Error], which holds the
// code and no message of Google: those name principals, projects and keys. Nothing
// is logged: the calls go by the generated gRPC client, since the one above it
// writes requests and answers into a log when GOOGLE_SDK_GO_LOGGING_LEVEL says so.
// A call is tried once, answers are read up to 64 KiB, and the deadline of the
// context holds, also while a token is fetched. Tokens are replaced before they
// end.
//
// Calls go to the hosts of Cloud KMS, to loopback addresses, and to hosts that the
// program allows, always by TLS except on loopback.
//
// It does not promise to wipe the copies of a data key that gRPC and TLS make on
// the way: they stay until the garbage collector takes them. It trusts TLS for the
// answer: Google does not sign it. A wrong key of the right length is found by
// package datakey. Cloud KMS cannot move a wrapped key from one key to another by
// itself, so this is no kms.ReEncrypter: to change KEKs, data keys are unwrapped
// and wrapped anew by the caller. Client certificates (mTLS) and federation by
// X.509 certificates are not supported, and universes other than googleapis.com
// only by [WithCredentials], [WithEndpoint] and [WithEndpointHosts].
//
// # Permissions
//
// Who only opens needs roles/cloudkms.cryptoKeyDecrypter on the key. A producer
// that seals needs roles/cloudkms.cryptoKeyEncrypterDecrypter, because package
// datakey opens each new key once before it is used; with
// roles/cloudkms.cryptoKeyEncrypter alone no key ever comes into use. IAM
// conditions see the name of the key and not the context, so a tenant that must be
// kept apart has a key of its own.
//
// # What takes time
//
// Cloud KMS calls the change of a version's state eventually consistent: a version
// that was disabled may go on working for a minute, in exceptional cases for
// hours, and data keys that were unwrapped before stay in use up to their limits.
// Where access must end at once, take the role away, which takes effect within
// minutes, and stop the processes.
package gcpkms
