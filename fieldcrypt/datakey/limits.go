package datakey

import (
	"fmt"
	"time"
)

// MaxSeals is the number of seals that no data key exceeds: with random 96-bit
// nonces the chance of a repeat is then 2^-33, what NIST SP 800-38D allows.
const MaxSeals = 1 << 32

// Limits bound the use of one data key. The zero value of a field means its
// default.
type Limits struct {
	// Refresh is the longest time that a key seals without a question to the
	// KMS: it is asked for the next key before that. So it is also how long a
	// KEK that was disabled may go unnoticed. A key that takes over early seals
	// for as long. Default 15 minutes.
	Refresh time.Duration
	// Expire is the age at which a key is never used again, to seal or to open
	// without asking the KMS anew, even while the KMS cannot be reached. It
	// counts from the moment when the KMS was asked for the key. Default 60
	// minutes, or Refresh if that is longer.
	Expire time.Duration
	// Seals is the number of values sealed under one key. Default 2^28, at most
	// MaxSeals.
	Seals uint64
	// Bytes is the amount of plaintext sealed under one key. Default 64 GiB.
	Bytes uint64
}

// Defaults of Limits.
const (
	DefaultRefresh = 15 * time.Minute
	DefaultExpire  = 60 * time.Minute
	DefaultSeals   = 1 << 28
	DefaultBytes   = 64 << 30
)

func (l Limits) withDefaults() Limits {
	if l.Refresh == 0 {
		l.Refresh = DefaultRefresh
		if l.Expire != 0 {
			l.Refresh = min(l.Refresh, l.Expire)
		}
	}
	if l.Expire == 0 {
		l.Expire = max(DefaultExpire, l.Refresh)
	}
	if l.Seals == 0 {
		l.Seals = DefaultSeals
	}
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	return l
}

func (l Limits) validate() error {
	switch {
	case l.Refresh < 0 || l.Expire < 0:
		return fmt.Errorf("datakey: negative age limit")
	case l.Refresh > l.Expire:
		return fmt.Errorf("datakey: refresh %v is later than expire %v", l.Refresh, l.Expire)
	case l.Seals > MaxSeals:
		return fmt.Errorf("datakey: %d seals are more than 2^32", l.Seals)
	}
	return nil
}

func (l Limits) aheadSeals() uint64 { return share(l.Seals) }
func (l Limits) aheadBytes() uint64 { return share(l.Bytes) }

func share(n uint64) uint64 { return n/100*aheadPercent + n%100*aheadPercent/100 }
