// Package azurekms keeps key encryption keys in Azure Key Vault or Managed HSM.
// It is a provider for package kms; package datakey caches and retries above it.
//
// # KEKs
//
// The URI of a KEK is azure-kms:, the host name of the vault and the path of the
// key, with or without a version:
//
//	azure-kms:customer-pii.vault.azure.net/keys/pii
//	azure-kms:customer-pii.vault.azure.net/keys/pii/0123456789abcdef0123456789abcdef
//	azure-kms:customer-pii.managedhsm.azure.net/keys/pii
//
// Without a version the newest one wraps, and each wrapped key names the version
// that opens it: a rotation needs nothing here, as long as old versions stay
// enabled. With a version no other one is used. The key is RSA of 2048, 3072 or
// 4096 bits; in Managed HSM it may be AES of 256 bits, see [WithAESKeyWrap].
//
// # What it promises
//
// A data key is drawn here. Key Vault never sees it: it wraps a random secret,
// and the data key is sealed under a key that is derived from the secret and the
// encryption context, so that Unwrap fails with any other context although Key
// Vault knows none. The bytes are section 6 of docs/format.md (FV-55, FV-56).
//
// Only vaults that [New] was told of are ever called, whatever a KEK says, and a
// token is asked for the audience of their cloud, whatever a server says in its
// challenge (FV-57). Redirects are not followed. The key that an answer names is
// compared with the one that was asked for.
//
// Every failure wraps one class of package kms and is an [*Error], which holds
// codes and no message of Azure: those repeat principals and networks. Nothing of
// an answer but its codes reaches the SDK's log. A call is tried once, answers are
// read up to 64 KiB, and the deadline of the context holds.
//
// It does not promise to wipe the copies of a secret that the SDK makes while it
// encodes and decodes: they stay until the garbage collector takes them. It
// trusts TLS for the answer.
//
// RSA does not authenticate: whoever has the public part of a KEK can make a
// wrapped key that opens. It is not safe against a quantum computer either, so a
// stored wrapped key may be opened in a later decade. AES key wrap of Managed HSM
// has neither weakness. A256GCM, which Managed HSM has for other calls, would add
// nothing: the context is bound above it, the same for all keys.
//
// # Permissions
//
// Who only seals needs the data action wrapKey, and who only opens unwrapKey. A
// producer that seals needs both, because package datakey opens each new key once
// before it is used. The role Key Vault Crypto Service Encryption User has both,
// and reading of keys beside; assign it on the key, not on the vault. In Managed
// HSM it is Managed HSM Crypto Service Encryption User.
//
// # Limits
//
// A vault does 4,000 operations with software keys of RSA-2048 in 10 seconds,
// 2,000 with such keys in an HSM, and a quarter or less with longer ones; then it
// answers 429, which is kms.ErrThrottled. Data keys are cached, so a few calls for
// each process and hour are the rule.
package azurekms
