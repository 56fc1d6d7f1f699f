package azurekms

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// New returns a KMS for the keys of these vaults, by their host names such as
// customer-pii.vault.azure.net. No other host is ever called. It makes no call
// itself.
//
// It fails with kms.ErrInvalid without a vault, for a name that is no vault of a
// known cloud, and for options that are wrong or contradict each other.
func New(vaults []string, opts ...Option) (*KMS, error) {
	s := settings{timeout: DefaultTimeout}
	for _, o := range opts {
		o(&s)
	}
	known, err := s.known()
	if err != nil {
		return nil, err
	}
	if len(vaults) == 0 {
		return nil, fmt.Errorf("azurekms: no vault: %w", kms.ErrInvalid)
	}
	if s.timeout <= 0 {
		return nil, fmt.Errorf("azurekms: a timeout of %v: %w", s.timeout, kms.ErrInvalid)
	}
	found := make([]suffix, len(vaults))
	for i, v := range vaults {
		var ok bool
		if found[i], ok = suffixOf(v, known); !ok {
			return nil, fmt.Errorf("azurekms: a vault is named by its host name in small letters, such as NAME.vault.azure.net, and number %d of %d is not of a known cloud: %w", i+1, len(vaults), kms.ErrInvalid)
		}
		if found[i].cloud.ActiveDirectoryAuthorityHost != found[0].cloud.ActiveDirectoryAuthorityHost {
			return nil, fmt.Errorf("azurekms: the vaults are of more than one cloud, and a credential is of one: %w", kms.ErrInvalid)
		}
	}
	k := &KMS{vaults: map[string]*azkeys.Client{}, timeout: s.timeout}
	if k.aes, err = s.aesKeys(vaults, known); err != nil {
		return nil, err
	}
	if s.credential == nil {
		if s.credential, err = defaultCredential(found[0], s.tenant); err != nil {
			return nil, err
		}
	}
	client := s.httpClient()
	for i, v := range vaults {
		if k.vaults[v], err = newClient(v, found[i], &s, client); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// known returns the suffixes of the clouds and those of the options.
func (s *settings) known() ([]suffix, error) {
	known := suffixes()
	for _, d := range s.suffixes {
		if !host(d) {
			return nil, fmt.Errorf("azurekms: a suffix is a domain in small letters, without a dot in front: %w", kms.ErrInvalid)
		}
		if s.credential == nil {
			return nil, fmt.Errorf("azurekms: a cloud that this package does not know needs a credential of its own: %w", kms.ErrInvalid)
		}
		known = append(known, suffix{domain: d, hsm: true})
	}
	return known, nil
}

// aesKeys reads the KEKs that wrap by AES.
func (s *settings) aesKeys(vaults []string, known []suffix) (map[keyRef]bool, error) {
	listed := map[string]bool{}
	for _, v := range vaults {
		listed[v] = true
	}
	keys := map[keyRef]bool{}
	for _, uri := range s.aes {
		r, err := parseURI(uri)
		if err != nil {
			return nil, err
		}
		if at, ok := suffixOf(r.vault, known); !ok || !at.hsm || !listed[r.vault] {
			return nil, fmt.Errorf("azurekms: an AES key is of a Managed HSM that is one of the vaults: %w", kms.ErrInvalid)
		}
		keys[r.key()] = true
	}
	return keys, nil
}

// defaultCredential is the chain of azidentity. It makes no call yet.
func defaultCredential(at suffix, tenant string) (azcore.TokenCredential, error) {
	c, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: azcore.ClientOptions{Cloud: at.cloud}, TenantID: tenant,
	})
	if err != nil {
		// What the SDK says may repeat the environment.
		return nil, fmt.Errorf("azurekms: the environment has no credential that can be set up: %w", kms.ErrInvalid)
	}
	return c, nil
}

// httpClient returns the client for the vaults.
func (s *settings) httpClient() *http.Client {
	c := &http.Client{}
	if s.client != nil {
		*c = *s.client
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		t.MaxResponseHeaderBytes = maxAnswer
		t.TLSHandshakeTimeout = DefaultTimeout
		t.IdleConnTimeout = time.Minute
		c.Transport = t
	}
	c.Jar, c.CheckRedirect = nil, func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// newClient returns what calls one vault.
func newClient(vault string, at suffix, s *settings, client *http.Client) (*azkeys.Client, error) {
	g := guard{vault: vault, resource: "https://" + at.domain, tenant: s.tenant}
	c, err := azkeys.NewClient("https://"+vault, &credential{guard: g, from: s.credential}, &azkeys.ClientOptions{
		ClientOptions: policy.ClientOptions{
			// One try: package datakey repeats calls, within a budget for all.
			Retry:     policy.RetryOptions{MaxRetries: -1},
			Logging:   policy.LogOptions{IncludeBody: false},
			Telemetry: policy.TelemetryOptions{ApplicationID: "fieldveil"},
			Transport: &transport{guard: g, client: client},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("azurekms: a client for a vault cannot be set up: %w", kms.ErrInvalid)
	}
	return c, nil
}
