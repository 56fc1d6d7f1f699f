//go:build !unix

package hygiene

import "errors"

func noCoreDumps() error { return errors.ErrUnsupported }
