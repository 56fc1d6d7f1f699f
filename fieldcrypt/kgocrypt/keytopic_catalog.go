package kgocrypt

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// maxBlocks is how many blocks of one key id a reader keeps.
const maxBlocks = 4

// keyBlocks are the blocks of one key id that a reader keeps, the newest last.
// All of them commit to the same key.
type keyBlocks struct {
	blocks [][]byte
	at     int64 // offset of the newest
}

func (b *keyBlocks) newest() []byte { return b.blocks[len(b.blocks)-1] }

// keepLocked takes one record over. Compaction leaves the last record of a key,
// so a later block has to count: it is how a key comes under another KEK. It
// counts only when it commits to the same key, and what it took the place of
// stays at hand, because nothing here can tell whether it opens.
func (k *KeyTopic) keepLocked(r *kgo.Record) {
	k.next = r.Offset + 1
	if r.Attrs.IsControl() {
		return
	}
	if r.Value == nil && len(r.Key) == len(datakey.ID{}) {
		delete(k.blocks, datakey.ID(r.Key))
		return
	}
	info, err := datakey.DescribeBlock(r.Value)
	if err != nil || !bytes.Equal(info.ID[:], r.Key) {
		k.skipped++
		return
	}
	kept, ok := k.blocks[info.ID]
	if !ok {
		k.blocks[info.ID] = keyBlocks{blocks: [][]byte{bytes.Clone(r.Value)}, at: r.Offset}
		return
	}
	if !datakey.SameKey(kept.newest(), r.Value) {
		k.skipped++
		return
	}
	kept.at = r.Offset
	if again := slices.IndexFunc(kept.blocks, func(b []byte) bool { return bytes.Equal(b, r.Value) }); again >= 0 {
		kept.blocks = append(kept.blocks[:again:again], kept.blocks[again+1:]...)
	}
	if len(kept.blocks) >= maxBlocks {
		kept.blocks = kept.blocks[len(kept.blocks)-maxBlocks+1:]
	}
	kept.blocks = append(slices.Clip(kept.blocks), bytes.Clone(r.Value))
	k.blocks[info.ID] = kept
}

// Older returns the blocks of id that the newest one took the place of and that
// are still known, the newest first. It does no I/O.
func (k *KeyTopic) Older(_ context.Context, id datakey.ID) ([][]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept, ok := k.blocks[id]
	if !ok {
		return nil, nil
	}
	var out [][]byte
	for _, b := range slices.Backward(kept.blocks[:len(kept.blocks)-1]) {
		out = append(out, bytes.Clone(b))
	}
	return out, nil
}

// Each calls f for the newest block of every key, in the order of their ids,
// after it has read to the end of the topic.
func (k *KeyTopic) Each(ctx context.Context, f func(id datakey.ID, block []byte) error) error {
	if err := k.catchUp(ctx); err != nil {
		return fmt.Errorf("kgocrypt: key topic %q: %w", k.topic, err)
	}
	k.mu.Lock()
	ids := slices.SortedFunc(maps.Keys(k.blocks), func(a, b datakey.ID) int { return bytes.Compare(a[:], b[:]) })
	k.mu.Unlock()
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, ok := k.lookup(id)
		if !ok {
			continue // removed meanwhile
		}
		if err := f(id, b); err != nil {
			return err
		}
	}
	return nil
}

// Replace appends next as the newest block of id, and reads it back. It refuses a
// block that commits to another key, which readers would ignore.
//
// A topic has no compare-and-swap. Calls of one KeyTopic take turns; between
// processes the last one wins, and a call that another one slipped in before
// tells so by [datakey.ErrBlockChanged] although its block was written. What two
// of them can lose that way is the work of moving a key, and not the key.
func (k *KeyTopic) Replace(ctx context.Context, id datakey.ID, old, next []byte) error {
	if got, err := datakey.CheckBlock(next); err != nil || got != id || !datakey.SameKey(old, next) {
		return fmt.Errorf("kgocrypt: key topic %q: key %s: %w", k.topic, id, datakey.ErrCommitment)
	}
	return k.change(ctx, id, old, bytes.Clone(next))
}

// Remove writes a tombstone for id: readers drop all blocks that they have of it,
// and compaction takes them out of the topic. Of calls at a time, it is as with
// [KeyTopic.Replace].
func (k *KeyTopic) Remove(ctx context.Context, id datakey.ID, old []byte) error {
	return k.change(ctx, id, old, nil)
}

// change writes what is to stand after old; nil for nothing.
func (k *KeyTopic) change(ctx context.Context, id datakey.ID, old, next []byte) error {
	fail := func(err error) error {
		return fmt.Errorf("kgocrypt: key topic %q: key %s: %w", k.topic, id, err)
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	if err := k.catchUp(ctx); err != nil {
		return fail(err)
	}
	k.mu.Lock()
	kept, ok := k.blocks[id]
	end := k.next
	k.mu.Unlock()
	switch {
	case !ok:
		return fail(datakey.ErrUnknownKey)
	case !bytes.Equal(kept.newest(), old):
		return fail(datakey.ErrBlockChanged)
	}
	offset, err := k.write(ctx, id, next)
	if err != nil {
		return err
	}
	k.mu.Lock()
	now, ok := k.blocks[id]
	k.mu.Unlock()
	switch {
	case next == nil && !ok:
		return nil
	case next != nil && ok && now.at == offset && bytes.Equal(now.newest(), next) && (offset == end || now.follows(old)):
		return nil
	default:
		return fail(datakey.ErrBlockChanged)
	}
}

// follows tells whether the newest block came right after old.
func (b *keyBlocks) follows(old []byte) bool {
	return len(b.blocks) > 1 && bytes.Equal(b.blocks[len(b.blocks)-2], old)
}
