package tokenize_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// A value keeps its token, and equal values can be joined by it.
func ExampleVault_Tokenize() {
	format, err := tokenize.PrefixedFormat("email_")
	if err != nil {
		fmt.Println(err)
		return
	}
	// Programs take a store that lasts, and keys from their key management.
	vault, keys := tokenize.NewVault(vaulttest.NewMemory()), vaulttest.NewKeys("")
	tokens, err := vault.Tokenize(context.Background(), keys, "acme/email", format, [][]byte{
		[]byte("jane@example.org"), []byte("john@example.org"), []byte("jane@example.org"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(format.Valid(tokens[0]), len(tokens[0]))
	fmt.Println(bytes.Equal(tokens[0], tokens[2]), bytes.Equal(tokens[0], tokens[1]))
	// Output:
	// true 32
	// true false
}

// The token of a value that was seen before is at hand without waiting.
func ExampleVault_AppendKnown() {
	vault, keys := tokenize.NewVault(vaulttest.NewMemory()), vaulttest.NewKeys("")
	value := []byte("jane@example.org")
	_, known := vault.AppendKnown(nil, keys, "acme/email", value)
	fmt.Println(known)
	if _, err := vault.Tokenize(context.Background(), keys, "acme/email", tokenize.UUIDFormat(), [][]byte{value}); err != nil {
		fmt.Println(err)
		return
	}
	token, known := vault.AppendKnown(nil, keys, "acme/email", value)
	fmt.Println(known, tokenize.UUIDFormat().Valid(token))
	// Output:
	// false
	// true true
}

// Turning tokens back takes a caller with a purpose, and is written down first.
func ExampleVault_Detokenize() {
	audit, err := tokenize.NewJSONAudit(hideTimes{})
	if err != nil {
		fmt.Println(err)
		return
	}
	gate, err := tokenize.NewGate(audit, func(_ context.Context, r tokenize.Request) error {
		if r.Caller != "support" || r.Action != tokenize.ActionReveal {
			return errors.New("not of the support team")
		}
		return nil
	}, tokenize.WithVolume(100, time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, keys := context.Background(), vaulttest.NewKeys("")
	vault := tokenize.NewVault(vaulttest.NewMemory(), tokenize.WithGate(gate))
	tokens, err := vault.Tokenize(ctx, keys, "acme/email", tokenize.UUIDFormat(), [][]byte{[]byte("jane@example.org")})
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := vault.Detokenize(ctx, keys, tokenize.Access{Caller: "support", Purpose: "ticket 4711"}, "acme/email", tokens)
	fmt.Printf("%s %v\n", values, err)
	_, err = vault.Detokenize(ctx, keys, tokenize.Access{Caller: "sales", Purpose: "newsletter"}, "acme/email", tokens)
	fmt.Println(err)
	// Output:
	// "action":"reveal","granted":true,"caller":"support","purpose":"ticket 4711","scope":"acme/email","count":1}
	// [jane@example.org] <nil>
	// "action":"reveal","granted":false,"reason":"role","caller":"sales","purpose":"newsletter","scope":"acme/email","count":1}
	// tokenize: denied: not of the support team
}

// hideTimes prints lines from the action on: time and id are never the same.
type hideTimes struct{}

func (hideTimes) Write(p []byte) (int, error) {
	_, rest, _ := strings.Cut(string(p), `"action"`)
	_, err := os.Stdout.WriteString(`"action"` + rest)
	return len(p), err
}

// A card number's token keeps length, separators and last digits, and can never
// be a card number.
func ExamplePANFormat() {
	format, err := tokenize.PANFormat(tokenize.PANOptions{KeepLast: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	card := []byte("4111 1111 1111 1111")
	token, err := format.Append(nil, card)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(token[:2]), len(token), string(token[14:]), format.Valid(token), format.Check(token))
	_, err = format.Append(nil, []byte("4111 1111 1111 1112"))
	fmt.Println(err)
	// Output:
	// 99 19  1111 true tokenize: value does not fit its format
	// tokenize: value does not fit its format
}
