package tokenize

import (
	"bytes"
	"context"
	"fmt"
)

// maxDraws is how many tokens are drawn for a value. Where one in a hundred is
// taken, all of them are once in 10^16 values.
const maxDraws = 8

// A pending value waits for its token.
type pending struct {
	value []byte
	index Index
	at    []int  // where in the result the token goes
	token []byte // once it is known
}

// Tokenize returns the tokens of values in the same order, of those that had
// none new ones. New values take one round trip to the store together; so do
// those whose random token another value has, with other tokens. Equal values of
// a batch have one token.
//
// On an error nothing is returned; some of the values may have tokens then,
// which the next call finds. The errors are [ErrValue] for a value that does not
// fit the format or is longer than [MaxValue], [ErrRow] for a scope outside the
// limits of a [Row], [ErrFull], [ErrFormat], [ErrIndexKey], [ErrCorrupt], and
// those of the store, the keys and ctx.
//
// values are neither changed nor kept.
func (v *Vault) Tokenize(ctx context.Context, keys VaultKeys, scope string, format Format, values [][]byte) ([][]byte, error) {
	if err := CheckScope(scope); err != nil {
		return nil, err
	}
	for i, value := range values {
		if len(value) > MaxValue {
			return nil, fmt.Errorf("%w: value %d is longer than %d bytes", ErrValue, i, MaxValue)
		}
		if err := format.Check(value); err != nil {
			return nil, fmt.Errorf("%w: value %d", err, i)
		}
	}
	if len(values) == 0 {
		return nil, nil
	}
	st, err := v.scope(ctx, keys, scope, format)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(values))
	unknown, err := v.known(keys, scope, values, out)
	switch {
	case err != nil:
		return nil, err
	case len(unknown) == 0:
		return out, nil
	}
	b := batch{Vault: v, keys: keys, scope: scope, format: format, state: st}
	if err := b.resolve(ctx, unknown); err != nil {
		return nil, err
	}
	for _, p := range unknown {
		v.cache.put(scope, &p.index, p.token)
		for _, at := range p.at {
			out[at] = append([]byte(nil), p.token...)
		}
	}
	return out, nil
}

// known fills the tokens in that the process knows, and returns the other
// values, each once.
func (v *Vault) known(keys VaultKeys, scope string, values, out [][]byte) ([]*pending, error) {
	var unknown []*pending
	byIndex := map[Index]*pending{}
	for i, value := range values {
		index := keys.Index(value)
		if index == (Index{}) {
			return nil, fmt.Errorf("%w: index of zeros", ErrIndexKey)
		}
		if e := v.cache.get(scope, &index); e != nil {
			out[i] = append([]byte(nil), e.token...)
			continue
		}
		p := byIndex[index]
		if p == nil {
			p = &pending{value: value, index: index}
			byIndex[index] = p
			unknown = append(unknown, p)
		} else if !bytes.Equal(p.value, value) {
			return nil, fmt.Errorf("%w: two values have one index", ErrCorrupt)
		}
		p.at = append(p.at, i)
	}
	return unknown, nil
}

// A batch is what the values of one call have in common.
type batch struct {
	*Vault

	keys   VaultKeys
	scope  string
	format Format
	state  *scopeState
}

// resolve gives each value its token.
func (b *batch) resolve(ctx context.Context, unknown []*pending) error {
	limit := b.limit(unknown)
	room, err := b.state.reserve(ctx, b.store, b.scope, limit, len(unknown))
	if err != nil {
		return err
	}
	if !room {
		// Values that have a token need no room.
		if unknown, err = b.find(ctx, unknown); err != nil || len(unknown) == 0 {
			return err
		}
		if room, err = b.state.reserve(ctx, b.store, b.scope, limit, len(unknown)); err != nil {
			return err
		}
		if !room {
			return ErrFull
		}
	}
	if limit == unlimited {
		_, err = b.draw(ctx, unknown)
		return err
	}
	inserted, err := b.draw(ctx, unknown)
	b.state.settle(len(unknown), inserted)
	return err
}

// draw inserts values with random tokens until each has one, and returns how
// many rows are new for sure.
func (b *batch) draw(ctx context.Context, left []*pending) (inserted int, err error) {
	for range maxDraws {
		var n int
		if left, n, err = b.insertNew(ctx, left); err != nil {
			return inserted, err
		}
		inserted += n
		b.state.met(n, len(left))
		if len(left) == 0 {
			return inserted, nil
		}
	}
	return inserted, ErrFull
}

// limit returns how many rows the scope may have.
func (b *batch) limit(unknown []*pending) uint64 {
	least := uint64(unlimited)
	for _, p := range unknown {
		least = min(least, b.format.Space(p.value))
	}
	if least == unlimited {
		return unlimited
	}
	return least / fillDivisor
}

// find gives those values their tokens that the store knows, and returns the
// others.
func (b *batch) find(ctx context.Context, unknown []*pending) (left []*pending, err error) {
	keys := make([]Key, len(unknown))
	for i, p := range unknown {
		keys[i] = Key{Scope: b.scope, Index: p.index}
	}
	rows, err := b.store.ByIndex(ctx, keys)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokenize: look up: %w", err)
	case len(rows) != len(keys):
		return nil, fmt.Errorf("%w: %d rows for %d keys", ErrCorrupt, len(rows), len(keys))
	}
	for i, p := range unknown {
		if len(rows[i].Token) == 0 {
			left = append(left, p)
			continue
		}
		if rows[i].Scope != b.scope || rows[i].Index != p.index {
			return nil, fmt.Errorf("%w: row of another value", ErrCorrupt)
		}
		if err := b.take(ctx, p, &rows[i]); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// insertNew inserts a row for each value, and returns those whose token was
// taken and how many rows are new.
func (b *batch) insertNew(ctx context.Context, values []*pending) (taken []*pending, inserted int, err error) {
	rows := make([]Row, len(values))
	for i, p := range values {
		token, err := b.format.Append(nil, p.value)
		if err != nil {
			return nil, 0, err
		}
		if rows[i], err = seal(b.keys, b.scope, p.index, token, p.value); err != nil {
			return nil, 0, err
		}
	}
	out, err := b.insert(ctx, rows)
	if err != nil {
		return nil, 0, err
	}
	for i, p := range values {
		if err := checkOutcome(&out[i], &rows[i]); err != nil {
			return nil, 0, err
		}
		switch out[i].Status {
		case Inserted:
			p.token = rows[i].Token
			inserted++
		case Taken:
			taken = append(taken, p)
		case Exists:
			if err := b.take(ctx, p, &out[i].Row); err != nil {
				return nil, 0, err
			}
		}
	}
	return taken, inserted, nil
}

// take gives a value the token of its row, once the row is known to hold it.
func (b *batch) take(ctx context.Context, p *pending, row *Row) error {
	if err := holds(ctx, b.keys, row, p.value); err != nil {
		return err
	}
	if !b.format.ValidFor(row.Token, p.value) {
		return ErrFormat
	}
	p.token = append([]byte(nil), row.Token...)
	return nil
}
