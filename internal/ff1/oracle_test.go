package ff1

import (
	"crypto/aes"
	"math/big"
)

// The oracle is FF1 written a second time: line by line from SP 800-38G section
// 5, on whole byte strings and big integers, with nothing kept between calls.

func oracleNum(x []uint16, radix int) *big.Int {
	n, r := new(big.Int), big.NewInt(int64(radix))
	for _, v := range x {
		n.Mul(n, r).Add(n, big.NewInt(int64(v)))
	}
	return n
}

func oracleStr(n *big.Int, radix, m int) []uint16 {
	out, n, r := make([]uint16, m), new(big.Int).Set(n), big.NewInt(int64(radix))
	for i := m - 1; i >= 0; i-- {
		var digit big.Int
		n.DivMod(n, r, &digit)
		out[i] = uint16(digit.Uint64())
	}
	return out
}

func oraclePRF(key, x []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	y := make([]byte, 16)
	for ; len(x) > 0; x = x[16:] {
		for i := range y {
			y[i] ^= x[i]
		}
		block.Encrypt(y, y)
	}
	return y
}

// oracle is algorithm 7, or 8 where back is set.
func oracle(key []byte, radix int, tweak []byte, x []uint16, back bool) []uint16 {
	n, t := len(x), len(tweak)
	u := n / 2
	v := n - u
	a, b := x[:u], x[u:]
	power := func(m int) *big.Int {
		return new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(m)), nil)
	}
	// ceil(v * log2(radix)) is the smallest number of bits k with 2^k ≥ radix^v.
	k := 0
	for new(big.Int).Lsh(big.NewInt(1), uint(k)).Cmp(power(v)) < 0 {
		k++
	}
	bb := k / 8
	if k%8 != 0 {
		bb++
	}
	d := 4 * (bb / 4)
	if bb%4 != 0 {
		d += 4
	}
	d += 4
	p := []byte{
		1, 2, 1, byte(radix >> 16), byte(radix >> 8), byte(radix), 10, byte(u % 256),
		byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), byte(t >> 24), byte(t >> 16), byte(t >> 8), byte(t),
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	for step := range 10 {
		i, in := step, b
		if back {
			i, in = 9-step, a
		}
		q := append([]byte{}, tweak...)
		for (len(q)+1+bb)%16 != 0 {
			q = append(q, 0)
		}
		q = append(q, byte(i))
		q = append(q, oracleNum(in, radix).FillBytes(make([]byte, bb))...)
		r := oraclePRF(key, append(append([]byte{}, p...), q...))
		s := append([]byte{}, r...)
		for j := 1; len(s) < d; j++ {
			x := append([]byte{}, r...)
			for at, v := range big.NewInt(int64(j)).FillBytes(make([]byte, 16)) {
				x[at] ^= v
			}
			block.Encrypt(x, x)
			s = append(s, x...)
		}
		y := new(big.Int).SetBytes(s[:d])
		m := u
		if i%2 != 0 {
			m = v
		}
		if back {
			c := y.Sub(oracleNum(b, radix), y)
			c.Mod(c, power(m))
			a, b = oracleStr(c, radix, m), a
		} else {
			c := y.Add(oracleNum(a, radix), y)
			c.Mod(c, power(m))
			a, b = b, oracleStr(c, radix, m)
		}
	}
	return append(append([]uint16{}, a...), b...)
}
