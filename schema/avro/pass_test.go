package avro

import (
	"math"
	"math/rand/v2"
	"testing"
)

// careful does one instruction with the readers that tell what is wrong.
func careful(in instr, src []byte, pos int) (next int, err error) {
	many := func(n int, read func(pos int) (int, error)) {
		for next = pos; n > 0 && err == nil; n-- {
			next, err = read(next)
		}
	}
	text := func(pos int) (int, error) {
		size, next, err := readLongLength(src, pos)
		return next + size, err
	}
	varint := func(low, high int64) func(pos int) (int, error) {
		return func(pos int) (int, error) {
			_, next, err := readVarint(src, pos, low, high)
			return next, err
		}
	}
	switch in.op {
	case opFixed:
		if next = pos + int(in.n); next > len(src) {
			err = malformed(pos, reasonTruncated)
		}
	case opInts:
		many(int(in.n), varint(math.MinInt32, math.MaxInt32))
	case opLongs:
		many(int(in.n), varint(math.MinInt64, math.MaxInt64))
	case opBytes:
		many(int(in.n), text)
	case opBool:
		if next = pos + 1; next > len(src) || src[pos] > 1 {
			err = malformed(pos, reasonTruncated)
		}
	case opEnum:
		_, next, err = readIndex(src, pos, in.n, reasonUnion)
	case opArray, opMap:
		for next = pos; err == nil; {
			var count int64
			if count, next, err = readVarint(src, next, math.MinInt64, math.MaxInt64); err != nil || count == 0 {
				return next, err
			}
			if count < 0 {
				return 0, malformed(next, reasonTruncated) // pass leaves these alone
			}
			if in.op == opMap {
				count *= 2
			}
			pos = next
			many(int(count), text)
		}
	default:
		panic("avro: no instruction of pass")
	}
	return next, err
}

// Whatever pass goes over, the careful readers go over as well, and to the same
// place. What it does not go over, it leaves as it was.
func TestPassGoesNoFurtherThanTheCarefulReaders(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	// Bytes that are lengths, ends of varints and their middles.
	bytes := []byte{0, 1, 2, 3, 4, 5, 6, 8, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x83, 0xFF}
	passed := map[opcode]int{}
	for range 400_000 {
		in := instr{op: opcode(r.IntN(int(opEnd))), n: int32(r.IntN(4) + 1), strings: true}
		src := make([]byte, r.IntN(24))
		for i := range src {
			src[i] = bytes[r.IntN(len(bytes))]
		}
		if r.IntN(4) == 0 {
			src = append(src, make([]byte, r.IntN(300))...)
		}
		start := r.IntN(len(src) + 1)
		switch in.op {
		case opJump:
			continue
		case opNullable:
			in.a, in.n = int32(r.IntN(2)), 2
		case opArray, opMap:
			in.n = 1
		default: // n is a count, a size, or the symbols of an enum
		}
		pc, pos := pass([]instr{in, {op: opEnd}, {op: opEdit}}, src, 0, start)
		if in.op == opNullable {
			i, next, err := readIndex(src, start, 2, reasonUnion)
			if want := 2 - min(1, max(i-in.a, in.a-i)); pc != 0 && (err != nil || pos != next || pc != want) {
				t.Fatalf("nullable %+v of %x at %d: to %d, %d, want %d, %d, %v", in, src, start, pc, pos, want, next, err)
			}
		} else if next, err := careful(in, src, start); pc != 0 && (err != nil || pos != next || pc != 1) {
			t.Fatalf("%+v of %x at %d: to %d, want %d, %v", in, src, start, pos, next, err)
		}
		if pc == 0 && pos != start {
			t.Fatalf("%+v of %x at %d: it stays, and is at %d", in, src, start, pos)
		}
		if pc != 0 {
			passed[in.op]++
		}
	}
	for op := range opEnd {
		if op != opJump && passed[op] < 100 {
			t.Errorf("instruction %d was passed over %d times", op, passed[op])
		}
	}
}
