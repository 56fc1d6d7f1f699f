package registrytest

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// equalJSON compares decoded values. Numbers are equal if they are written the
// same: where 1 and 1.0 are compared, that finds a difference where there is
// none, which refuses more and never less.
func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, x := range a {
			y, ok := b[key]
			if !ok || !equalJSON(x, y) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equalJSON(a[i], b[i]) {
				return false
			}
		}
		return true
	default:
		switch b.(type) {
		case map[string]any, []any:
			return false
		}
		return a == b
	}
}

// texts reads a list of strings.
func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, x := range list {
		s, ok := x.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

func isNumber(v any) bool {
	_, ok := v.(json.Number)
	return ok
}

// number reads a number exactly, and returns nil for what is none, or for one
// that would take a lot of memory: 1e999999999 has as many digits.
func number(v any) *big.Rat {
	n, ok := v.(json.Number)
	if !ok || len(n) > 128 {
		return nil
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(n.String()), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e < -400 || e > 400 {
			return nil
		}
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return nil
	}
	return r
}
