package azurekms_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// FV-57: whatever a server says, no token is asked for but for the vault.
func TestNoChallengeChoosesAnotherAudience(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	login := `authorization="https://login.microsoftonline.com/` + kmstest.AzureTenant + `"`
	for name, challenge := range map[string]string{
		"the audience of another service":      `Bearer ` + login + `, resource="https://management.azure.com"`,
		"the audience of a graph":              `Bearer ` + login + `, scope="https://graph.microsoft.com/.default", resource="https://vault.azure.net"`,
		"the domain above":                     `Bearer ` + login + `, resource="https://azure.net"`,
		"a top level":                          `Bearer ` + login + `, resource="https://net"`,
		"the audience of HSMs":                 `Bearer ` + login + `, resource="https://managedhsm.azure.net"`,
		"no audience":                          `Bearer ` + login,
		"an audience without https":            `Bearer ` + login + `, resource="http://vault.azure.net"`,
		"an audience with a path":              `Bearer ` + login + `, resource="https://vault.azure.net/x"`,
		"an audience twice":                    `Bearer ` + login + `, resource="https://vault.azure.net", resource="https://canary.example"`,
		"an authority that ends early":         `Bearer authorization="x", resource="https://vault.azure.net"`,
		"an authority without a tenant":        `Bearer authorization="https://login.microsoftonline.com", resource="https://vault.azure.net"`,
		"an authority with a path":             `Bearer authorization="https://login.microsoftonline.com/a/b", resource="https://vault.azure.net"`,
		"an authority that is no host":         `Bearer authorization="https://canary/a", resource="https://vault.azure.net"`,
		"no authority":                         `Bearer resource="https://vault.azure.net"`,
		"another scheme":                       `Basic realm="canary"`,
		"no parameters":                        `Bearer`,
		"a parameter without quotes":           `Bearer authorization=x, resource=y`,
		"a parameter that does not end":        `Bearer authorization="https://login.microsoftonline.com/a, resource=`,
		"claims that are none":                 `Bearer ` + login + `, resource="https://vault.azure.net", error="insufficient_claims", claims="canary!"`,
		"a header that is long":                `Bearer ` + login + `, resource="https://vault.azure.net", x="` + strings.Repeat("x", 5000) + `"`,
		"nothing but a scheme in other spaces": "Bearer  ,,  ",
	} {
		t.Run(name, func(t *testing.T) {
			c := &tokens{server: s}
			k := open(t, s, azurekms.WithCredential(c))
			s.Fault(kmstest.AzureFault{Op: "challenge", Code: "Unauthorized", Challenge: challenge})
			defer s.ClearFaults()
			_, _, err := k.Generate(t.Context(), kek, nil)
			check(t, "Generate", err, kms.ErrUnavailable)
			if n := c.asked.Load(); n != 0 {
				t.Errorf("%d tokens, for %q", n, c.scope.Load())
			}
		})
	}
}

func TestTheAudienceIsThatOfTheCloud(t *testing.T) {
	s := start(t, "vault.example.net")
	for host, want := range map[string]string{
		"pii.vault.azure.net":               "https://vault.azure.net/.default",
		"pii.managedhsm.azure.net":          "https://managedhsm.azure.net/.default",
		"pii.vault.azure.cn":                "https://vault.azure.cn/.default",
		"pii.vault.usgovcloudapi.net":       "https://vault.usgovcloudapi.net/.default",
		"pii.managedhsm.azure.cn":           "https://managedhsm.azure.cn/.default",
		"pii.managedhsm.usgovcloudapi.net":  "https://managedhsm.usgovcloudapi.net/.default",
		"with-a-hyphen-1.vault.example.net": "https://vault.example.net/.default",
	} {
		s.AddKey(host, "customers", kmstest.AzureRSA)
		c := &tokens{server: s}
		k, err := azurekms.New([]string{host}, azurekms.WithCredential(c), azurekms.WithHTTPClient(s.Client()), azurekms.WithSuffix("vault.example.net"))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if _, _, err := k.Generate(t.Context(), "azure-kms:"+host+"/keys/customers", nil); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if c.scope.Load() != want || c.asked.Load() != 1 {
			t.Errorf("%s: %d tokens, for %q", host, c.asked.Load(), c.scope.Load())
		}
	}
}

func TestATokenIsUsedUntilItIsRefused(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	c := &tokens{server: s}
	k := open(t, s, azurekms.WithCredential(c))
	_, wrapped := generate(t, k, kek)
	for range 3 {
		for op, err := range each(t.Context(), k, kek, wrapped) {
			if err != nil {
				t.Errorf("%s: %v", op, err)
			}
		}
	}
	if n := c.asked.Load(); n != 1 {
		t.Errorf("%d tokens for one vault", n)
	}
	if n := s.Calls("challenge"); n != 1 {
		t.Errorf("%d calls without a token", n)
	}
	// Somebody has revoked it: the next call fetches another by itself.
	s.RevokeTokens()
	for op, err := range each(t.Context(), k, kek, wrapped) {
		if err != nil {
			t.Errorf("%s after the token was revoked: %v", op, err)
		}
	}
	if n := c.asked.Load(); n != 2 {
		t.Errorf("%d tokens", n)
	}
	// A vault that takes none is not asked for ever.
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Code: "Unauthorized", Message: message, Challenge: `Bearer authorization="https://login.microsoftonline.com/` + kmstest.AzureTenant + `", resource="https://vault.azure.net"`})
	before := s.Calls("wrapkey")
	_, _, err := k.Generate(t.Context(), kek, nil)
	check(t, "Generate", err, kms.ErrDenied)
	if e, ok := errors.AsType[*azurekms.Error](err); !ok || e.Status != 401 || e.Code != "Unauthorized" {
		t.Errorf("%#v", err)
	}
	if n := s.Calls("wrapkey") - before; n != 2 {
		t.Errorf("%d calls, want one with the old token and one with a new", n)
	}
}

// claims is a credential that remembers what it was asked for.
type claims struct {
	tokens

	last policy.TokenRequestOptions
}

func (c *claims) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.last = o
	return c.tokens.GetToken(ctx, o)
}

// Continuous access evaluation: a vault wants a token that says more.
func TestClaimsOfAChallengeReachTheCredential(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	c := &claims{tokens: tokens{server: s}}
	k := open(t, s, azurekms.WithCredential(c))
	generate(t, k, kek)
	want := `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Times: 1, Code: "Unauthorized", Challenge: `Bearer realm="", authorization_uri="https://login.microsoftonline.com/` + kmstest.AzureTenant + `", resource="https://vault.azure.net", error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(want)) + `"`})
	if _, _, err := k.Generate(t.Context(), kek, nil); err != nil {
		t.Fatal(err)
	}
	if c.last.Claims != want || c.last.TenantID != kmstest.AzureTenant || !c.last.EnableCAE {
		t.Errorf("the credential was asked for %+v", c.last)
	}
}

func TestATenantThatIsNotTheConfiguredOne(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	if _, _, err := open(t, s, azurekms.WithTenant(strings.ToUpper(kmstest.AzureTenant))).Generate(t.Context(), kek, nil); err != nil {
		t.Errorf("the configured tenant: %v", err)
	}
	c := &tokens{server: s}
	_, _, err := open(t, s, azurekms.WithCredential(c), azurekms.WithTenant("canary")).Generate(t.Context(), kek, nil)
	check(t, "another tenant", err, kms.ErrDenied)
	if n := c.asked.Load(); n != 0 {
		t.Errorf("%d tokens", n)
	}
}

// secret is a real credential of the SDK, against the Entra of the server.
func secret(t *testing.T, s *kmstest.AzureServer, value string) azcore.TokenCredential {
	t.Helper()
	c, err := azidentity.NewClientSecretCredential(kmstest.AzureTenant, "canary-application", value, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{Transport: s.Client(), Retry: policy.RetryOptions{MaxRetries: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACredentialOfTheSDK(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	s.RequireClient("canary-application", "canary-secret")
	k := open(t, s, azurekms.WithCredential(secret(t, s, "canary-secret")))
	_, wrapped := generate(t, k, kek)
	if _, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil {
		t.Fatal(err)
	}
	if n := s.Calls("token"); n != 1 {
		t.Errorf("%d tokens", n)
	}
	s.RevokeTokens()
	for name, tt := range map[string]struct {
		fault  kmstest.AzureFault
		secret string
		class  error
		code   string
	}{
		"a wrong secret":             {kmstest.AzureFault{Op: "token", Times: -1}, "canary-wrong", kms.ErrDenied, "invalid_client"},
		"a grant that is none":       {kmstest.AzureFault{Op: "token", Code: "invalid_grant", Status: 400, Message: message}, "canary-secret", kms.ErrDenied, "invalid_grant"},
		"an Entra that is busy":      {kmstest.AzureFault{Op: "token", Code: "temporarily_unavailable", Status: 503, Message: message}, "canary-secret", kms.ErrUnavailable, "temporarily_unavailable"},
		"an Entra that throttles":    {kmstest.AzureFault{Op: "token", Status: 429, Body: []byte("canary")}, "canary-secret", kms.ErrThrottled, ""},
		"an Entra that is away":      {kmstest.AzureFault{Op: "token", Cut: true}, "canary-secret", kms.ErrUnavailable, ""},
		"an Entra that says nothing": {kmstest.AzureFault{Op: "token", Status: 400, Body: []byte("{}")}, "canary-secret", kms.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.fault.Times == 0 {
				s.Fault(tt.fault)
			}
			defer s.ClearFaults()
			k := open(t, s, azurekms.WithCredential(secret(t, s, tt.secret)))
			for op, err := range each(t.Context(), k, kek, wrapped) {
				check(t, op, err, tt.class)
				if e, ok := errors.AsType[*azurekms.Error](err); !ok || e.Via != "credentials" || e.Code != tt.code {
					t.Errorf("%s: %#v", op, err)
				}
			}
		})
	}
}

func TestACredentialThatFails(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s, azurekms.WithCredential(&tokens{server: s, fail: errors.New("canary")}))
	_, _, err := k.Generate(t.Context(), kek, nil)
	check(t, "Generate", err, kms.ErrUnavailable)
	if !strings.Contains(err.Error(), "credentials: no answer") {
		t.Errorf("%v", err)
	}
}
