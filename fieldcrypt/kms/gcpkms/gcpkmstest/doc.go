// Package gcpkmstest is for tests of what uses Cloud KMS: [Server] is Cloud KMS on
// a loopback address, which fails, waits and lies as a test tells it to.
//
// It speaks the protocol of the service, gRPC with the messages of
// cloud.google.com/go/kms, and is tested with the Go library of Google. It
// knows Encrypt, Decrypt and GetCryptoKey of symmetric keys, checks arguments and
// checksums as Google documents it, and fails with the codes of Google. Other
// calls are answered with Unimplemented.
//
// It promises that wrapped keys are sealed with a real cipher, so that a wrong
// key, version or context fails in a test as it fails at the service. It does not
// promise what only the service can: there is no IAM but [Server.RequireTokens],
// no quota, and no delay before the change of a state is seen everywhere, unless
// a [Fault] says so. The texts of its errors and the format of its wrapped keys
// are its own. It is of no use outside of tests.
package gcpkmstest
