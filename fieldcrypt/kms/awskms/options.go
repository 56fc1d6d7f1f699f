package awskms

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// An Option sets up a [KMS].
type Option func(*settings)

type settings struct {
	config     *aws.Config
	region     string
	endpoint   string
	hosts      []string
	plaintext  bool
	fips       bool
	replicas   []string
	role       string
	externalID string
	timeout    time.Duration
	former     map[string][]string
}

// DefaultTimeout is how long one call may take in one Region.
const DefaultTimeout = 3 * time.Second

// WithConfig uses cfg instead of the default chain of credentials and
// configuration. Its credentials, Region, HTTP client and base endpoint count;
// its retries and its logging do not.
func WithConfig(cfg aws.Config) Option {
	return func(s *settings) { cfg := cfg.Copy(); s.config = &cfg }
}

// WithRegion sets the Region for KEKs whose URI names none, before what the
// environment and the shared configuration say.
func WithRegion(region string) Option { return func(s *settings) { s.region = region } }

// WithEndpoint sends the calls to a URL, such as that of a VPC endpoint. It must
// be https, or http on a loopback address, and its host one of AWS KMS or of a
// VPC endpoint for it, a loopback address, or one of [WithEndpointHosts]. {region} in its host stands for the
// Region of a call; without it, the endpoint is taken to be of the configured
// Region, and calls to another Region fail with kms.ErrInvalid. A loopback
// address serves every Region.
//
// The same rules hold for an endpoint of the environment (AWS_ENDPOINT_URL,
// AWS_ENDPOINT_URL_KMS) and of [WithConfig].
func WithEndpoint(url string) Option { return func(s *settings) { s.endpoint = url } }

// WithEndpointHosts lists further hosts that an endpoint may have, exactly as it
// names them, {region} included and the port left out. Whatever listens there
// gets data keys: it belongs into code, and the endpoint may then come from
// configuration. An endpoint of STS follows the same rule.
func WithEndpointHosts(hosts ...string) Option {
	return func(s *settings) { s.hosts = append(s.hosts, hosts...) }
}

// WithPlaintextEndpoint allows http to an address that is not loopback. Data
// keys then cross the network in clear. It is for a test network and for
// nothing else.
func WithPlaintextEndpoint() Option { return func(s *settings) { s.plaintext = true } }

// WithFIPS uses the FIPS endpoints of AWS KMS. It does not go together with an
// endpoint of one's own.
func WithFIPS() Option { return func(s *settings) { s.fips = true } }

// WithReplicas names Regions that Unwrap tries in this order while the Region of
// a KEK is unavailable or throttles. It applies to multi-Region keys (mrk-…) and
// to aliases, which must exist in those Regions; an ARN is asked for in its own
// Region first. A replica only ever helps: when none of them opens the key, the
// error is that of the first Region. Generate and ReEncrypt stay in theirs.
func WithReplicas(regions ...string) Option {
	return func(s *settings) { s.replicas = slices.Clone(regions) }
}

// WithAssumeRole takes the credentials of a role, by STS with the credentials of
// the configuration. externalID may be empty.
func WithAssumeRole(arn, externalID string) Option {
	return func(s *settings) { s.role, s.externalID = arn, externalID }
}

// WithTimeout sets how long one call may take in one Region, credentials
// included. A call ends earlier where its context does. The default is
// [DefaultTimeout].
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithFormerKeys names, by their URIs, keys that an alias has stood for. Unwrap
// under the alias tries them in this order when AWS answers that a data key was
// wrapped under another key than the alias now stands for. They must be keys,
// not aliases. Nothing is ever wrapped under them.
func WithFormerKeys(alias string, keys ...string) Option {
	return func(s *settings) {
		if s.former == nil {
			s.former = map[string][]string{}
		}
		s.former[alias] = append(s.former[alias], keys...)
	}
}
