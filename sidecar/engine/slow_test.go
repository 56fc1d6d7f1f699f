package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// silence is a database that takes connections and says nothing, until the test
// ends. It tells of each connection.
func silence(t *testing.T) (url string, came <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			told <- struct{}{}
			go func() { _, _ = io.Copy(io.Discard, c) }() // ends with the connection
		}
	}()
	t.Cleanup(func() { _ = l.Close() }) // nobody connects any more
	return "postgres://a:b@" + l.Addr().String() + "/c?sslmode=disable", told
}

// otherKeys is a policy that describes its keys otherwise than policy does.
func otherKeys(t *testing.T) *fieldcrypt.Policy {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: people
keys: {pii: {kek: "local:another"}}
topics: [{match: people, format: json, fields: [{path: /mail, action: encrypt, key: pii}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// While the keys of the next engine are being opened, the last record of the one
// before ends without waiting for them, and so does the whole process.
func TestAStoreThatIsSlowHoldsNobodyUp(t *testing.T) {
	base, err := Open(t.Context(), DefaultConfig(), Deps{KMS: newKMS()})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	old, err := base.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	same, err := base.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	url, came := silence(t)
	base.cfg.Persons = &Persons{Store: secret.Value(url), Ledger: secret.Value(url)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other := make(chan error, 1)
	go func() {
		_, err := base.NewEngine(ctx, Rules{Policy: otherKeys(t)})
		other <- err
	}()
	select {
	case <-came:
	case err := <-other:
		t.Fatalf("it did not ask the store: %v", err)
	}
	swap := NewSwap(old)
	swap.Use(func(*Engine) { swap.Close() }) // the last one closes it
	again, err := base.NewEngine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatalf("an engine whose keys are open: %v", err)
	}
	again.Close()
	over, end := context.WithCancel(t.Context())
	end()
	if _, err := base.NewEngine(over, Rules{Policy: otherKeys(t)}); !errors.Is(err, context.Canceled) {
		t.Errorf("one that would have to wait: %v", err)
	}
	same.Close()
	base.Close()
	select {
	case err := <-other:
		t.Errorf("the slow one ended: %v", err)
	default:
	}
	cancel()
	if err := <-other; !errors.Is(err, context.Canceled) {
		t.Errorf("the slow one: %v", err)
	}
}
