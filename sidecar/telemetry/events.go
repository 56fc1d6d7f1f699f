package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reload counts a reload of the configuration: ok, unchanged, refused for what it
// is, or failed because it could not be read.
func (o *Observer) Reload(outcome string) {
	if o == nil {
		return
	}
	outcome = o.names.reloads.of(outcome)
	o.reloads.WithLabelValues(outcome).Inc()
	switch outcome {
	case "ok":
		o.reloadOK.Set(1)
		o.reloadTime.SetToCurrentTime()
	case "unchanged":
		o.reloadOK.Set(1)
	default:
		o.reloadOK.Set(0)
	}
}

// Config says which configuration is in use: the how manieth of this process, a
// digest of it in hex, and the version of its policy. It stands for the first one
// too, which is no reload.
func (o *Observer) Config(generation uint64, hash, policy string) {
	if o == nil {
		return
	}
	o.generation.Set(float64(generation))
	o.reloadOK.Set(1)
	o.reloadTime.SetToCurrentTime()
	// There is one configuration at a time: the former ones go.
	o.configInfo.Reset()
	o.configInfo.WithLabelValues(labelText(hash)).Set(1)
	o.policyInfo.Reset()
	o.policyInfo.WithLabelValues(labelText(policy)).Set(1)
}

// Ready says what the readiness probe says.
func (o *Observer) Ready(ready bool) {
	if o != nil {
		o.ready.Set(float(ready))
	}
}

// Draining says that the shutdown has begun.
func (o *Observer) Draining() {
	if o != nil {
		o.draining.Set(1)
	}
}

// Drained says how the shutdown ended: completed, timeout or forced, with the
// records that it left without an answer and those that it did not send.
func (o *Observer) Drained(cause string, unknown, unsent int) {
	if o == nil {
		return
	}
	o.drains.WithLabelValues(o.names.drains.of(cause)).Inc()
	o.drainRecords.WithLabelValues("unknown").Add(float64(max(0, unknown)))
	o.drainRecords.WithLabelValues("retryable").Add(float64(max(0, unsent)))
}

// Auth counts a decision about a caller: none, token, basic, jwt, mtls, spiffe or
// unix, and allowed, denied, unauthenticated or failed.
func (o *Observer) Auth(method, decision string) {
	if o == nil {
		return
	}
	o.auths.of(labels{o.names.methods.of(method), o.names.decisions.of(decision)}, func(l labels) prometheus.Counter {
		return o.authTotal.WithLabelValues(l[0], l[1])
	}).Inc()
}

// Audit counts a line of the audit log, by whether it was written. The audit log
// is up or down with it.
func (o *Observer) Audit(written bool) {
	if o == nil {
		return
	}
	if written {
		o.audits.WithLabelValues("written").Inc()
	} else {
		o.audits.WithLabelValues("failed").Inc()
	}
	o.auditUp.WithLabelValues().Set(float(written))
}

// Certificate says until when the certificate of a listener or a client is good.
// Names are those of the configuration, such as "rest" or "kafka".
func (o *Observer) Certificate(name string, notAfter time.Time) {
	if o == nil {
		return
	}
	o.mu.Lock()
	name = o.certificates.of(name)
	o.mu.Unlock()
	o.certificate.WithLabelValues(name).Set(float64(notAfter.Unix()))
}

// Panicked counts a panic that was caught. [Recover] does so by itself. Where is
// one of [Options.Components].
func (o *Observer) Panicked(where string) {
	if o == nil {
		return
	}
	o.panics.WithLabelValues(o.names.components.of(where)).Inc()
}

func float(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
