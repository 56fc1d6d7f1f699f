package scenario

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/sidecar/bench/load"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/boltvault"
)

// Vault measures a token vault in a file: values that it has not met, which are
// durable before they have a token, in batches; and values that this process
// knows, beside one seal.
func Vault(ctx context.Context, p Params) (_ []*report.Case, err error) {
	dir, err := os.MkdirTemp("", "fieldveil-bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := boltvault.Open(filepath.Join(dir, "vault.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := newVaultKeys()
	if err != nil {
		return nil, err
	}
	v := tokenize.NewVault(store)
	fresh, err := freshTokens(ctx, &p, v, keys)
	if err != nil {
		return nil, err
	}
	known, err := knownTokens(ctx, &p, v, keys)
	if err != nil {
		return nil, err
	}
	return []*report.Case{fresh, known}, nil
}

// scopeBench is the scope of all values here.
const scopeBench = "bench"

// cardFormat is that of the tokens.
func tokenFormat() (tokenize.Format, error) {
	return tokenize.SameDigitsFormat(4)
}

// freshTokens measures how many new values a second get a token.
func freshTokens(ctx context.Context, p *Params, v *tokenize.Vault, keys tokenize.VaultKeys) (*report.Case, error) {
	format, err := tokenFormat()
	if err != nil {
		return nil, err
	}
	workers, batch := max(p.Concurrency, 1), p.batch()
	rounds, slice := p.inProcesses()
	var next atomic.Uint64
	var rates []float64
	for round := range rounds + 1 { // the first to warm up
		r, err := load.Closed{Workers: workers, For: slice}.Run(ctx, func(ctx context.Context, _ int) (int, error) {
			values := make([][]byte, batch)
			for i := range values {
				values[i] = fmt.Appendf(nil, "4%015d", next.Add(1))
			}
			tokens, err := v.Tokenize(ctx, keys, scopeBench, format, values)
			return len(tokens), err
		})
		if err != nil {
			return nil, err
		}
		if round > 0 {
			rates = append(rates, r.Rate())
		}
		p.progress(0.8 * float64(round+1) / float64(rounds+1))
	}
	return &report.Case{
		Scenario: NameVault, Rate: report.NewSeries(rates), Allocs: -1,
		Settings: map[string]string{"values": "new", "store": "file", "batch": fmt.Sprint(batch), "concurrency": fmt.Sprint(workers)},
	}, nil
}

// knownTokens measures what a value costs that this process has met.
func knownTokens(ctx context.Context, p *Params, v *tokenize.Vault, keys tokenize.VaultKeys) (*report.Case, error) {
	format, err := tokenFormat()
	if err != nil {
		return nil, err
	}
	value := []byte("4111111111111111")
	if _, err := v.Tokenize(ctx, keys, scopeBench, format, [][]byte{value}); err != nil {
		return nil, err
	}
	ours := func() ratio.Func {
		dst := make([]byte, 0, 64)
		return func(n int) {
			for range n {
				var ok bool
				if dst, ok = v.AppendKnown(dst[:0], keys, scopeBench, value); !ok {
					panic("scenario: the vault has forgotten a value") //nolint:forbidigo // it had it before
				}
			}
		}
	}
	c := &report.Case{Scenario: NameVault, Settings: map[string]string{"values": "known", "store": "file"}, Yardstick: oneSeal}
	if err := beside(c, ratio.Options{Slice: sliceInMemory}, oneSealFloor, ours); err != nil {
		return nil, err
	}
	p.progress(1)
	return c, nil
}

// vaultKeys are keys without a KMS behind them, and all else as it is.
type vaultKeys struct {
	hash *tokenize.Hash
	aead cipher.AEAD
	next *atomic.Uint64
}

func newVaultKeys() (vaultKeys, error) {
	key := make([]byte, tokenize.HashKeySize)
	_, _ = rand.Read(key) // never fails
	h, err := tokenize.NewHash(key, tokenize.HashHex)
	if err != nil {
		return vaultKeys{}, err
	}
	aead, err := bareCipher()
	return vaultKeys{h, aead, new(atomic.Uint64)}, err
}

// IndexKeyID implements [tokenize.VaultKeys].
func (vaultKeys) IndexKeyID() [tokenize.IndexKeyIDSize]byte {
	return [tokenize.IndexKeyIDSize]byte{1}
}

// Index implements [tokenize.VaultKeys].
func (k vaultKeys) Index(value []byte) tokenize.Index { return k.hash.Sum(value) }

// Seal implements [tokenize.VaultKeys].
func (k vaultKeys) Seal(dst, value, bound []byte) ([]byte, error) {
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], k.next.Add(1))
	dst = append(dst, nonce[:]...)
	return k.aead.Seal(dst, nonce[:], value, bound), nil
}

// Open implements [tokenize.VaultKeys].
func (k vaultKeys) Open(_ context.Context, dst, sealed, bound []byte) ([]byte, error) {
	if len(sealed) < 12 {
		return dst, tokenize.ErrCorrupt
	}
	out, err := k.aead.Open(dst, sealed[:12], sealed[12:], bound)
	if err != nil {
		return dst, tokenize.ErrCorrupt
	}
	return out, nil
}
