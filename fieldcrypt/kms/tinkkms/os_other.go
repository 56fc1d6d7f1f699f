//go:build !unix

package tinkkms

import "os"

// hasModes is false: Go cannot tell here who may read a file, so keyset files are
// refused and KMS clients remain.
const hasModes = false

const openToRead = os.O_RDONLY

func isBadPath(error) bool { return false }
