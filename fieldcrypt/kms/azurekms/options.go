package azurekms

import (
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// An Option sets up a [KMS].
type Option func(*settings)

type settings struct {
	credential azcore.TokenCredential
	client     *http.Client
	tenant     string
	timeout    time.Duration
	aes        []string
	suffixes   []string
}

// DefaultTimeout is how long one call may take, tokens included.
const DefaultTimeout = 5 * time.Second

// WithCredential takes the tokens from c. The default is the chain of azidentity,
// DefaultAzureCredential, for the cloud of the vaults: environment, workload
// identity, managed identity, developer tools. In production set
// AZURE_TOKEN_CREDENTIALS to the one that is meant, or give it here.
func WithCredential(c azcore.TokenCredential) Option {
	return func(s *settings) { s.credential = c }
}

// WithTenant refuses to ask for a token in any other tenant than this one, by its
// id, whatever a vault says. The default leaves it to the credential which tenants
// it serves.
func WithTenant(id string) Option { return func(s *settings) { s.tenant = id } }

// WithTimeout sets how long one call may take, tokens included. A call ends
// earlier where its context does. The default is [DefaultTimeout].
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithHTTPClient calls the vaults through a copy of c, such as one with a proxy or
// its own roots. Redirects are not followed and cookies are not kept. The default
// is a client that takes TLS 1.2 or newer.
func WithHTTPClient(c *http.Client) Option { return func(s *settings) { s.client = c } }

// WithAESKeyWrap names, by their URIs, KEKs of Managed HSM that are AES keys of
// 256 bits. New data keys are wrapped with A256KW under them, instead of with
// RSA-OAEP-256. What a wrapped key was made with it says itself.
func WithAESKeyWrap(keks ...string) Option {
	return func(s *settings) { s.aes = append(s.aes, keks...) }
}

// WithSuffix adds the domains of vaults in a cloud that this package does not know
// by itself, such as vault.example.net. Tokens for their vaults have the domain as
// audience. It needs [WithCredential]. It knows those of Azure, of Azure
// operated by 21Vianet and of Azure Government.
func WithSuffix(domains ...string) Option {
	return func(s *settings) { s.suffixes = slices.Concat(s.suffixes, domains) }
}
