package vaultkms

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A token is one token of Vault. All but proven and due never change.
type token struct {
	value     string
	got       time.Time
	expires   time.Time     // zero for one that does not end, or of which nobody knows
	lease     time.Duration // what it was given for
	renewable bool

	due    atomic.Int64 // when to renew it or to log in anew, as nanoseconds after got; 0 for never
	proven atomic.Bool  // a call was let through with it
}

const (
	// maxLease bounds what an answer says, so that no sum overflows.
	maxLease = 10 * 365 * 24 * time.Hour
	// retryRenewal is how long a token that could not be renewed is used before it
	// is tried again.
	retryRenewal = 10 * time.Second
	// fresh is how long a token that was never let through counts as new: that it
	// is refused is then a matter of permissions.
	fresh = time.Minute
)

// newToken returns a token that lives for so many seconds from now; zero means
// without end. It is to be renewed after two thirds of that.
func newToken(value string, seconds int64, renewable bool) *token {
	t := &token{value: value, got: time.Now(), renewable: renewable}
	if seconds <= 0 {
		return t
	}
	t.lease = maxLease
	if seconds < int64(maxLease/time.Second) {
		t.lease = time.Duration(seconds) * time.Second
	}
	t.expires = t.got.Add(t.lease)
	t.due.Store(int64(t.lease / 3 * 2))
	return t
}

func (t *token) live(now time.Time) bool { return t.expires.IsZero() || now.Before(t.expires) }

func (t *token) isDue(now time.Time) bool {
	due := t.due.Load()
	return due > 0 && now.Sub(t.got) >= time.Duration(due)
}

// A session holds the token for one server. It makes no calls of its own accord:
// a token is renewed by the first call after two thirds of its life, and the
// others go on with it meanwhile.
type session struct {
	auth      Auth
	namespace string // where logins, renewals and lookups go to

	current atomic.Pointer[token]
	busy    chan struct{} // holds one element while somebody fetches or renews
}

func newSession(auth Auth, namespace string) *session {
	return &session{auth: auth, namespace: namespace, busy: make(chan struct{}, 1)}
}

// token returns a token for a call.
func (s *session) token(ctx context.Context, srv *server, op string) (*token, error) {
	if s.auth.kind() == authFile {
		return s.fromFile(ctx, srv, op)
	}
	t := s.current.Load()
	if t != nil && t.live(time.Now()) {
		if !t.isDue(time.Now()) {
			return t, nil
		}
		select {
		case s.busy <- struct{}{}:
		default:
			return t, nil // somebody renews it
		}
	} else if err := s.lock(ctx, srv, op); err != nil {
		return nil, err
	}
	defer s.unlock()
	return s.refresh(ctx, srv, op)
}

func (s *session) lock(ctx context.Context, srv *server, op string) error {
	select {
	case s.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return via("token", failed(ctx, op, srv.host, ctx.Err()))
	}
}

func (s *session) unlock() { <-s.busy }

// fromFile returns the token of the file, and the one before while the file is
// being replaced.
func (s *session) fromFile(ctx context.Context, srv *server, op string) (*token, error) {
	old := s.current.Load()
	t, err := s.auth.fetch(ctx, srv, op)
	if err != nil {
		if old == nil {
			return nil, err
		}
		t = old
	} else if old != nil && old.value == t.value {
		t = old
	}
	s.current.Store(t)
	return t, nil
}

// refresh returns the token after it was renewed or replaced. The caller holds
// the lock.
func (s *session) refresh(ctx context.Context, srv *server, op string) (*token, error) {
	t, now := s.current.Load(), time.Now()
	if t != nil && t.live(now) && !t.isDue(now) {
		return t, nil // while this call waited
	}
	var err error
	if t != nil && t.live(now) && t.renewable {
		var renewed *token
		if renewed, err = s.renew(ctx, srv, op, t); err == nil {
			s.current.Store(renewed)
			return renewed, nil
		}
	}
	// A token that nobody replaces is used as it is when it cannot be renewed.
	if err == nil || !kms.Retryable(err) && s.auth.kind() == authLogin {
		var fetched *token
		if fetched, err = s.auth.fetch(ctx, srv, op); err == nil {
			s.current.Store(fetched)
			return fetched, nil
		}
	}
	if t == nil || !t.live(time.Now()) {
		return nil, err
	}
	t.due.Store(int64(time.Since(t.got) + retryRenewal))
	return t, nil
}

// renew has Vault extend the life of a token.
func (s *session) renew(ctx context.Context, srv *server, op string, t *token) (*token, error) {
	out, err := srv.send(ctx, request{
		op: op, method: http.MethodPost, path: "auth/token/renew-self", namespace: s.namespace, token: t.value, body: []byte("{}"),
	})
	if err != nil {
		return nil, via("renewal", err)
	}
	if out.Auth == nil || out.Auth.ClientToken != t.value {
		return nil, &Error{Op: op, Server: srv.host, Via: "renewal", Status: http.StatusOK, Reason: "answer is about another token", class: kms.ErrUnavailable}
	}
	renewed := newToken(t.value, out.Auth.LeaseDuration, out.Auth.Renewable)
	// Near its maximum lifetime a token gets less than it is given otherwise. A new
	// one is better then than to renew for ever shorter times.
	if s.auth.kind() == authLogin && renewed.lease < t.lease/2 {
		renewed.renewable = false
	}
	return renewed, nil
}

// refused returns another token than t, which Vault has refused, and nil when
// there is none or another would be refused as well.
func (s *session) refused(ctx context.Context, srv *server, op string, t *token) (*token, error) {
	switch s.auth.kind() {
	case authStatic:
		return nil, nil
	case authFile:
		now, err := s.fromFile(ctx, srv, op)
		if err != nil || now.value == t.value {
			return nil, err
		}
		return now, nil
	case authLogin:
	}
	if err := s.lock(ctx, srv, op); err != nil {
		return nil, err
	}
	defer s.unlock()
	if now := s.current.Load(); now != nil && now.value != t.value {
		return now, nil // another call has replaced it
	}
	// A refusal does not say whether the token is over or its role lacks the right.
	// A login for each would be one more call, for ever, where the right is lacking.
	if !t.proven.Load() && time.Since(t.got) < fresh {
		return nil, nil
	}
	fetched, err := s.auth.fetch(ctx, srv, op)
	if err != nil {
		return nil, err
	}
	s.current.Store(fetched)
	return fetched, nil
}
