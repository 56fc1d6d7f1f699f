package azurekms_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func TestOptionsThatAreWrong(t *testing.T) {
	c := azurekms.WithCredential(&tokens{})
	for name, tt := range map[string]struct {
		vaults []string
		opts   []azurekms.Option
	}{
		"no vault":                         {nil, nil},
		"an empty vault":                   {[]string{""}, nil},
		"a vault of no known cloud":        {[]string{"pii.vault.example.net"}, nil},
		"a domain and no vault":            {[]string{"vault.azure.net"}, nil},
		"a vault below a vault":            {[]string{"a.pii.vault.azure.net"}, nil},
		"a vault in large letters":         {[]string{"PII.vault.azure.net"}, nil},
		"a vault with a port":              {[]string{"pii.vault.azure.net:443"}, nil},
		"a vault that is a URL":            {[]string{"https://pii.vault.azure.net"}, nil},
		"a wildcard":                       {[]string{"*.vault.azure.net"}, nil},
		"a suffix in the middle":           {[]string{"pii.vault.azure.net.evil.example"}, nil},
		"vaults of two clouds":             {[]string{vault, "pii.vault.azure.cn"}, nil},
		"no time":                          {[]string{vault}, []azurekms.Option{azurekms.WithTimeout(0)}},
		"a suffix with a dot in front":     {[]string{vault}, []azurekms.Option{azurekms.WithSuffix(".vault.example.net")}},
		"an AES key in a vault":            {[]string{vault}, []azurekms.Option{azurekms.WithAESKeyWrap(kek)}},
		"an AES key in a vault not listed": {[]string{vault}, []azurekms.Option{azurekms.WithAESKeyWrap("azure-kms:" + hsm + "/keys/x")}},
		"an AES key that is no URI":        {[]string{hsm}, []azurekms.Option{azurekms.WithAESKeyWrap("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := azurekms.New(tt.vaults, append(tt.opts, c)...)
			check(t, "New", err, kms.ErrInvalid)
			if k != nil {
				t.Error("an error and also a KMS")
			}
		})
	}
	_, err := azurekms.New([]string{vault}, azurekms.WithSuffix("vault.example.net"))
	check(t, "a suffix without a credential", err, kms.ErrInvalid)
}

// The default is the chain of the SDK, which calls nobody before a token is
// needed.
func TestTheDefaultCredential(t *testing.T) {
	for _, vaults := range [][]string{{vault, hsm}, {"pii.vault.azure.cn"}, {"pii.vault.usgovcloudapi.net"}} {
		if _, err := azurekms.New(vaults); err != nil {
			t.Errorf("%q: %v", vaults, err)
		}
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "canary")
	_, err := azurekms.New([]string{vault})
	check(t, "a chain that the SDK does not know", err, kms.ErrInvalid)
}

// The client of the caller stays as it was.
func TestTheHTTPClientIsCopied(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	client := s.Client()
	follows := errors.New("the caller's own")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return follows }
	k := open(t, s, azurekms.WithHTTPClient(client))
	generate(t, k, kek)
	if client.CheckRedirect == nil || !errors.Is(client.CheckRedirect(nil, nil), follows) {
		t.Error("the client was changed")
	}
}

// The SDK has a log of its own, that a program or the environment switches on.
func TestTheLogOfTheSDKShowsNothing(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	var lines []string
	azlog.SetListener(func(_ azlog.Event, line string) { lines = append(lines, line) })
	defer azlog.SetListener(nil)
	c := &tokens{server: s}
	k := open(t, s, azurekms.WithCredential(c), azurekms.WithTimeout(time.Minute))
	_, wrapped := generate(t, k, kek)
	s.Fault(kmstest.AzureFault{Op: "unwrapkey", Code: "Forbidden", Status: 403, Message: message})
	each(t.Context(), k, kek, wrapped)
	s.ClearFaults()
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Code: "Unauthorized", Message: message, Challenge: `Bearer authorization="https://login.microsoftonline.com/` + kmstest.AzureTenant + `", resource="https://vault.azure.net", x="canary"`})
	each(t.Context(), k, kek, wrapped)
	all := strings.Join(lines, "\n")
	if len(lines) < 10 {
		t.Fatalf("only %d lines: the log is not on", len(lines))
	}
	for _, secret := range []string{"canary", "Bearer ey", `"value"`} {
		if strings.Contains(all, secret) {
			t.Errorf("the log shows %q:\n%s", secret, all)
		}
	}
}
