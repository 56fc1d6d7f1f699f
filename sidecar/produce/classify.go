package produce

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fate is what is known of a record that failed, apart from its error.
type fate struct {
	// safe says that the record never came into a batch, so that no broker can
	// have it.
	safe bool
	// doubtful says that a request to produce was written while the client had
	// the record, and got no answer. The record may have been in it, and the error
	// may be that of a later attempt.
	doubtful bool
}

// verdict is what an error means for a sender.
type verdict struct {
	outcome Outcome
	code    Code
}

// classify says what an error of the client means. What is not known to be
// outside the topic is [Unknown].
func classify(err error, f fate) *Error {
	var kafka *kerr.Error
	var number int16
	v := verdict{Unknown, CodeUnknown}
	switch {
	case errors.Is(err, kgo.ErrMaxBuffered):
		return fail(CodeOverloaded, Retryable)
	case errors.As(err, &kafka):
		number, v = kafka.Code, ofKafka(kafka)
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries), errors.Is(err, context.Canceled):
		// The client says so only while nothing that was written is unanswered.
		v = verdict{Retryable, CodeKafkaUnavailable}
	}
	if v.outcome == Unknown && f.safe {
		v = verdict{Retryable, CodeKafkaUnavailable}
	}
	if f.doubtful && !f.safe {
		v = verdict{Unknown, CodeUnknown}
	}
	return &Error{Code: v.code, Outcome: v.outcome, Kafka: number}
}

// ofKafka is the table of what brokers answer.
func ofKafka(err *kerr.Error) verdict {
	switch err {
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		return verdict{Rejected, CodeTooLarge}
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException:
		return verdict{Rejected, CodeTopicUnknown}
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed:
		return verdict{Rejected, CodeKafkaDenied}
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
		// Nothing is wrong with the record.
		return verdict{Retryable, CodeKafkaLogin}
	case kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.UnsupportedForMessageFormat, kerr.PolicyViolation:
		return verdict{Rejected, CodeRefused}
	case kerr.CorruptMessage:
		// It was whole when it was written; the next time it may arrive whole.
		return verdict{Retryable, CodeKafkaFailed}
	case kerr.ThrottlingQuotaExceeded:
		return verdict{Retryable, CodeKafkaThrottled}
	case kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend:
		// The leader has the record, and the followers may get it.
		return verdict{Unknown, CodeUnknown}
	case kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch,
		kerr.ProducerFenced, kerr.InvalidProducerIDMapping, kerr.DuplicateSequenceNumber:
		// The broker and the client disagree about what was written before.
		return verdict{Unknown, CodeUnknown}
	case kerr.KafkaStorageError, kerr.UnknownServerError:
		// The broker failed in the middle of it.
		return verdict{Unknown, CodeUnknown}
	}
	if err.Retriable {
		return verdict{Retryable, CodeKafkaUnavailable}
	}
	return verdict{Rejected, CodeKafkaFailed}
}

// ofRequest says what it means that a request that writes nothing failed.
func ofRequest(err error) *Error {
	if kafka, ok := errors.AsType[*kerr.Error](err); ok {
		v := ofKafka(kafka)
		if v.outcome == Unknown {
			v = verdict{Retryable, CodeKafkaUnavailable}
		}
		return &Error{Code: v.code, Outcome: v.outcome, Kafka: kafka.Code}
	}
	var (
		verify *tls.CertificateVerificationError
		alert  tls.AlertError
		host   x509.HostnameError
		hungUp *kgo.ErrFirstReadEOF // as brokers do that expect TLS, or a login
	)
	if errors.As(err, &verify) || errors.As(err, &alert) || errors.As(err, &host) || errors.As(err, &hungUp) {
		return fail(CodeKafkaLogin, Retryable)
	}
	return fail(CodeKafkaUnavailable, Retryable)
}
