// Package awskms holds the runs of fieldcrypt/kms/awskms, and of the AWSServer of
// fieldcrypt/kms/kmstest, against a KMS that nobody here wrote: that of moto,
// which comes from PyPI on the first run and stays in the user's cache folder.
//
// A test that cannot have it skips and says why in one sentence. With
// FIELDVEIL_REQUIRE_MOTO=1 in the environment it fails instead.
//
// What this does not show: moto checks no signature, permission or quota, does
// not look at the state of a key, has one code for a wrapped key of another KEK
// where AWS has its own, lets ReEncrypt open under any key, joins encryption
// contexts without lengths, and cannot open what it wrapped under a multi-Region
// key. The test that compares the two servers has a list of what they do
// differently, and fails when that changes.
package awskms
