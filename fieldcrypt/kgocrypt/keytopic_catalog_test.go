package kgocrypt_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// moved returns the block under another KEK.
func (b *bench) moved(block []byte, to string) []byte {
	b.t.Helper()
	r, ok := b.kms.(kms.ReEncrypter)
	if !ok {
		b.t.Fatal("the KMS cannot re-encrypt")
	}
	next, err := datakey.ReEncryptBlock(b.t.Context(), r, block, to)
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// put writes raw records into the key topic, as somebody else would.
func (b *bench) put(records ...*kgo.Record) {
	b.t.Helper()
	cl := b.client()
	for _, r := range records {
		r.Topic = keyTopic
		if err := cl.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// damaged changes the wrapped key of a block and leaves its commitment alone.
func damaged(block []byte, n byte) []byte {
	out := bytes.Clone(block)
	out[len(out)-1] ^= n
	return out
}

// settle makes a key topic read to its end.
func settled(t *testing.T, k *kgocrypt.KeyTopic) {
	t.Helper()
	if _, err := k.Get(t.Context(), datakey.ID{9}); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Fatal(err)
	}
}

// FV-34: other commitments and what is no block change nothing.
func TestForgeriesInTheKeyTopicAreIgnored(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(block)
	foreign[1+len(id)] ^= 1 // the commitment, behind the key id
	_, other := b.block()
	b.put(
		&kgo.Record{Key: id[:], Value: foreign},
		&kgo.Record{Key: id[:], Value: other},
		&kgo.Record{Key: id[:], Value: []byte("no block")},
		&kgo.Record{Key: id[:], Value: []byte{}},
		&kgo.Record{Key: []byte("no id"), Value: block},
		&kgo.Record{Key: []byte("no id"), Value: nil},
		&kgo.Record{Value: nil},
	)
	for name, k := range map[string]*kgocrypt.KeyTopic{"open all the time": k, "opened afterwards": b.keyTopic()} {
		settled(t, k)
		got, err := k.Get(t.Context(), id)
		if err != nil || !bytes.Equal(got, block) || k.Len() != 1 {
			t.Errorf("%s: %d keys, %v", name, k.Len(), err)
		}
		if older, err := k.Older(t.Context(), id); err != nil || len(older) != 0 {
			t.Errorf("%s: %d older blocks, %v", name, len(older), err)
		}
	}
}

// FV-34: the newest block counts, and three before it are kept.
func TestTheNewestBlocksOfAKeyAreKept(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for n := range byte(6) {
		all = append(all, damaged(block, n+1))
		b.put(&kgo.Record{Key: id[:], Value: all[n]})
	}
	b.put(&kgo.Record{Key: id[:], Value: all[4]}) // once more: it is the newest then
	want := [][]byte{all[4], all[5], all[3], all[2]}
	for name, k := range map[string]*kgocrypt.KeyTopic{"open all the time": k, "opened afterwards": b.keyTopic()} {
		settled(t, k)
		newest, err := k.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		older, err := k.Older(t.Context(), id)
		if err != nil || !slices.EqualFunc(append([][]byte{newest}, older...), want, bytes.Equal) {
			t.Errorf("%s: %d older blocks, or in another order, %v", name, len(older), err)
		}
	}
}

// FV-34: a value whose key's newest block does not open is read by an older one.
func TestAReaderSurvivesABadNewestBlock(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	sealed, err := b.engine(k).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: value(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	block := keyHeader(t, sealed)
	id, err := datakey.CheckBlock(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed.Headers = nil
	// Under a KEK that the policy does not name, then such as do not open.
	b.put(&kgo.Record{Key: id[:], Value: b.moved(block, "local:elsewhere")},
		&kgo.Record{Key: id[:], Value: damaged(block, 1)}, &kgo.Record{Key: id[:], Value: damaged(block, 2)})
	settled(t, k)
	out, err := b.engine(k).Reveal(t.Context(), sealed)
	if err != nil || !bytes.Equal(out.Value, value(t, 1)) {
		t.Errorf("%v", err)
	}
	// The fourth bad one pushes the good one out.
	b.put(&kgo.Record{Key: id[:], Value: damaged(block, 3)})
	settled(t, k)
	var e *fieldcrypt.Error
	if _, err := b.engine(k).Reveal(t.Context(), sealed); !errors.As(err, &e) || e.Code != fieldcrypt.CodeKeyUnusable {
		t.Errorf("with no block that opens: %v", err)
	}
}

func keyHeader(t *testing.T, rec fieldcrypt.Record) []byte {
	t.Helper()
	for _, h := range rec.Headers {
		if h.Key == fieldcrypt.HeaderKey {
			return h.Value
		}
	}
	t.Fatal("no key header")
	return nil
}

func TestAKeyMovesToAnotherKEK(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	reader := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	next := b.moved(block, "local:new")
	if err := k.Replace(t.Context(), id, block, next); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*kgocrypt.KeyTopic{"writer": k, "reader": reader, "opened afterwards": b.keyTopic()} {
		settled(t, k)
		if got, err := k.Get(t.Context(), id); err != nil || !bytes.Equal(got, next) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.Replace(t.Context(), id, block, b.moved(block, "local:third")); !errors.Is(err, datakey.ErrBlockChanged) {
		t.Errorf("replacing what does not stand: %v", err)
	}
	if err := k.Replace(t.Context(), datakey.ID{1}, block, next); err == nil {
		t.Error("a block was put under another id")
	}
	otherID, other := b.block()
	if err := k.Replace(t.Context(), id, next, other); !errors.Is(err, datakey.ErrCommitment) {
		t.Errorf("another key: %v", err)
	}
	if err := k.Replace(t.Context(), otherID, other, b.moved(other, "local:new")); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	if n := len(b.raw(keyTopic, 2)); n != 2 {
		t.Errorf("the topic has %d records", n)
	}
}

func TestARemovedKeyIsGoneForEveryReader(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	reader := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	if err := k.Remove(t.Context(), id, damaged(block, 1)); !errors.Is(err, datakey.ErrBlockChanged) {
		t.Errorf("removing another block: %v", err)
	}
	if err := k.Remove(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*kgocrypt.KeyTopic{"writer": k, "reader": reader, "opened afterwards": b.keyTopic()} {
		settled(t, k)
		if _, err := k.Get(t.Context(), id); !errors.Is(err, datakey.ErrUnknownKey) || k.Len() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.Remove(t.Context(), id, block); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("removing it again: %v", err)
	}
}

func TestEachGoesThroughAllKeysAndMayChangeThem(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	want := map[datakey.ID][]byte{}
	for range 5 {
		id, block := b.block()
		want[id] = block
		if err := k.Put(t.Context(), id, block); err != nil {
			t.Fatal(err)
		}
	}
	reader := b.keyTopic()
	var ids []datakey.ID
	err := reader.Each(t.Context(), func(id datakey.ID, block []byte) error {
		ids = append(ids, id)
		if !bytes.Equal(want[id], block) {
			t.Errorf("key %s has another block", id)
		}
		return reader.Replace(t.Context(), id, block, b.moved(block, "local:new"))
	})
	if err != nil || len(ids) != len(want) || !slices.IsSortedFunc(ids, func(a, b datakey.ID) int { return bytes.Compare(a[:], b[:]) }) {
		t.Errorf("%d of %d keys, or out of order, %v", len(ids), len(want), err)
	}
	stop := errors.New("stop")
	calls := 0
	if err := k.Each(t.Context(), func(_ datakey.ID, block []byte) error {
		calls++
		if info, err := datakey.DescribeBlock(block); err != nil || info.KEK != "local:new" {
			t.Errorf("under %q, %v", info.KEK, err)
		}
		return stop
	}); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
