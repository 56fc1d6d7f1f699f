package datakey_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// layered is a store with several blocks of a key, the newest first.
type layered struct {
	blocks [][]byte
	asked  int   // for older ones
	err    error // of that question
}

func (l *layered) Put(context.Context, datakey.ID, []byte) error { return nil }

func (l *layered) Get(context.Context, datakey.ID) ([]byte, error) { return l.blocks[0], nil }

func (l *layered) Older(context.Context, datakey.ID) ([][]byte, error) {
	l.asked++
	return l.blocks[1:], l.err
}

// picky is a KMS of which some KEKs do not answer as usual.
type picky struct {
	*localkms.KMS

	errs map[string]error
}

func (p picky) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if err := p.errs[kek]; err != nil {
		return nil, err
	}
	return p.KMS.Unwrap(ctx, kek, wrapped, ec)
}

// FV-34: older blocks are tried where the newer one fails for good, and only there.
func TestOlderBlocksAreTriedWhereTheNewestFailsForGood(t *testing.T) {
	w := picky{localkms.NewInMemory(), map[string]error{"local:off": kms.ErrDisabled, "local:away": kms.ErrUnavailable}}
	good, err := datakey.CreateDomainBlock(t.Context(), w, "local:a", "")
	if err != nil {
		t.Fatal(err)
	}
	info, err := datakey.DescribeBlock(good)
	if err != nil {
		t.Fatal(err)
	}
	under := func(kek string) []byte {
		b, err := datakey.ReEncryptBlock(t.Context(), w, good, kek)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	other, err := datakey.CreateDomainBlock(t.Context(), w, "local:a", "")
	if err != nil {
		t.Fatal(err)
	}
	off, away, unnamed := under("local:off"), under("local:away"), under("local:unnamed")
	stored := errors.New("the store is away")
	tests := []struct {
		name   string
		blocks [][]byte
		err    error
		want   error // nil where it opens
		asked  int
	}{
		{"the newest opens", [][]byte{good, damaged}, nil, nil, 0},
		{"damaged", [][]byte{damaged, good}, nil, nil, 1},
		{"disabled", [][]byte{off, good}, nil, nil, 1},
		{"a KEK that the policy does not name", [][]byte{unnamed, good}, nil, nil, 1},
		{"another key", [][]byte{other, good}, nil, nil, 1},
		{"no block", [][]byte{{1}, good}, nil, nil, 1},
		{"the third", [][]byte{off, damaged, good}, nil, nil, 1},
		{"a KMS that is away", [][]byte{away, good}, nil, datakey.ErrUnavailable, 0},
		{"a KMS that is away, behind one that is off", [][]byte{off, away, good}, nil, datakey.ErrUnavailable, 1},
		{"none that opens", [][]byte{off, damaged}, nil, datakey.ErrUnusable, 1},
		{"a store that fails", [][]byte{off, good}, stored, datakey.ErrUnavailable, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := &layered{blocks: tt.blocks, err: tt.err}
			c, err := datakey.New(w, datakey.WithStore(store))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s, err := c.Scope(datakey.ScopeSpec{Name: "k", KEKs: []string{"local:a", "local:off", "local:away"}})
			if err != nil {
				t.Fatal(err)
			}
			o, err := s.Opener(t.Context(), info.ID, nil)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || store.asked != tt.asked {
				t.Errorf("asked %d times, %v", store.asked, err)
			}
			if err == nil && o.KeyID() != info.ID {
				t.Errorf("key %s", o.KeyID())
			}
		})
	}
}

func TestABlockIsDescribedComparedAndProven(t *testing.T) {
	w := picky{localkms.NewInMemory(), map[string]error{"local:off": kms.ErrDisabled}}
	block, err := datakey.CreateDomainBlock(t.Context(), w, "local:a", "acme")
	if err != nil {
		t.Fatal(err)
	}
	id, err := datakey.CheckBlock(block)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := datakey.DescribeBlock(block); err != nil || info != (datakey.BlockInfo{ID: id, KEK: "local:a", Tenant: "acme"}) {
		t.Errorf("%+v, %v", info, err)
	}
	next, err := datakey.ReEncryptBlock(t.Context(), w, block, "local:b")
	if err != nil || !datakey.SameKey(block, next) || bytes.Equal(block, next) {
		t.Fatalf("%v", err)
	}
	damaged := bytes.Clone(block)
	damaged[len(damaged)-1] ^= 1
	lying := bytes.Clone(block)
	lying[1+31] ^= 1 // the commitment, of which the id is only the beginning
	foreign, err := datakey.CreateDomainBlock(t.Context(), w, "local:a", "zen")
	if err != nil {
		t.Fatal(err)
	}
	off, err := datakey.ReEncryptBlock(t.Context(), w, block, "local:off")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		block []byte
		same  bool
		want  error
	}{
		"itself": {block, true, nil}, "moved": {next, true, nil}, "damaged": {damaged, true, kms.ErrCorrupt},
		"another commitment": {lying, false, datakey.ErrCommitment}, "another key": {foreign, false, nil},
		"a KEK that is off": {off, true, kms.ErrDisabled},
	} {
		if datakey.SameKey(block, tt.block) != tt.same {
			t.Errorf("%s: same key: %v", name, !tt.same)
		}
		if err := datakey.ProveBlock(t.Context(), w, tt.block); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := datakey.ReEncryptBlock(t.Context(), w, []byte{1}, "local:b"); err == nil || datakey.SameKey(block, nil) || datakey.SameKey(nil, block) {
		t.Error("no block was taken for one")
	}
	if _, err := datakey.ReEncryptBlock(t.Context(), w, damaged, "local:b"); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}
