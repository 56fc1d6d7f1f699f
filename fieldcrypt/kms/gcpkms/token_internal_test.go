package gcpkms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/auth"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A fakeSource hands out tokens that are good for an hour and named by their
// number.
type fakeSource struct {
	mu      sync.Mutex
	n       int
	life    time.Duration
	delay   time.Duration
	failure error
}

func (f *fakeSource) Token(ctx context.Context) (*auth.Token, error) {
	f.mu.Lock()
	f.n++
	n, life, delay, failure := f.n, f.life, f.delay, f.failure
	f.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, fmt.Errorf("canary: %w", ctx.Err())
	}
	if failure != nil {
		return nil, failure
	}
	return &auth.Token{Value: fmt.Sprint("token-", n), Expiry: time.Now().Add(life)}, nil
}

func (f *fakeSource) set(change func(*fakeSource)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeSource) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// pass lets time go by in the bubble of a test.
func pass(d time.Duration) { <-time.After(d) }

func want(t *testing.T, ts *tokens, value string) {
	t.Helper()
	got, err := ts.get(t.Context())
	if err != nil || got != value {
		t.Errorf("%q, %v, want %q", got, err, value)
	}
}

func TestATokenIsReplacedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{life: time.Hour, delay: time.Second}
		ts := &tokens{via: viaCredentials, source: f}
		want(t, ts, "token-1")
		pass(time.Hour - refreshAhead - 2*time.Second)
		want(t, ts, "token-1")
		synctest.Wait()
		if n := f.calls(); n != 1 {
			t.Fatalf("%d requests long before the end", n)
		}
		pass(3 * time.Second)
		want(t, ts, "token-1") // nobody waits for the replacement
		pass(2 * time.Second)
		want(t, ts, "token-2")
		if n := f.calls(); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// One request that fails, minutes before the end, is no reason to wait for it.
func TestAReplacementThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{life: time.Hour}
		ts := &tokens{via: viaCredentials, source: f}
		want(t, ts, "token-1")
		f.set(func(f *fakeSource) { f.failure = errors.New("canary") })
		pass(time.Hour - refreshAhead + time.Second)
		for range 100 { // ten seconds of calls
			want(t, ts, "token-1")
			pass(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := f.calls() - 1; n < 2 || n > 3 {
			t.Errorf("%d requests within ten seconds", n)
		}
		f.set(func(f *fakeSource) { f.failure = nil })
		pass(retryAfter)
		want(t, ts, "token-1")
		synctest.Wait()
		want(t, ts, fmt.Sprint("token-", f.calls()))
		// Without any that works the calls fail, and go on when there is one.
		f.set(func(f *fakeSource) { f.failure = errors.New("canary") })
		pass(time.Hour)
		_, err := ts.get(t.Context())
		if s, ok := errors.AsType[*sourceError](err); !ok || !errors.Is(s.class(), kms.ErrUnavailable) || s.Error() != "no token" {
			t.Errorf("%#v", err)
		}
		f.set(func(f *fakeSource) { f.failure = nil })
		if got, err := ts.get(t.Context()); err != nil || got != fmt.Sprint("token-", f.calls()) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestManyCallersMakeOneRequestAndNobodyWaitsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{life: time.Hour, delay: 5 * time.Second}
		ts := &tokens{via: viaCredentials, source: f}
		var wg sync.WaitGroup
		begun := time.Now()
		for i := range 1000 {
			wg.Go(func() {
				patience := time.Duration(i%10+1) * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := ts.get(ctx)
				waited := time.Since(begun)
				switch {
				case patience < 5*time.Second && (!errors.Is(err, context.DeadlineExceeded) || waited != patience):
					t.Errorf("%v after %v with a deadline of %v", err, waited, patience)
				case patience > 5*time.Second && (err != nil || waited != 5*time.Second):
					t.Errorf("%v after %v", err, waited)
				}
			})
		}
		wg.Wait()
		if n := f.calls(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// Who gave up started a request that serves the next.
func TestARequestOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{life: time.Hour, delay: 4 * time.Second}
		ts := &tokens{via: viaCredentials, source: f}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ts.get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		pass(3 * time.Second)
		synctest.Wait()
		want(t, ts, "token-1")
		if n := f.calls(); n != 1 {
			t.Errorf("%d requests", n)
		}
		// But not for ever.
		f.set(func(f *fakeSource) { f.delay = time.Hour })
		ts.drop("token-1")
		begun := time.Now()
		_, err := ts.get(t.Context())
		if s, ok := errors.AsType[*sourceError](err); !ok || !errors.Is(s.cause, errTimeout) || time.Since(begun) != tokenTimeout {
			t.Errorf("%#v after %v", err, time.Since(begun))
		}
	})
}

func TestATokenThatWasRefusedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{life: time.Hour}
		opened := 0
		ts := &tokens{via: viaCredentials, open: func() (auth.TokenProvider, error) {
			opened++
			if opened == 3 {
				return nil, errors.New("canary")
			}
			return f, nil
		}}
		want(t, ts, "token-1")
		ts.drop("token-0") // one that is no longer in use
		want(t, ts, "token-1")
		ts.drop("token-1")
		ts.drop("token-1") // by every call that was refused
		want(t, ts, "token-2")
		if opened != 2 {
			t.Errorf("the source was opened %d times", opened)
		}
		ts.drop("token-2")
		if _, err := ts.get(t.Context()); err == nil {
			t.Error("a source that cannot be opened has tokens")
		}
		want(t, ts, "token-3")
	})
}

func TestTokensThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{life: lastUse - time.Second}
		ts := &tokens{via: viaCredentials, source: f}
		_, err := ts.get(t.Context())
		if s, ok := errors.AsType[*sourceError](err); !ok || !errors.Is(s.cause, errNoToken) {
			t.Errorf("%#v", err)
		}
		// One that ends soon is used, and asked for anew.
		f.set(func(f *fakeSource) { f.life = refreshAhead / 2 })
		want(t, ts, "token-2")
		pass(retryAfter)
		want(t, ts, "token-2")
		synctest.Wait()
		want(t, ts, "token-3")
	})
	ts := &tokens{via: viaCredentials, source: nobody{}}
	if _, err := ts.get(t.Context()); err == nil {
		t.Error("no token at all was taken")
	}
}

type nobody struct{}

func (nobody) Token(context.Context) (*auth.Token, error) { return nil, nil } //nolint:nilnil // what a library must not do
