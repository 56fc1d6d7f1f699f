package avro

import "math"

// pass executes instructions from pc as long as they only pass over values of
// usual size, and returns the first one that is more than that, and where its
// value begins: one with an edit, with something inside, or with a value that
// needs a closer look. What is wrong with a value is for run to tell. It is a
// function of its own so that all it needs stays in registers.
func pass(code []instr, src []byte, pc int32, pos int) (nextPC int32, next int) {
	for uint(pc) < uint(len(code)) { //nolint:gosec // pc is not negative
		in := &code[pc]
		next := pos
		switch in.op {
		case opFixed:
			next += int(in.n)
		case opBytes:
			for n := in.n; ; {
				// See passStrings, which a single value does not pay for.
				if uint(next+1) >= uint(len(src)) {
					next = passStrings(src, next, int(n))
					break
				}
				b := src[next]
				if b&0x81 != 0 {
					next = passStrings(src, next, int(n))
					break
				}
				next += 1 + int(b>>1)
				n--
				if n == 0 {
					break
				}
			}
		case opInts:
			next = passVarints(src, next, int(in.n), 4)
		case opLongs:
			next = passVarints(src, next, int(in.n), 9)
		case opBool:
			if next >= len(src) || src[next] > 1 {
				return pc, pos
			}
			next++
		case opEnum:
			if next >= len(src) || src[next]&0x81 != 0 || int32(src[next]>>1) >= in.n {
				return pc, pos
			}
			next++
		case opNullable:
			if next >= len(src) || src[next]&^2 != 0 {
				return pc, pos
			}
			next++
			if int32(src[pos]>>1) == in.a {
				pc, pos = in.n, next
				continue
			}
		case opArray, opMap:
			// One block, as nearly all producers write it, of few strings.
			if !in.strings || next >= len(src) || src[next]&0x81 != 0 {
				return pc, pos
			}
			if n := int(src[next] >> 1); n > 0 {
				if in.op == opMap {
					n *= 2
				}
				if next = passStrings(src, next+1, n); next > len(src)-1 || src[next] != 0 {
					return pc, pos
				}
			}
			pc, pos = in.n, next+1
			continue
		case opJump:
			pc = in.n
			continue
		default:
			return pc, pos
		}
		if next > len(src) {
			return pc, pos
		}
		pc, pos = pc+1, next
	}
	return pc, pos
}

// beyond is behind the end of every record.
const beyond = math.MaxInt

// passStrings returns the position behind n values of less than 8 KiB each, or
// one beyond the end of src when they are not.
func passStrings(src []byte, pos, n int) int {
	for ; n > 0; n-- {
		if uint(pos+1) >= uint(len(src)) {
			if pos+1 == len(src) && src[pos] == 0 {
				pos++
				continue
			}
			return beyond
		}
		b, c := src[pos], src[pos+1]
		if b&1 != 0 {
			return beyond
		}
		if b < 0x80 {
			pos += 1 + int(b>>1)
			continue
		}
		if c >= 0x80 {
			return beyond
		}
		pos += 2 + int(b&0x7F)>>1 + int(c)<<6
	}
	return pos
}

// passVarints returns the position behind n varints of at most limit bytes, or
// one beyond the end of src.
func passVarints(src []byte, pos, n, limit int) int {
	for ; n > 0; n-- {
		last := pos + limit
		for pos < len(src) && src[pos] >= 0x80 {
			pos++
		}
		if pos >= last || pos >= len(src) {
			return beyond
		}
		pos++
	}
	return pos
}
