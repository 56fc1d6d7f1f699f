package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An Error says that a call failed. It has what AWS calls the fault and nothing
// else of the answer, since messages of AWS name principals and repeat parts of
// requests.
type Error struct {
	// Op is the call: GenerateDataKey, Decrypt or ReEncrypt.
	Op string
	// Region is where it went.
	Region string
	// Via is what failed before the call could be made, such as "STS AssumeRole"
	// or "credentials". Empty when it was the call itself.
	Via string
	// Code is the name that AWS has for the fault, such as
	// AccessDeniedException. Empty when there was no answer of AWS.
	Code string
	// Status is the HTTP status, and zero when there was no answer.
	Status int
	// RequestID is what AWS wants to know when it is asked about a call.
	RequestID string

	class error // of package kms
	cause error // a fixed text, or the error of the context, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "awskms: %s in %s: ", e.Op, e.Region)
	if e.Via != "" {
		b.WriteString(e.Via + ": ")
	}
	switch {
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	case e.Code != "":
		b.WriteString(e.Code)
	case e.Status != 0:
		fmt.Fprintf(&b, "HTTP status %d", e.Status)
	default:
		b.WriteString("no answer")
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String() + ": " + e.class.Error()
}

// Unwrap returns the class of package kms, and the error of the context when
// that has ended.
func (e *Error) Unwrap() []error {
	if e.cause != nil {
		return []error{e.class, e.cause}
	}
	return []error{e.class}
}

const (
	codeIncorrectKey = "IncorrectKeyException"
	codeUnreadable   = "unreadable"
)

// failure makes an Error of what the SDK returned. ctx is that of the caller,
// not the one with the timeout of the call.
func (k *KMS) failure(ctx context.Context, op, region string, err error) *Error {
	e := &Error{Op: op, Region: region, class: kms.ErrUnavailable}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code = printable(api.ErrorCode())
	}
	var header http.Header
	if res, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.RequestID = printable(res.RequestID)
		if res.ResponseError != nil && res.Response != nil && res.Response.Response != nil {
			e.Status, header = res.HTTPStatusCode(), res.Response.Header
		}
	}
	if _, ok := errors.AsType[*credentialsError](err); ok {
		e.Via = via(err)
	}
	switch {
	case ctx.Err() != nil:
		e.cause = ctx.Err()
	case errors.Is(err, errTooLong):
		e.cause, e.Code = errTooLong, ""
	case errors.Is(err, errRedirected):
		e.cause, e.Code = errRedirected, ""
	case errors.Is(err, context.DeadlineExceeded):
		e.cause = errTimeout
	default:
		e.class = k.classOf(e.Code, e.Status, header)
	}
	return e
}

// errTimeout is not the error of a context: that of the caller goes on.
var errTimeout = errors.New("no answer in time")

// via names the call that was to fetch credentials, or "credentials".
func via(err error) string {
	name := "credentials"
	for outer, ok := errors.AsType[*smithy.OperationError](err); ok; outer, ok = errors.AsType[*smithy.OperationError](outer.Err) {
		if outer.ServiceID != "KMS" {
			name = outer.ServiceID + " " + outer.OperationName
		}
	}
	return name
}

// classOf decides by the code. The status decides where there is no code, or one
// that is not known: what AWS does not name is not held against a KEK.
func (k *KMS) classOf(code string, status int, header http.Header) error {
	switch code {
	case "AccessDeniedException", "AccessDenied", "NotAuthorizedException", "NotAuthorized", "UnauthorizedOperation",
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidClientTokenIdException", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "IncompleteSignature", "IncompleteSignatureException", "OptInRequired",
		"SubscriptionRequiredException", "InvalidIdentityToken", "InvalidIdentityTokenException", "IDPRejectedClaim", "RegionDisabledException":
		return kms.ErrDenied
	case "InvalidSignatureException", "InvalidSignature", "SignatureDoesNotMatch":
		// A clock that is wrong makes wrong signatures, and is no matter of
		// permissions. The SDK learns the difference from the answer.
		if skewed(header) {
			return kms.ErrUnavailable
		}
		return kms.ErrDenied
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "AuthFailure":
		return k.expired()
	case "NotFoundException":
		return kms.ErrNotFound
	case "DisabledException", "KMSInvalidStateException":
		return kms.ErrDisabled
	case "InvalidCiphertextException", codeIncorrectKey, "IncorrectKeyMaterialException", "InvalidGrantTokenException", "InvalidGrantIdException":
		return kms.ErrCorrupt
	case "ThrottlingException", "Throttling", "ThrottledException", "RequestThrottledException", "RequestThrottled",
		"TooManyRequestsException", "TooManyRequests", "RequestLimitExceeded", "LimitExceededException", "SlowDown", "BandwidthLimitExceeded",
		"PriorRequestNotComplete":
		return kms.ErrThrottled
	case "ValidationException", "ValidationError", "InvalidArnException", "InvalidKeyUsageException", "InvalidAliasNameException",
		"UnsupportedOperationException", "UnknownOperationException", "SerializationException", "InvalidParameterValue",
		"InvalidParameterCombination", "MissingParameter", "MissingAction", "InvalidAction", "InvalidQueryParameter",
		"MalformedQueryString", "PackedPolicyTooLarge", "RequestEntityTooLargeException", "DryRunOperationException":
		return kms.ErrInvalid
	}
	if status == http.StatusTooManyRequests {
		return kms.ErrThrottled
	}
	return kms.ErrUnavailable
}

// expired has the credentials fetched anew for the next call. Those that nobody
// renews are refused for good.
func (k *KMS) expired() error {
	if aws.IsCredentialsProvider(k.credentials, credentials.StaticCredentialsProvider{}) {
		return kms.ErrDenied
	}
	if cache, ok := k.credentials.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
	return kms.ErrUnavailable
}

// skewed tells whether the clocks of AWS and of this machine are so far apart
// that a signature is out of date.
func skewed(header http.Header) bool {
	const most = 4 * time.Minute
	theirs, err := http.ParseTime(header.Get("Date"))
	return err == nil && time.Since(theirs).Abs() > most
}

// printable returns s if it looks like a code or an id, and a fixed word
// otherwise: whatever answers at the endpoint chooses it.
func printable(s string) string {
	const most = 64
	if len(s) > most {
		return codeUnreadable
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' && c != '.' {
			return codeUnreadable
		}
	}
	return s
}

// tagged marks the errors of a source of credentials.
type tagged struct{ aws.CredentialsProvider }

// Retrieve returns the credentials.
func (t tagged) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := t.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	return c, nil
}

// IsCredentialsProvider lets the SDK see what is marked.
func (t tagged) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(t.CredentialsProvider, target)
}

// A credentialsError says that there are no credentials for a call.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no credentials" }
func (e *credentialsError) Unwrap() error { return e.err }
