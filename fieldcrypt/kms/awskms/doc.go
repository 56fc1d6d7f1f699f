// Package awskms keeps key encryption keys in AWS Key Management Service. It is
// a provider for package kms; package datakey caches and retries above it.
//
// # KEKs
//
// The URI of a KEK is aws-kms: and what AWS calls a key id, in any of its forms:
//
//	aws-kms:1234abcd-12ab-34cd-56ef-1234567890ab
//	aws-kms:mrk-1234abcd12ab34cd56ef1234567890ab
//	aws-kms:alias/customer-pii
//	aws-kms:arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
//	aws-kms:arn:aws:kms:eu-central-1:111122223333:alias/customer-pii
//
// An ARN is asked for in the Region it names, everything else in the Region of
// the configuration. The key is a symmetric one for encryption (SYMMETRIC_DEFAULT).
//
// # What it promises
//
// A data key is made by GenerateDataKey with KeySpec AES_256 and the encryption
// context; the wrapped key is the CiphertextBlob, byte for byte. Decrypt always
// names the KEK, so a wrapped key never chooses by which key it is opened, and
// the key that AWS says it has used is compared with the one that was asked for.
// An alias is resolved by AWS at each call; nothing is cached here.
//
// Every failure wraps one class of package kms and is an [*Error], which holds
// the code and no message of AWS: those repeat principals and parts of requests.
// Nothing is logged, also where the configuration switches logging on. A call is
// tried once in each Region, answers are read up to 64 KiB, and the deadline of
// the context holds.
//
// Calls go to the hosts of AWS KMS and STS, to loopback addresses, and to hosts
// that the program allows, also where the environment names an endpoint.
//
// It does not promise to wipe the copies of a data key that the SDK makes while
// it decodes an answer: they stay until the garbage collector takes them. It
// trusts TLS for the answer: AWS does not sign it. A wrong key of the right
// length is found by package datakey.
//
// # An alias that moves
//
// A rotation inside of a key (EnableKeyRotation, RotateKeyOnDemand) keeps all
// material and needs nothing here. An alias that is pointed to another key is
// different: the data keys that were wrapped before name the alias, AWS answers
// IncorrectKeyException, and Unwrap fails with kms.ErrCorrupt. List the keys that
// an alias has stood for by [WithFormerKeys], or wrap the data keys anew with
// [KMS.ReEncrypt] before the alias moves. Better still, name a new KEK: leave the
// old alias where it is, make a new one, and put the old into the policy under
// also.
//
// # Several Regions
//
// [WithReplicas] lets Unwrap go on with replicas of a multi-Region key while its
// Region is away. Each replica has its own policy and state: whoever disables a
// key must do so in each Region that is listed.
//
// # Permissions
//
// Who only seals needs kms:GenerateDataKey, and who only opens kms:Decrypt; each
// on the ARN of the key, since an alias is no resource of a policy. A producer
// that seals needs both, because package datakey opens each new key once before
// it is used. ReEncrypt needs kms:ReEncryptFrom on the old key and kms:ReEncryptTo
// on the new. The condition keys kms:EncryptionContext:fieldveil:purpose and
// kms:EncryptionContext:fieldveil:tenant narrow each of them to a purpose and a
// tenant, and kms:RequestAlias to an alias.
//
// The encryption context stands in CloudTrail in clear. It holds names of
// purposes and tenants and must never hold anything about a person.
package awskms
