// Package vaultkms keeps key encryption keys in the transit engine of HashiCorp
// Vault or OpenBao. It is a provider for package kms; package datakey caches and
// retries above it. It needs the standard library only.
//
// # KEKs
//
// The URI of a KEK is vault: and the path by which the key is read, with the host
// and the namespace where they are not those of the configuration:
//
//	vault:transit/keys/pii
//	vault:eu/transit/keys/pii?namespace=team-a
//	vault://vault.example:8200/transit/keys/pii
//
// There is one spelling for each: nothing is escaped, and the host is in small
// letters. A host must be that of [New] or of [WithServer], or no call is made:
// the URI of a KEK stands in records, and whoever can write records must not
// choose who gets a token.
//
// # Keys
//
// A key must be of a type with authenticated encryption: aes256-gcm96, which is
// the default, aes128-gcm96, chacha20-poly1305 or xchacha20-poly1305. There are
// two ways to bind a data key to its encryption context, and which one is taken
// depends on the key alone:
//
//   - A key that does not derive takes the context as associated_data, which
//     needs Vault 1.13 or any OpenBao; an older Vault would ignore it, so the first
//     call of a process is one by which a server shows that it does not. Its data keys cannot be rewrapped by
//     transit, whose rewrap has no such parameter.
//
//   - A key that derives (derived=true when it is made) takes it as context. Its
//     data keys can be rewrapped without ever leaving Vault in clear, so this is
//     the one to make:
//
//     vault write -f transit/keys/pii derived=true
//
// Keys are made by an operator, never by this package. Encrypt would make a key
// that is not there, so it is called with a type of key that does not exist.
//
// # What it promises
//
// A data key is drawn in this process and encrypted by transit, since the datakey
// endpoint of most versions ignores associated data without a word. The wrapped
// key is the ciphertext of transit, vault:v1:…, with context: in front of it for
// a key that derives. Spellings that transit reads and does not write are refused.
//
// Every failure wraps one class of package kms. Where a server was asked it is an
// [*Error], which holds nothing of an answer or a credential. A call is tried
// once, and once more where its token was refused and another one can be had. No
// redirect is followed, answers are read up to 64 KiB, and the deadline of the
// context holds. Data keys are wiped from bodies of requests and answers.
//
// It does not promise that no copy of a data key stays in buffers of net/http and
// TLS, nor that tokens are wiped: they are strings of headers. It trusts TLS for
// the answer. It does not revoke its tokens at the end.
//
// # Calls that must fail
//
// The first call to a server sends associated data that is no base64, and the
// first call to open under a key that is said to derive sends no context. Only a
// server that reads the one, and a key that needs the other, refuse that. Anything
// else means that data keys are bound to nothing, and is an error.
//
// # Tokens
//
// An [Auth] says where tokens come from. Those of a [Token] and of a [Login] are
// renewed by the first call after two thirds of their life; a login is made anew
// when renewing does not help, and once when a token is refused that has worked
// before. A token that can be used only so many times (token_num_uses) does not
// go with this package.
//
// # Archived versions
//
// A key whose min_decryption_version is above the version of a wrapped key is
// disabled for it, kms.ErrDisabled, and not corrupt: the version is archived, and
// lowering the number brings it back. A key that is soft-deleted is disabled too.
// A key that is gone is not found. Never trim a key (min_available_version)
// before what was wrapped under the old versions has been wrapped anew.
//
// # Policies
//
// Who only seals needs
//
//	path "transit/encrypt/pii" { capabilities = ["update"] }
//
// and who only opens
//
//	path "transit/decrypt/pii" { capabilities = ["update"] }
//
// A producer that seals needs both, because package datakey opens each new key
// once before it is used. A job that rewraps needs
//
//	path "transit/rewrap/pii" { capabilities = ["update"] }
//
// Do not grant create: with it, other clients make keys by misspelling them. Without it Vault answers that permission is denied where a
// key to encrypt under does not exist. The policy named default lets a token
// renew itself and look itself up; a token without it works until it ends.
//
// The encryption context reaches Vault as base64 of its canonical form, and an
// audit log as an HMAC. It holds names of purposes and tenants and must never
// hold anything about a person.
package vaultkms
