package redisvault

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
)

const (
	defaultPrefix = "fieldveil"
	maxPrefix     = 64
)

// A Store keeps rows in Redis. It is a [tokenize.Store], safe for concurrent use;
// how many calls run at once is up to the size of the client's pool.
type Store struct {
	client    redis.UniversalClient
	cluster   *redis.ClusterClient // the client, where it is one
	owned     bool                 // Close ends the client
	prefix    string
	wait      *waiting // nil when calls wait for nothing
	unchecked bool     // no look at the settings for durability

	// checked is what the last look at the servers showed, nil when another one
	// is due.
	checked atomic.Pointer[servers]
}

// waiting says what calls wait for before they answer.
type waiting struct {
	replicas int
	timeout  time.Duration
}

var _ tokenize.Store = (*Store)(nil)

// An Option changes how a [Store] works.
type Option func(*Store) error

// WithPrefix sets what all keys begin with, "fieldveil" by default: 1 to 64 ASCII
// letters, digits and characters of ":._-/". Stores with different prefixes know
// nothing of each other.
func WithPrefix(prefix string) Option {
	return func(s *Store) error {
		if prefix == "" || len(prefix) > maxPrefix {
			return errors.New("redisvault: a prefix has 1 to 64 bytes")
		}
		for _, c := range []byte(prefix) {
			letter := c|0x20 >= 'a' && c|0x20 <= 'z'
			if !letter && (c < '0' || c > '9') && strings.IndexByte(":._-/", c) < 0 {
				return errors.New("redisvault: a prefix consists of ASCII letters, digits and :._-/")
			}
		}
		s.prefix = prefix
		return nil
	}
}

// WithWait has each call wait until its rows have reached so many replicas, and
// fail when they have not within timeout, which is below the client's
// ReadTimeout.
//
// A server of version 7.2 or later is asked by WAITAOF: then the rows are flushed
// to the append-only files of the primary and of the replicas, whatever their
// appendfsync is but no. With 0 replicas that is the primary alone. An older one
// is asked by WAIT: then the rows are in the memory of the replicas, of which
// there is at least one, and the primary must flush by itself (appendfsync
// always).
//
// Reads by index wait too, as they find rows whose writer may still be waiting:
// each read writes a small key for that. Calls through a cluster can fail while
// it moves keys to another node.
func WithWait(replicas int, timeout time.Duration) Option {
	return func(s *Store) error {
		if replicas < 0 || timeout < time.Millisecond {
			return errors.New("redisvault: wait for no fewer than 0 replicas, and for a millisecond at least")
		}
		s.wait = &waiting{replicas: replicas, timeout: timeout}
		return nil
	}
}

// WithoutDurabilityCheck accepts a server whatever its appendonly and appendfsync
// are. It is for services that make writes durable below the server and say so,
// and do not allow CONFIG; elsewhere a crash loses rows whose tokens are in use.
// A server that says it evicts keys is refused all the same.
func WithoutDurabilityCheck() Option {
	return func(s *Store) error {
		s.unchecked = true
		return nil
	}
}

// New returns a Store on a client, a [*redis.Client] or a [*redis.ClusterClient],
// which stays the caller's to close. It does not ask the server anything: the
// first insert does, or [Store.Check]. Contexts end calls on their way only
// where the client has ContextTimeoutEnabled; without it the client's timeouts do.
func New(client redis.UniversalClient, options ...Option) (*Store, error) {
	s := &Store{client: client, prefix: defaultPrefix}
	var readTimeout time.Duration
	switch c := client.(type) {
	case *redis.Client:
		if c == nil {
			return nil, errors.New("redisvault: there is no client")
		}
		readTimeout = c.Options().ReadTimeout
	case *redis.ClusterClient:
		if c == nil {
			return nil, errors.New("redisvault: there is no client")
		}
		s.cluster = c
		readTimeout = c.Options().ReadTimeout
	case nil:
		return nil, errors.New("redisvault: there is no client")
	default:
		// A Ring gives keys to another server when theirs is away.
		return nil, errors.New("redisvault: the client is neither a *redis.Client nor a *redis.ClusterClient")
	}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, err
		}
	}
	if s.wait != nil && readTimeout > 0 && s.wait.timeout >= readTimeout {
		return nil, errors.New("redisvault: the client's ReadTimeout is not above what replicas are waited for")
	}
	return s, nil
}

// Open returns a Store on a client of its own for one server, which Close ends,
// and checks the server. The URL is one of redis, rediss or unix, as
// [redis.ParseURL] reads it. The errors do not repeat it, which can hold a
// password.
func Open(ctx context.Context, url string, options ...Option) (*Store, error) {
	cfg, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("redisvault: open: the URL cannot be read")
	}
	cfg.ContextTimeoutEnabled = true
	client := redis.NewClient(cfg)
	s, err := New(client, options...)
	if err == nil {
		s.owned = true
		err = s.Check(ctx)
	}
	if err != nil {
		_ = client.Close() // the first error counts
		return nil, err
	}
	return s, nil
}

// Close ends the client of a Store that Open has made, and leaves one that New
// was given alone.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.client.Close(); err != nil {
		return errors.New("redisvault: close: connections were closed before")
	}
	return nil
}
