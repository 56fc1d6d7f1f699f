//go:build !linux

package hygiene

import "errors"

func undumpable() error { return errors.ErrUnsupported }
