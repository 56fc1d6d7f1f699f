//go:build unix

package vaults

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	mrand "math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

const (
	writers = 8
	// Few enough that values repeat and tokens are taken.
	writerValues = 20_000
	writerTokens = 200_000
)

// writing is a number of goroutines that insert batches into a store whatever
// becomes of it, and remember what they were told is durable.
type writing struct {
	history  vaulttest.History
	batches  atomic.Int64 // that were acknowledged
	failures atomic.Int64
	lastErr  atomic.Value
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

func startWriting(ctx context.Context, s tokenize.Store) *writing {
	w := &writing{}
	ctx, w.cancel = context.WithCancel(ctx)
	scope := "writers/" + rand.Text()
	for range writers {
		w.wg.Go(func() {
			for ctx.Err() == nil {
				out, err := s.Insert(ctx, randomRows(scope, 1+mrand.IntN(50)))
				if err != nil {
					if ctx.Err() == nil {
						w.failures.Add(1)
						w.lastErr.Store(err.Error())
					}
					continue
				}
				for _, o := range out {
					if o.Status != tokenize.Taken {
						w.history.Add(o.Row)
					}
				}
				w.batches.Add(1)
			}
		})
	}
	return w
}

// stop ends the writers and waits for them.
func (w *writing) stop() {
	w.cancel()
	w.wg.Wait()
}

// waitFor waits until the writers have got so many more batches acknowledged.
func (w *writing) waitFor(t *testing.T, batches int64) {
	t.Helper()
	want := w.batches.Load() + batches
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.batches.Load() < want {
		select {
		case <-ctx.Done():
			t.Fatalf("no progress; the last error of the writers: %v", w.lastErr.Load())
		case <-tick.C:
		}
	}
}

// randomRows draws values and tokens from few.
func randomRows(scope string, n int) []tokenize.Row {
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = tokenize.Row{Scope: scope, Token: strconv.AppendUint(nil, mrand.Uint64N(writerTokens), 10), Sealed: make([]byte, 60)}
		binary.BigEndian.PutUint64(rows[i].Index[:], mrand.Uint64N(writerValues))
	}
	return rows
}

// kills returns how many times a server is killed: few, or as many as the
// environment says.
func kills(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv(vaulttest.CrashesEnv)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is no number above 0: %q", vaulttest.CrashesEnv, text)
	}
	return n
}
