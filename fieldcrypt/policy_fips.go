package fieldcrypt

import (
	"crypto/fips140"
	"errors"
	"fmt"
)

// profileFIPS is the one word that the key profile of a policy takes: nothing
// but approved services of the FIPS 140-3 module of the standard library.
const profileFIPS = "fips"

// ErrFIPSMode means that a policy with the FIPS profile, or [WithFIPS], met a
// process whose FIPS 140-3 mode is off: what seals would be the same algorithm
// outside of the module that was validated. Build with GOFIPS140, or run with
// GODEBUG=fips140=on or fips140=only.
var ErrFIPSMode = errors.New("the FIPS profile needs a process in FIPS 140-3 mode: build with GOFIPS140, or set GODEBUG=fips140=on or only")

// WithFIPS asks for the FIPS profile whatever the policy says: a program that
// must not run otherwise does not depend on who writes its policy. [New] then
// fails with [PolicyErrors], each with its place, for whatever the profile
// refuses, and with [ErrFIPSMode] in a process whose FIPS 140-3 mode is off.
// Default: the profile counts where the policy has it.
func WithFIPS() Option { return func(e *Engine) { e.fips = true } }

// WithoutFIPSModule lets an engine with the FIPS profile run in a process whose
// FIPS 140-3 mode is off. What the profile refuses stays refused and the bytes
// are the same, but no validated module makes them: it is for development and
// tests. Default: such a process is refused.
func WithoutFIPSModule() Option { return func(e *Engine) { e.noModule = true } }

// FIPS tells whether the policy has the profile fips.
func (p *Policy) FIPS() bool { return p.doc.fips }

// checkFIPS says why an engine must not run under its policy in this process.
func (e *Engine) checkFIPS(enabled bool) error {
	if !e.fips && !e.policy.doc.fips {
		return nil
	}
	if len(e.policy.doc.unapproved) > 0 {
		r := policyReader{errs: e.policy.doc.unapproved.because(whyProfile)}
		return r.result()
	}
	if !enabled && !e.noModule {
		return fmt.Errorf("fieldcrypt: %w", ErrFIPSMode)
	}
	return nil
}

// moduleEnabled tells whether the FIPS 140-3 mode of this process is on. It
// cannot change while the process runs.
func moduleEnabled() bool { return fips140.Enabled() }

// moduleEnforced tells whether the process refuses what is not approved. Our
// own compositions of approved blocks pass that gate of the module unseen, so
// the policy has to hold them back.
func moduleEnforced() bool { return fips140.Enforced() }

// profile reads the profile of a policy.
func (r *policyReader) profile(m policyMap, doc *policyDoc) {
	if word, ok := m.word("profile", "profile", profileFIPS); ok {
		doc.fips = word == profileFIPS
	}
}

// Why an algorithm is refused. Each names what would do instead.
const (
	whySIV = "AES-SIV (mode: deterministic) is no approved service of the FIPS 140-3 module: use action hash or a token vault for equal values, or mode: random"
	whyFF1 = "FF1 (%s) is no approved service of the FIPS 140-3 module: use a token vault with a format, or mode: random"
)

// unapproved tells which key of a rule makes it something that the FIPS 140-3
// module has no approved service for, and why; both are empty for the rest.
//
// What is left is AES-256-GCM with nonces that the module draws, HMAC-SHA-256,
// SHA-256, HKDF and the random generator of the module, and XAES-256-GCM, which
// is a key derivation in counter mode with CMAC (SP 800-108) on top of the
// module's AES block and seals with its AES-GCM: approved algorithms, of which
// the CMAC is composed here and was not part of the module's validation.
func (a *actionSpec) unapproved() (key, why string) {
	switch a.kind {
	case actEncrypt:
		switch a.mode {
		case modeRandom, modePerson: // of either suite
		case modeDeterministic:
			return "mode", whySIV
		case modeFormat:
			return "mode", fmt.Sprintf(whyFF1, "mode: format-preserving")
		default:
			return "mode", "this mode is not known to be approved"
		}
	case actTokenize:
		if a.vault == "" {
			return "format", fmt.Sprintf(whyFF1, "tokens that are computed with a key")
		}
	case actConstant, actDrop, actGeneralize, actMask, actReject, actObserve: // no cryptography
	case actHash, actShift: // HMAC-SHA-256
	case actUnsafe: // SHA-256
	default:
		return "action", "this action is not known to be approved"
	}
	return "", ""
}

// approved notes a rule that is not. It is no fault yet: that depends on the
// profile and on the process.
func (r *policyReader) approved(m policyMap, a *actionSpec) {
	key, why := a.unapproved()
	if why == "" {
		return
	}
	if !m.has(key) {
		key = "action"
	}
	node := m.values[key]
	if len(r.unapproved) < maxPolicyFaults {
		r.unapproved = append(r.unapproved, &PolicyError{
			File: r.file, Line: node.Line, Column: node.Column, Path: m.at(key), Reason: why,
		})
	}
}

// refuseUnapproved makes faults of what is not approved, where the policy or the
// process asks for it.
func (r *policyReader) refuseUnapproved(fips, enforced bool) {
	switch {
	case fips:
		r.errs = append(r.errs, r.unapproved.because(whyProfile)...)
	case enforced:
		r.errs = append(r.errs, r.unapproved.because(whyEnforced)...)
	}
}

// What makes a fault of what is not approved.
const (
	whyProfile  = "profile fips: "
	whyEnforced = "this process enforces FIPS 140-3 (GODEBUG=fips140=only): "
)

// because returns the faults with a reason before theirs.
func (e PolicyErrors) because(reason string) PolicyErrors {
	out := make(PolicyErrors, len(e))
	for i, err := range e {
		fault := *err
		fault.Reason = reason + err.Reason
		out[i] = &fault
	}
	return out
}
