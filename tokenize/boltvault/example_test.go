package boltvault_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/boltvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// Tokens outlive the process that gave them.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "vault")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }() // an example's own
	keys := vaulttest.NewKeys("")            // programs take theirs from a key management service
	token := func() (string, error) {
		store, err := boltvault.Open(filepath.Join(dir, "tokens.db"), boltvault.WithLockWait(time.Second))
		if err != nil {
			return "", err
		}
		tokens, err := tokenize.NewVault(store).Tokenize(context.Background(), keys, "acme/email", tokenize.UUIDFormat(), [][]byte{[]byte("jane@example.org")})
		if err := store.Close(); err != nil {
			return "", err
		}
		if err != nil {
			return "", err
		}
		return string(tokens[0]), nil
	}
	first, err := token()
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := token()
	fmt.Println(first == second, err)
	// Output: true <nil>
}
