package rpc

import (
	"slices"
	"sync"

	"google.golang.org/grpc/mem"
)

// A pool keeps buffers of the sizes that messages have: from grpc-go's own pool a
// batch of 33 KB gets one of 1 MiB. Nor does it clear what it gives out, which all
// who use it write over from beginning to end. It is safe for concurrent use.
type pool struct {
	sizes []int // from small to large
	tiers []sync.Pool
}

var _ mem.BufferPool = (*pool)(nil)

func newPool() *pool {
	sizes := []int{256, 1 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10, 96 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}
	return &pool{sizes: sizes, tiers: make([]sync.Pool, len(sizes))}
}

// Get implements [mem.BufferPool].
func (p *pool) Get(length int) *[]byte {
	i, _ := slices.BinarySearch(p.sizes, length)
	if i == len(p.sizes) {
		b := make([]byte, length)
		return &b
	}
	b, _ := p.tiers[i].Get().(*[]byte)
	if b == nil {
		fresh := make([]byte, p.sizes[i])
		b = &fresh
	}
	*b = (*b)[:length]
	return b
}

// Put implements [mem.BufferPool]. A buffer that is not of a size that the pool
// has is left to the garbage collector.
func (p *pool) Put(b *[]byte) {
	if i, ok := slices.BinarySearch(p.sizes, cap(*b)); ok {
		p.tiers[i].Put(b)
	}
}
