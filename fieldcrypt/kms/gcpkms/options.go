package gcpkms

import (
	"crypto/x509"
	"slices"
	"time"

	"cloud.google.com/go/auth"
)

// An Option sets up a [KMS].
type Option func(*settings)

type settings struct {
	credentials *auth.Credentials
	principal   string
	delegates   []string
	quota       string
	endpoint    string
	hosts       []string
	timeout     time.Duration

	roots *x509.CertPool // for tests
	iam   string         // for tests
}

// DefaultTimeout is how long one call may take.
const DefaultTimeout = 3 * time.Second

// WithCredentials uses c instead of Application Default Credentials. Its tokens
// need the scope cloudkms or cloud-platform.
func WithCredentials(c *auth.Credentials) Option {
	return func(s *settings) { s.credentials = c }
}

// WithImpersonation takes the tokens of a service account, named by its e-mail
// address, which the credentials may create (roles/iam.serviceAccountTokenCreator).
// Delegates are service accounts in between: each must be allowed to create
// tokens of the next, and the last those of serviceAccount.
func WithImpersonation(serviceAccount string, delegates ...string) Option {
	return func(s *settings) { s.principal, s.delegates = serviceAccount, slices.Clone(delegates) }
}

// WithQuotaProject has the quota and the bill of the calls go to a project of
// which the caller may use services (roles/serviceusage.serviceUsageConsumer).
// The default is what the credentials or GOOGLE_CLOUD_QUOTA_PROJECT name, and
// otherwise the project of the service account.
func WithQuotaProject(project string) Option { return func(s *settings) { s.quota = project } }

// WithEndpoint sends the calls to a URL instead of https://cloudkms.googleapis.com,
// such as that of a regional or a private endpoint. It has a scheme, a host and
// perhaps a port. The host must be one of Cloud KMS (cloudkms… below
// googleapis.com), or of [WithEndpointHosts], or a loopback address, which alone
// may be http.
func WithEndpoint(url string) Option { return func(s *settings) { s.endpoint = url } }

// WithEndpointHosts lists further hosts that [WithEndpoint] may name, exactly as
// it names them. Whatever listens there gets access tokens and data keys: it
// belongs into code, and the endpoint may then come from configuration.
func WithEndpointHosts(hosts ...string) Option {
	return func(s *settings) { s.hosts = append(s.hosts, hosts...) }
}

// WithTimeout sets how long one call may take, tokens included. A call ends
// earlier where its context does. The default is [DefaultTimeout].
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }
