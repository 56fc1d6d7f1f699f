package redisvault_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/redisvault"
)

func ExampleOpen() { //nolint:testableexamples // it needs a server
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	store, err := redisvault.Open(ctx, "rediss://vault:password@redis.internal:6379/0", redisvault.WithWait(1, time.Second))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	n, err := store.Count(ctx, "tenant/customers")
	fmt.Println(n, err)
}

func ExampleNew() { //nolint:testableexamples // it needs a server
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{"redis-0.internal:6379", "redis-1.internal:6379"}, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	store, err := redisvault.New(client, redisvault.WithPrefix("privacy"))
	if err != nil {
		panic(err)
	}
	out, err := store.Insert(context.Background(), []tokenize.Row{{
		Scope: "tenant/customers", Index: tokenize.Index{1, 2, 3}, Token: []byte("tok_a8f1"), Sealed: []byte("sealed elsewhere"),
	}})
	if e, ok := errors.AsType[*redisvault.Error](err); ok && e.Retryable() {
		fmt.Println("again later:", e.Code)
	}
	fmt.Println(len(out), err)
}

func ExampleNew_ring() {
	ring := redis.NewRing(&redis.RingOptions{})
	defer ring.Close()
	_, err := redisvault.New(ring)
	fmt.Println(err)
	// Output: redisvault: the client is neither a *redis.Client nor a *redis.ClusterClient
}

func ExampleWithPrefix() {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	_, err := redisvault.New(client, redisvault.WithPrefix("a{b}"))
	fmt.Println(err)
	// Output: redisvault: a prefix consists of ASCII letters, digits and :._-/
}

func ExampleWithWait() {
	client := redis.NewClient(&redis.Options{ReadTimeout: time.Second})
	defer client.Close()
	_, err := redisvault.New(client, redisvault.WithWait(1, 2*time.Second))
	fmt.Println(err)
	// Output: redisvault: the client's ReadTimeout is not above what replicas are waited for
}

func ExampleWithoutDurabilityCheck() { //nolint:testableexamples // it needs a server
	client := redis.NewClient(&redis.Options{Addr: "managed.internal:6379"})
	defer client.Close()
	store, err := redisvault.New(client, redisvault.WithoutDurabilityCheck())
	if err != nil {
		panic(err)
	}
	fmt.Println(store.Check(context.Background()))
}
