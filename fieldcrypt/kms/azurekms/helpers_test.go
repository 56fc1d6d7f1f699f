package azurekms_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const (
	vault = "pii.vault.azure.net"
	hsm   = "pii.managedhsm.azure.net"
	kek   = "azure-kms:" + vault + "/keys/customers"
	other = "azure-kms:" + vault + "/keys/orders"
)

// tokens is a credential that asks the server.
type tokens struct {
	server *kmstest.AzureServer
	asked  atomic.Int32
	scope  atomic.Value // of the last request
	fail   error
}

func (c *tokens) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked.Add(1)
	c.scope.Store(strings.Join(o.Scopes, " "))
	if c.fail != nil {
		return azcore.AccessToken{}, c.fail
	}
	token, expires := c.server.Token(strings.TrimSuffix(o.Scopes[0], "/.default"))
	return azcore.AccessToken{Token: token, ExpiresOn: expires}, nil
}

func start(t *testing.T, domains ...string) *kmstest.AzureServer {
	t.Helper()
	s := kmstest.NewAzureServer(domains...)
	t.Cleanup(s.Close)
	return s
}

// open returns a KMS that calls s.
func open(t *testing.T, s *kmstest.AzureServer, opts ...azurekms.Option) *azurekms.KMS {
	t.Helper()
	k, err := azurekms.New([]string{vault, hsm}, append([]azurekms.Option{
		azurekms.WithCredential(&tokens{server: s}), azurekms.WithHTTPClient(s.Client()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func generate(t *testing.T, w kms.Wrapper, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := w.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

// check tells whether err is of a class and of no other, and shows nothing that
// is secret.
func check(t *testing.T, what string, err, class error) {
	t.Helper()
	for _, c := range []error{
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
	} {
		if errors.Is(err, c) != errors.Is(class, c) {
			t.Errorf("%s: %v, want the class %v alone", what, err, class)
			return
		}
	}
	if e, ok := errors.AsType[*azurekms.Error](err); ok && (e.Vault == "" || e.Op == "") {
		t.Errorf("%s: %#v names no vault or call", what, e)
	}
	shown := fmt.Sprintf("%v %+v %#v", err, err, err)
	if strings.Contains(strings.ToLower(shown), "canary") {
		t.Errorf("%s: the error shows what it must not: %s", what, shown)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: the error has a line end: %q", what, err)
	}
}

// each calls both operations and gives back their errors.
func each(ctx context.Context, k *azurekms.KMS, kek string, wrapped []byte) map[string]error {
	_, _, generated := k.Generate(ctx, kek, contextOf("acme"))
	_, unwrapped := k.Unwrap(ctx, kek, wrapped, contextOf("acme"))
	return map[string]error{"wrapkey": generated, "unwrapkey": unwrapped}
}

// redirected returns a copy of a transport that reaches another address.
func redirected(t *testing.T, from http.RoundTripper, addr string) *http.Transport {
	t.Helper()
	tr, ok := from.(*http.Transport)
	if !ok {
		t.Fatalf("%T", from)
	}
	tr = tr.Clone()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return tr
}
