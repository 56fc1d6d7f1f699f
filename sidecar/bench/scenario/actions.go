package scenario

import (
	"context"
	"crypto/rand"

	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/tokenize"
)

const oneSeal = "one AES-256-GCM seal of 32 bytes"

// appender is the shape of actions.
type appender = func(dst, value []byte) ([]byte, error)

// An action is what a policy does to one value, alone: without record, plan or key
// handling.
type action struct {
	name  string
	value string
	build func(key []byte) (appender, error)
}

func actions() []action {
	const text = "Ada Example, Main Street 12, Prague"
	rule := func(build func() (mask.Rule, error)) func([]byte) (appender, error) {
		return func([]byte) (appender, error) {
			r, err := build()
			return r.Append, err
		}
	}
	out := []action{
		{"format-preserving, 16 digits", "4111111111111111", func(key []byte) (appender, error) {
			f, err := tokenize.NewFF1(key, tokenize.FF1Options{Alphabet: tokenize.Digits})
			if err != nil {
				return nil, err
			}
			return f.Append, nil
		}},
		{"hash, 32 bytes", text[:32], func(key []byte) (appender, error) {
			h, err := tokenize.NewHash(key, tokenize.HashHex)
			if err != nil {
				return nil, err
			}
			return h.Append, nil
		}},
		{"mask, keep 1 of 32", text[:32], rule(func() (mask.Rule, error) { return mask.Keep(1, 0) })},
	}
	for _, m := range []struct{ rule, value string }{
		{"card", "4111 1111 1111 1111"}, {"email", "ada.mary.example@mail.example.com"}, {"phone", "+420 601 123 456"},
		{"iban", "DE89 3704 0044 0532 0130 00"}, {"initials", "Ada Mary Josephine Example-Sample"}, {"ip/24", "198.51.100.77"},
		{"url", "https://example.com/orders?id=7#"},
	} {
		out = append(out, action{"mask, rule " + m.rule, m.value, rule(func() (mask.Rule, error) { return mask.Named(m.rule) })})
	}
	return out
}

// Actions measures what policies do to one value, beside one seal. It returns a
// case for each action.
func Actions(_ context.Context, p Params) ([]*report.Case, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	var out []*report.Case
	all := actions()
	for i, a := range all {
		do, err := a.build(key)
		if err != nil {
			return nil, err
		}
		in := []byte(a.value)
		if _, err := do(nil, in); err != nil {
			return nil, err
		}
		ours := func() ratio.Func {
			dst := make([]byte, 0, 256)
			return func(n int) {
				for range n {
					var err error
					if dst, err = do(dst[:0], in); err != nil {
						panic(err) //nolint:forbidigo // it worked before
					}
				}
			}
		}
		c := &report.Case{Scenario: NameActions, Settings: map[string]string{"action": a.name}, Yardstick: oneSeal}
		if err := beside(c, ratio.Options{Rounds: p.Rounds, Slice: p.Slice}, oneSealFloor, ours); err != nil {
			return nil, err
		}
		out = append(out, c)
		p.progress(float64(i+1) / float64(len(all)))
	}
	return out, nil
}

func oneSealFloor() (func(n int), error) { return newFloor([][][]byte{{make([]byte, 32)}}) }
