// Package persons forgets people as a deployment would: several processes, each
// with an engine and a KMS of its own, over one store of keys and one ledger in
// PostgreSQL, and backups that are put back.
//
// The server is that of package vaults, with its environment: a test whose
// server is not installed skips and says so.
package persons
