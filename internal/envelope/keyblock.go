package envelope

import (
	"encoding/binary"
	"fmt"
)

// CommitmentSize is the length of a data key's commitment.
const CommitmentSize = 32

// maxKeyBlock bounds a key block; a wrapped key takes some 200 bytes.
const maxKeyBlock = 16384

// Commitment is the HKDF output that names a data key and commits to it.
type Commitment [CommitmentSize]byte

// KeyID returns the key's short name.
func (c Commitment) KeyID() KeyID { return KeyID(c[:KeyIDSize]) }

// ErrKeyBlock means that bytes are not a key block.
var ErrKeyBlock = fmt.Errorf("value is not a key block: %w", ErrFormat)

// A KeyBlock is a wrapped data key with what is needed to unwrap it.
//
//	version | commitment | len KEK | len tenant | len wrapped
type KeyBlock struct {
	Commitment Commitment
	KEK        string // URI as the policy spells it
	Tenant     string
	Wrapped    []byte
}

// Append appends the encoding of k. It fails when ParseKeyBlock would refuse the
// result: k is larger than a block may be, or names no KEK, or holds no key.
func (k KeyBlock) Append(dst []byte) ([]byte, error) {
	if k.KEK == "" || len(k.Wrapped) == 0 {
		return dst, fmt.Errorf("KEK or wrapped key is empty: %w", ErrKeyBlock)
	}
	if 1+CommitmentSize+6+len(k.KEK)+len(k.Tenant)+len(k.Wrapped) > maxKeyBlock {
		return dst, fmt.Errorf("longer than %d bytes: %w", maxKeyBlock, ErrKeyBlock)
	}
	dst = append(dst, Version)
	dst = append(dst, k.Commitment[:]...)
	dst = appendPart(dst, k.KEK)
	dst = appendPart(dst, k.Tenant)
	return appendPart(dst, string(k.Wrapped)), nil
}

func appendPart(dst []byte, part string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(part))) //nolint:gosec // bounded by maxKeyBlock
	return append(dst, part...)
}

// ParseKeyBlock reads a key block, which must fill b exactly. Nothing of b is
// kept.
func ParseKeyBlock(b []byte) (KeyBlock, error) {
	if len(b) > maxKeyBlock || len(b) < 1+CommitmentSize || b[0] != Version {
		return KeyBlock{}, ErrKeyBlock
	}
	var k KeyBlock
	copy(k.Commitment[:], b[1:])
	b = b[1+CommitmentSize:]
	var parts [3]string
	for i := range parts {
		if len(b) < 2 {
			return KeyBlock{}, ErrKeyBlock
		}
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; len(b) < n {
			return KeyBlock{}, ErrKeyBlock
		}
		parts[i], b = string(b[:n]), b[n:]
	}
	if len(b) != 0 || parts[0] == "" || parts[2] == "" {
		return KeyBlock{}, ErrKeyBlock
	}
	k.KEK, k.Tenant, k.Wrapped = parts[0], parts[1], []byte(parts[2])
	return k, nil
}
