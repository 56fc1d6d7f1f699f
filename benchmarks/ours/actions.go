package ours

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/siv"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// An Action is what a policy does to one value, alone: without record, plan or
// key handling.
type Action struct {
	Name string
	Goal float64 // against one seal of 32 bytes
	Make func() (func(n int), error)
}

// appender is the shape of all of them.
type appender = func(dst, value []byte) ([]byte, error)

// Actions returns the actions that have a goal.
func Actions() []Action {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	on := func(value string, build func() (appender, error)) func() (func(int), error) {
		return func() (func(int), error) {
			do, err := build()
			if err != nil {
				return nil, err
			}
			in := []byte(value)
			dst, err := do(make([]byte, 0, 256), in)
			if err != nil {
				return nil, err
			}
			return func(n int) {
				for range n {
					if dst, err = do(dst[:0], in); err != nil {
						panic(err)
					}
				}
			}, nil
		}
	}
	rule := func(build func() (mask.Rule, error)) func() (appender, error) {
		return func() (appender, error) {
			r, err := build()
			return r.Append, err
		}
	}
	const text = "Ada Example, Main Street 12, Prague"
	actions := []Action{
		{"format-preserving, 16 digits", 4.5, on("4111111111111111", func() (appender, error) {
			f, err := tokenize.NewFF1(key, tokenize.FF1Options{Alphabet: tokenize.Digits})
			if err != nil {
				return nil, err
			}
			return f.Append, nil
		})},
		{"deterministic (SIV), 32 B", 5, on(text[:32], func() (appender, error) {
			c, err := siv.New(append(key, key...))
			if err != nil {
				return nil, err
			}
			var aad [HeaderSize]byte
			return func(dst, value []byte) ([]byte, error) { return c.Seal(dst, value, aad[:]), nil }, nil
		})},
		{"hash, 32 B", 6, on(text[:32], func() (appender, error) {
			h, err := tokenize.NewHash(key, tokenize.HashHex)
			if err != nil {
				return nil, err
			}
			return h.Append, nil
		})},
		{"known token of a vault", 10, on("4111111111111111", knownToken(key))},
		{"mask, keep 1 of 32", 1, on(text[:32], rule(func() (mask.Rule, error) { return mask.Keep(1, 0) }))},
	}
	for _, m := range []struct{ rule, value string }{
		{"card", "4111 1111 1111 1111"}, {"email", "ada.mary.example@mail.example.com"}, {"phone", "+420 601 123 456"},
		{"iban", "DE89 3704 0044 0532 0130 00"}, {"initials", "Ada Mary Josephine Example-Sample"}, {"ip/24", "198.51.100.77"},
		{"url", "https://example.com/orders?id=7#"},
	} {
		actions = append(actions, Action{"mask, rule " + m.rule, 1, on(m.value, rule(func() (mask.Rule, error) { return mask.Named(m.rule) }))})
	}
	return actions
}

// vaultKeys are keys without a KMS behind them.
type vaultKeys struct{ hash *tokenize.Hash }

func (vaultKeys) IndexKeyID() [tokenize.IndexKeyIDSize]byte { return [tokenize.IndexKeyIDSize]byte{1} }

func (k vaultKeys) Index(value []byte) tokenize.Index { return k.hash.Sum(value) }

func (vaultKeys) Seal(dst, value, _ []byte) ([]byte, error) { return append(dst, value...), nil }

func (vaultKeys) Open(_ context.Context, dst, sealed, _ []byte) ([]byte, error) {
	return append(dst, sealed...), nil
}

func knownToken(key []byte) func() (appender, error) {
	return func() (appender, error) {
		h, err := tokenize.NewHash(key, tokenize.HashHex)
		if err != nil {
			return nil, err
		}
		format, err := tokenize.PANFormat(tokenize.PANOptions{KeepLast: 4})
		if err != nil {
			return nil, err
		}
		v, keys := tokenize.NewVault(vaulttest.NewMemory()), vaultKeys{h}
		const scope = "bench"
		return func(dst, value []byte) ([]byte, error) {
			if out, ok := v.AppendKnown(dst, keys, scope, value); ok {
				return out, nil
			}
			tokens, err := v.Tokenize(context.Background(), keys, scope, format, [][]byte{value})
			if err != nil || len(tokens) != 1 {
				return dst, fmt.Errorf("ours: no token: %w", err)
			}
			return append(dst, tokens[0]...), nil
		}, nil
	}
}

// Unit is what the actions are measured against: one seal of 32 bytes.
func Unit() (func(n int), error) { return Floor([][]byte{make([]byte, 32)}) }
