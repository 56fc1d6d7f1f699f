package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// ErrorText returns what the log shows of an error: the whole text of an error of
// the engine, which holds names alone, and of any other its type and what in it
// is known to be a fixed text, such as "connection refused" or the name of an
// error of Kafka. The text of a stranger may quote what it was given.
func ErrorText(err error) string { return new(core).errorText(err) }

func (c *core) errorText(err error) string {
	if err == nil {
		return ""
	}
	if c.safe != nil {
		if text, ok := c.safe(err); ok {
			return text
		}
	}
	if e, ok := errors.AsType[*fieldcrypt.Error](err); ok {
		// The cause may be a stranger's: a KMS, a registry.
		bare := *e
		bare.Err = nil
		if !isTopic(bare.Topic) {
			bare.Topic = "" // a caller's text
		}
		text := bare.Error()
		if cause := knownText(e.Err); cause != "" {
			text += ": " + cause
		}
		return text
	}
	text := typeOf(err)
	if known := knownText(err); known != "" {
		text += ": " + known
	}
	return text
}

// typeOf returns the type of the innermost error: wrappers say nothing.
func typeOf(err error) string {
	for range 16 {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	return fmt.Sprintf("%T", err)
}

// knownText returns the fixed text in err, or "".
func knownText(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*kerr.Error](err); ok {
		return e.Message
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return dnsText(e)
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return e.Error()
	}
	for _, s := range sentinels() {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return certificateText(err)
}

func dnsText(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return "no such host"
	case e.IsTimeout:
		return "name server does not answer"
	default:
		return "name cannot be looked up"
	}
}

// certificateText names what is wrong with a certificate.
func certificateText(err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "certificate has expired or is not yet valid"
		}
		return "certificate is not valid"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate is signed by an unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate is for another host"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the other side does not speak TLS"
	}
	return ""
}

// sentinels are errors whose text is a constant.
func sentinels() []error {
	return []error{
		context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded, net.ErrClosed, http.ErrServerClosed,
		http.ErrHandlerTimeout, http.ErrBodyNotAllowed, io.ErrUnexpectedEOF, io.ErrClosedPipe, io.EOF,
		fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, fs.ErrClosed, errors.ErrUnsupported,
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrInvalid, kms.ErrUnavailable,
	}
}

// frames writes the functions and lines of a stack, without the arguments of
// calls, the innermost first.
func frames(list []frame) stack {
	var b strings.Builder
	for i, f := range list {
		if i > 0 {
			b.WriteString(" < ")
		}
		fmt.Fprintf(&b, "%s:%d", f.function, f.line)
	}
	return stack(b.String())
}
