// Package azurekms holds the runs of fieldcrypt/kms/azurekms, and of the
// AzureServer of fieldcrypt/kms/kmstest, against parts that nobody here wrote:
// Azure's own clients for Python, which come from PyPI on the first run and stay in
// the user's cache folder.
//
// client.py fetches tokens, keys and inner wraps by these clients, and is beside
// that a second implementation of the wrapped form, written from docs/format.md
// alone and on Python's cryptography package. What the Go provider wraps it opens,
// and the other way round.
//
// A test that cannot have it skips and says why in one sentence. With
// FIELDVEIL_REQUIRE_AZURE_PYTHON=1 in the environment it fails instead.
//
// What this does not show: that Azure itself answers as the AzureServer does. No
// emulator of Key Vault that wraps keys could be had from a package registry.
package azurekms
