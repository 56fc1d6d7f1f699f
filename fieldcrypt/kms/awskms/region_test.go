package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// regions lists where the calls of an operation went.
func regions(s *kmstest.AWSServer, op string) []string {
	var out []string
	for _, r := range s.Requests() {
		if r.Op == op {
			out = append(out, r.Region)
		}
	}
	return out
}

func TestAnARNIsAskedForInItsOwnRegion(t *testing.T) {
	s := start(t)
	arn := s.AddKey(away)
	s.SetAlias(away, "alias/pii", arn)
	k := open(t, s, awskms.WithRegion(third))
	for _, kek := range []string{"aws-kms:" + arn, "aws-kms:arn:aws:kms:" + away + ":" + kmstest.AWSAccount + ":alias/pii"} {
		plain, wrapped := generate(t, k, kek)
		if got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Unwrap: %v", err)
		}
	}
	if got := slices.Concat(regions(s, "GenerateDataKey"), regions(s, "Decrypt")); !slices.Equal(got, []string{away, away, away, away}) {
		t.Errorf("went to %q", got)
	}
	_, _, err := k.Generate(t.Context(), "aws-kms:alias/pii", contextOf("acme"))
	check(t, "an alias in the Region of the option", err, kms.ErrNotFound)
}

func TestReplicasOpenWhileTheFirstRegionCannot(t *testing.T) {
	s := start(t)
	multi := s.AddMultiRegionKey(home, away, third)
	for _, r := range []string{home, away, third} {
		s.SetAlias(r, "alias/pii", multi)
	}
	arn := "aws-kms:arn:aws:kms:" + home + ":" + kmstest.AWSAccount + ":"
	k := open(t, s, awskms.WithReplicas(away, third))
	_, wrapped := generate(t, k, "aws-kms:"+multi)
	var plain []byte
	for fault, f := range map[string]kmstest.AWSFault{
		"cuts": {Cut: true}, "fails": {Code: "KMSInternalException"},
		"throttles": {Code: "ThrottlingException"}, "is overloaded": {Status: 503},
	} {
		for name, kek := range map[string]string{
			"key id": "aws-kms:" + multi, "alias": "aws-kms:alias/pii", "ARN": arn + "key/" + multi, "alias ARN": arn + "alias/pii",
		} {
			t.Run(name+" whose Region "+fault, func(t *testing.T) {
				f.Region = home
				s.Fault(f)
				defer s.ClearFaults()
				before := len(regions(s, "Decrypt"))
				got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
				if err != nil || len(got) != 32 || plain != nil && !bytes.Equal(got, plain) {
					t.Fatalf("Unwrap: %v", err)
				}
				plain = got
				if went := regions(s, "Decrypt")[before:]; !slices.Equal(went, []string{home, away}) {
					t.Errorf("went to %q", went)
				}
				s.Fault(kmstest.AWSFault{Region: away, Code: "AccessDeniedException"})
				if got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("with the second Region denying: %v", err)
				}
				if went := regions(s, "Decrypt")[before+2:]; !slices.Equal(went, []string{home, away, third}) {
					t.Errorf("went to %q", went)
				}
			})
		}
	}
}

func TestASilentRegionLeavesTimeForTheOthers(t *testing.T) {
	s := start(t)
	multi := s.AddMultiRegionKey(home, away)
	plain, wrapped := generate(t, open(t, s), "aws-kms:"+multi)
	k := open(t, s, awskms.WithReplicas(away), awskms.WithTimeout(time.Second))
	s.Fault(kmstest.AWSFault{Region: home, Delay: time.Hour})
	if got, err := k.Unwrap(t.Context(), "aws-kms:"+multi, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("Unwrap: %v", err)
	}
}

func TestReplicasAreNoWayAroundAnAnswer(t *testing.T) {
	s := start(t)
	multi := s.AddMultiRegionKey(home, away)
	kek := "aws-kms:" + multi
	k := open(t, s, awskms.WithReplicas(home, away))
	_, wrapped := generate(t, k, kek)
	s.SetState(home, multi, kmstest.AWSDisabled)
	_, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
	check(t, "disabled in the first Region", err, kms.ErrDisabled)
	s.SetState(home, multi, kmstest.AWSEnabled)
	_, err = k.Unwrap(t.Context(), kek, wrapped, contextOf("other"))
	check(t, "another context", err, kms.ErrCorrupt)
	for code, class := range map[string]error{
		"AccessDeniedException": kms.ErrDenied, "NotFoundException": kms.ErrNotFound, "ValidationException": kms.ErrInvalid,
	} {
		s.Fault(kmstest.AWSFault{Region: home, Code: code})
		_, err = k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
		check(t, code, err, class)
		s.ClearFaults()
	}
	if n := len(regions(s, "Decrypt")); slices.Contains(regions(s, "Decrypt"), away) {
		t.Errorf("the other Region was asked within %d calls", n)
	}
	// Sealing stays at home: what an alias means elsewhere is another matter.
	s.Fault(kmstest.AWSFault{Region: home, Code: "KMSInternalException"})
	_, _, err = k.Generate(t.Context(), kek, contextOf("acme"))
	check(t, "Generate", err, kms.ErrUnavailable)
	_, err = k.ReEncrypt(t.Context(), kek, kek, wrapped, contextOf("acme"))
	check(t, "ReEncrypt", err, kms.ErrUnavailable)
	if went := slices.Concat(regions(s, "GenerateDataKey"), regions(s, "ReEncrypt")); slices.Contains(went, away) {
		t.Errorf("went to %q", went)
	}
}

func TestTheFirstRegionHasTheLastWord(t *testing.T) {
	s := start(t)
	multi := s.AddMultiRegionKey(home, away)
	k := open(t, s, awskms.WithReplicas(away, third))
	_, wrapped := generate(t, k, "aws-kms:"+multi)
	s.Fault(kmstest.AWSFault{Region: home, Code: "ThrottlingException"})
	s.SetState(away, multi, kmstest.AWSPendingDeletion)
	// third has no replica at all.
	_, err := k.Unwrap(t.Context(), "aws-kms:"+multi, wrapped, contextOf("acme"))
	check(t, "Unwrap", err, kms.ErrThrottled)
	if e, ok := errors.AsType[*awskms.Error](err); !ok || e.Region != home {
		t.Errorf("%#v", err)
	}
	if went := regions(s, "Decrypt"); !slices.Equal(went, []string{home, away, third}) {
		t.Errorf("went to %q", went)
	}
}

func TestAKeyOfOneRegionHasNoReplicas(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	k := open(t, s, awskms.WithReplicas(away))
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	s.Fault(kmstest.AWSFault{Region: home, Code: "KMSInternalException"})
	_, err := k.Unwrap(t.Context(), "aws-kms:"+arn, wrapped, contextOf("acme"))
	check(t, "Unwrap", err, kms.ErrUnavailable)
	if went := regions(s, "Decrypt"); !slices.Equal(went, []string{home}) {
		t.Errorf("went to %q", went)
	}
}

func TestNoReplicaIsAskedOnceTheContextHasEnded(t *testing.T) {
	s := start(t)
	multi := s.AddMultiRegionKey(home, away)
	k := open(t, s, awskms.WithReplicas(away))
	_, wrapped := generate(t, k, "aws-kms:"+multi)
	s.Fault(kmstest.AWSFault{Region: home, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go cancelAfter(ctx, cancel, s, "Decrypt", 1)
	_, err := k.Unwrap(ctx, "aws-kms:"+multi, wrapped, contextOf("acme"))
	check(t, "Unwrap", err, kms.ErrUnavailable)
	if went := regions(s, "Decrypt"); !slices.Equal(went, []string{home}) {
		t.Errorf("went to %q", went)
	}
}

func TestAnAliasThatMoved(t *testing.T) {
	s := start(t)
	first, second, third := s.AddKey(home), s.AddKey(home), s.AddKey(home)
	const kek = "aws-kms:alias/pii"
	plain := map[string][]byte{}
	k := open(t, s)
	for _, arn := range []string{first, second, third} {
		s.SetAlias(home, "alias/pii", arn)
		p, w := generate(t, k, kek)
		plain[string(w)] = p
	}
	for wrapped, want := range plain {
		got, err := k.Unwrap(t.Context(), kek, []byte(wrapped), contextOf("acme"))
		if under := s.Requests()[len(s.Requests())-1].KeyID; under != "alias/pii" {
			t.Errorf("asked for %q", under)
		}
		if err == nil && bytes.Equal(got, want) {
			continue // the last one
		}
		check(t, "after the alias moved", err, kms.ErrCorrupt)
	}
	// With the keys named, all of them open, and nothing else does.
	_, id, _ := bytes.Cut([]byte(first), []byte("/"))
	k = open(t, s, awskms.WithFormerKeys(kek, "aws-kms:"+second, "aws-kms:"+string(id)))
	for wrapped, want := range plain {
		if got, err := k.Unwrap(t.Context(), kek, []byte(wrapped), contextOf("acme")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("with the former keys: %v", err)
		}
		_, err := k.Unwrap(t.Context(), kek, []byte(wrapped), contextOf("other"))
		check(t, "with another context", err, kms.ErrCorrupt)
	}
	_, foreign := generate(t, k, "aws-kms:"+s.AddKey(home))
	before := s.Calls("Decrypt")
	_, err := k.Unwrap(t.Context(), kek, foreign, contextOf("acme"))
	check(t, "a key that the alias never stood for", err, kms.ErrCorrupt)
	if n := s.Calls("Decrypt") - before; n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	// The alias decides, unless it says that the key is another one.
	before = s.Calls("Decrypt")
	s.SetAlias(home, "alias/pii", "")
	for wrapped := range plain {
		_, err := k.Unwrap(t.Context(), kek, []byte(wrapped), contextOf("acme"))
		check(t, "without the alias", err, kms.ErrNotFound)
	}
	if n := s.Calls("Decrypt") - before; n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestAFormerKeyThatCannotAnswerKeepsItsClass(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(s *kmstest.AWSServer, first, second string)
		class error
	}{
		{"disabled", func(s *kmstest.AWSServer, first, _ string) { s.SetState(home, first, kmstest.AWSDisabled) }, kms.ErrDisabled},
		{"away", func(s *kmstest.AWSServer, _, _ string) {
			// The call under the alias, then the two under the former keys.
			s.Fault(kmstest.AWSFault{Op: "Decrypt", Times: 1})
			s.Fault(kmstest.AWSFault{Op: "Decrypt", Times: 1, Code: "ThrottlingException"})
		}, kms.ErrThrottled},
		{"denied, and the other away", func(s *kmstest.AWSServer, _, _ string) {
			s.Fault(kmstest.AWSFault{Op: "Decrypt", Times: 1})
			s.Fault(kmstest.AWSFault{Op: "Decrypt", Times: 1, Code: "AccessDeniedException"})
			s.Fault(kmstest.AWSFault{Op: "Decrypt", Times: 1, Code: "KMSInternalException"})
		}, kms.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			first, second, now := s.AddKey(home), s.AddKey(home), s.AddKey(home)
			s.SetAlias(home, "alias/pii", now)
			k := open(t, s, awskms.WithFormerKeys("aws-kms:alias/pii", "aws-kms:"+first, "aws-kms:"+second))
			wrappedUnder := first
			if errors.Is(tt.class, kms.ErrThrottled) {
				wrappedUnder = s.AddKey(home) // opens under none
			}
			_, wrapped := generate(t, k, "aws-kms:"+wrappedUnder)
			tt.fault(s, first, second)
			_, err := k.Unwrap(t.Context(), "aws-kms:alias/pii", wrapped, contextOf("acme"))
			check(t, "Unwrap", err, tt.class)
		})
	}
}
