package rpc

import "testing"

func TestABufferHasTheLengthThatWasAskedFor(t *testing.T) {
	p := newPool()
	for _, n := range []int{0, 1, 255, 256, 257, 4096, 70_000, 4 << 20, 4<<20 + 1} {
		for range 3 {
			b := p.Get(n)
			if len(*b) != n || cap(*b) > max(256, 4*n) {
				t.Errorf("%d: %d of %d", n, len(*b), cap(*b))
			}
			*b = (*b)[:0] // as one that grew from nothing
			p.Put(b)
		}
	}
	odd := make([]byte, 5, 1000)
	p.Put(&odd)
	if b := p.Get(1000); cap(*b) != 1024 {
		t.Errorf("a buffer of a size of its own came back: %d", cap(*b))
	}
}
