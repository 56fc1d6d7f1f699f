package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func TestEveryFormOfAKeyIDPassesTheSuite(t *testing.T) {
	s := start(t)
	one, two := s.AddKey(home), s.AddKey(home)
	s.SetAlias(home, "alias/one", one)
	s.SetAlias(home, "alias/pii/two_2", two)
	multi := s.AddMultiRegionKey(home, away)
	id := func(arn string) string { _, id, _ := strings.Cut(arn, "/"); return id }
	arn := func(resource string) string {
		return "aws-kms:arn:aws:kms:" + home + ":" + kmstest.AWSAccount + ":" + resource
	}
	for name, keks := range map[string][2]string{
		"key ARNs":           {"aws-kms:" + one, "aws-kms:" + two},
		"key ids":            {"aws-kms:" + id(one), "aws-kms:" + id(two)},
		"aliases":            {"aws-kms:alias/one", "aws-kms:alias/pii/two_2"},
		"alias ARNs":         {arn("alias/one"), arn("alias/pii/two_2")},
		"a multi-Region key": {"aws-kms:" + multi, "aws-kms:alias/one"},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
				t.Helper()
				return open(t, s), keks[0], keks[1]
			})
		})
	}
}

func TestARequestSaysWhatItMustAndNothingElse(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	k := open(t, s)
	plain, wrapped := generate(t, k, "aws-kms:"+arn)
	got, err := k.Unwrap(t.Context(), "aws-kms:"+arn, wrapped, contextOf("acme"))
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Unwrap: %v", err)
	}
	requests := s.Requests()
	if len(requests) != 2 {
		t.Fatalf("%d requests", len(requests))
	}
	for i, op := range []string{"GenerateDataKey", "Decrypt"} {
		r := requests[i]
		if r.Op != op || r.Region != home || r.AccessKeyID != accessKey || r.KeyID != arn || !maps.Equal(r.Context, contextOf("acme")) {
			t.Errorf("request %d: %+v", i, r)
		}
	}
}

// The one thing that must never be missing: without a key id AWS takes the key
// that the wrapped key names.
func TestAWrappedKeyNeverChoosesItsKey(t *testing.T) {
	s := start(t)
	mine, theirs := s.AddKey(home), s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, "aws-kms:"+theirs)
	_, err := k.Unwrap(t.Context(), "aws-kms:"+mine, wrapped, contextOf("acme"))
	check(t, "a key of another KEK", err, kms.ErrCorrupt)
	for _, r := range s.Requests() {
		if r.KeyID == "" {
			t.Errorf("%s without a key id", r.Op)
		}
	}
	// A server that opens it all the same is found out.
	plain, wrapped := generate(t, k, "aws-kms:"+mine)
	s.Fault(kmstest.AWSFault{Op: "Decrypt", OtherKey: true})
	got, err := k.Unwrap(t.Context(), "aws-kms:"+mine, wrapped, contextOf("acme"))
	check(t, "an answer that names another key", err, kms.ErrCorrupt)
	if got != nil || len(plain) != 32 {
		t.Errorf("an error and also %d bytes", len(got))
	}
}

func TestAnswersThatAreWrong(t *testing.T) {
	tests := []struct {
		name  string
		fault kmstest.AWSFault
		class error
	}{
		{"GenerateDataKey without a key", kmstest.AWSFault{Op: "GenerateDataKey", Answer: kmstest.EmptyPlain}, kms.ErrUnavailable},
		{"GenerateDataKey with a short key", kmstest.AWSFault{Op: "GenerateDataKey", Answer: kmstest.ShortPlain}, kms.ErrUnavailable},
		{"GenerateDataKey with a long key", kmstest.AWSFault{Op: "GenerateDataKey", Answer: kmstest.LongPlain}, kms.ErrUnavailable},
		{"GenerateDataKey without a wrapped key", kmstest.AWSFault{Op: "GenerateDataKey", Answer: kmstest.EmptyWrapped}, kms.ErrUnavailable},
		{"GenerateDataKey with a wrapped key that AWS would not take", kmstest.AWSFault{Op: "GenerateDataKey", Body: []byte(`{"KeyId":"ARN","Plaintext":"` + strings.Repeat("A", 42) + `A=","CiphertextBlob":"` + strings.Repeat("AAAA", 2049) + `"}`)}, kms.ErrUnavailable},
		{"GenerateDataKey with a huge wrapped key", kmstest.AWSFault{Op: "GenerateDataKey", Answer: kmstest.HugeWrapped}, kms.ErrUnavailable},
		{"GenerateDataKey under another key", kmstest.AWSFault{Op: "GenerateDataKey", OtherKey: true}, kms.ErrUnavailable},
		{"GenerateDataKey that answers nothing", kmstest.AWSFault{Op: "GenerateDataKey", Body: []byte(`{}`)}, kms.ErrUnavailable},
		{"GenerateDataKey that is too long", kmstest.AWSFault{Op: "GenerateDataKey", Oversized: 64 << 10}, kms.ErrUnavailable},
		{"GenerateDataKey that is cut", kmstest.AWSFault{Op: "GenerateDataKey", CutBody: true}, kms.ErrUnavailable},
		{"Decrypt without a key", kmstest.AWSFault{Op: "Decrypt", Answer: kmstest.EmptyPlain}, kms.ErrCorrupt},
		{"Decrypt with a short key", kmstest.AWSFault{Op: "Decrypt", Answer: kmstest.ShortPlain}, kms.ErrCorrupt},
		{"Decrypt with a long key", kmstest.AWSFault{Op: "Decrypt", Answer: kmstest.LongPlain}, kms.ErrCorrupt},
		{"Decrypt that is too long", kmstest.AWSFault{Op: "Decrypt", Oversized: 64 << 10}, kms.ErrUnavailable},
		{"Decrypt that is far too long", kmstest.AWSFault{Op: "Decrypt", Oversized: 16 << 20}, kms.ErrUnavailable},
		{"Decrypt that is cut", kmstest.AWSFault{Op: "Decrypt", CutBody: true}, kms.ErrUnavailable},
		{"Decrypt that is cut before it answers", kmstest.AWSFault{Op: "Decrypt", Cut: true}, kms.ErrUnavailable},
		{"Decrypt that answers a page", kmstest.AWSFault{Op: "Decrypt", Body: []byte("<html>canary</html>")}, kms.ErrUnavailable},
		{"Decrypt that answers no base64", kmstest.AWSFault{Op: "Decrypt", Body: []byte(`{"KeyId":"ARN","Plaintext":"canary!"}`)}, kms.ErrUnavailable},
		{"Decrypt that answers another type", kmstest.AWSFault{Op: "Decrypt", Body: []byte(`{"KeyId":"ARN","Plaintext":17}`)}, kms.ErrUnavailable},
		{"Decrypt that is refused by a page", kmstest.AWSFault{Op: "Decrypt", Status: 403, Body: []byte("<html>canary</html>")}, kms.ErrUnavailable},
		{"Decrypt that is refused by a long page", kmstest.AWSFault{Op: "Decrypt", Status: 502, Body: bytes.Repeat([]byte("canary "), 100_000)}, kms.ErrUnavailable},
		{"Decrypt that is refused with nothing", kmstest.AWSFault{Op: "Decrypt", Status: 500, Body: []byte{}}, kms.ErrUnavailable},
		{"Decrypt with too many requests and no code", kmstest.AWSFault{Op: "Decrypt", Status: 429, Body: []byte{}}, kms.ErrThrottled},
		{"Decrypt with a code that is none", kmstest.AWSFault{Op: "Decrypt", Code: "canary\n\x1b[31m"}, kms.ErrUnavailable},
		{"Decrypt with a code that is long", kmstest.AWSFault{Op: "Decrypt", Code: strings.Repeat("canary", 100)}, kms.ErrUnavailable},
		{"ReEncrypt without a wrapped key", kmstest.AWSFault{Op: "ReEncrypt", Answer: kmstest.EmptyWrapped}, kms.ErrUnavailable},
		{"ReEncrypt with a huge wrapped key", kmstest.AWSFault{Op: "ReEncrypt", Answer: kmstest.HugeWrapped}, kms.ErrUnavailable},
		{"ReEncrypt from another key", kmstest.AWSFault{Op: "ReEncrypt", OtherKey: true}, kms.ErrCorrupt},
	}
	s := start(t)
	arn := s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Body = bytes.ReplaceAll(tt.fault.Body, []byte("ARN"), []byte(arn))
			before := s.Calls(tt.fault.Op)
			s.Fault(tt.fault)
			defer s.ClearFaults()
			for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
				if op != tt.fault.Op {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
					continue
				}
				check(t, op, err, tt.class)
				if _, ok := errors.AsType[*awskms.Error](err); !ok {
					t.Errorf("%s: %T is no Error", op, err)
				}
			}
			if n := s.Calls(tt.fault.Op) - before; n != 1 {
				t.Errorf("%d calls, want 1: repeating is the matter of the caller", n)
			}
		})
	}
}

func TestAWrongDestinationIsFoundOut(t *testing.T) {
	s := start(t)
	from, to := s.AddKey(home), s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, "aws-kms:"+from)
	s.Fault(kmstest.AWSFault{Op: "ReEncrypt", Body: []byte(`{"SourceKeyId":"` + from + `","KeyId":"` + from + `","CiphertextBlob":"AAAA"}`)})
	_, err := k.ReEncrypt(t.Context(), "aws-kms:"+from, "aws-kms:"+to, wrapped, contextOf("acme"))
	check(t, "a destination that was not asked for", err, kms.ErrUnavailable)
}

func TestWhatAWSWouldNotTakeIsNotSent(t *testing.T) {
	s := start(t)
	k, kek := open(t, s), "aws-kms:"+s.AddKey(home)
	for _, n := range []int{0, 6145, 1 << 20} {
		_, err := k.Unwrap(t.Context(), kek, make([]byte, n), contextOf("acme"))
		check(t, "Unwrap", err, kms.ErrCorrupt)
		_, err = k.ReEncrypt(t.Context(), kek, kek, make([]byte, n), contextOf("acme"))
		check(t, "ReEncrypt", err, kms.ErrCorrupt)
	}
	long := kms.EncryptionContext{"a": strings.Repeat("a", 4096)}
	_, _, err := k.Generate(t.Context(), kek, long)
	check(t, "Generate", err, kms.ErrInvalid)
	_, err = k.Unwrap(t.Context(), kek, []byte("w"), long)
	check(t, "Unwrap", err, kms.ErrInvalid)
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestReEncrypt(t *testing.T) {
	s := start(t)
	old, next := s.AddKey(home), s.AddKey(home)
	s.SetAlias(home, "alias/pii", next)
	k := open(t, s)
	plain, wrapped := generate(t, k, "aws-kms:"+old)
	keep := bytes.Clone(wrapped)
	again, err := k.ReEncrypt(t.Context(), "aws-kms:"+old, "aws-kms:alias/pii", wrapped, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wrapped, keep) {
		t.Error("ReEncrypt changed what it was given")
	}
	if got, err := k.Unwrap(t.Context(), "aws-kms:"+next, again, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("under the new KEK: %v", err)
	}
	_, err = k.Unwrap(t.Context(), "aws-kms:"+old, again, contextOf("acme"))
	check(t, "under the old KEK", err, kms.ErrCorrupt)
	for what, call := range map[string]func() ([]byte, error){
		"another source": func() ([]byte, error) {
			return k.ReEncrypt(t.Context(), "aws-kms:"+next, "aws-kms:"+old, wrapped, contextOf("acme"))
		},
		"another context": func() ([]byte, error) {
			return k.ReEncrypt(t.Context(), "aws-kms:"+old, "aws-kms:"+next, wrapped, contextOf("other"))
		},
	} {
		got, err := call()
		check(t, what, err, kms.ErrCorrupt)
		if got != nil {
			t.Errorf("%s: an error and also %d bytes", what, len(got))
		}
	}
	_, err = k.ReEncrypt(t.Context(), "aws-kms:"+old, "aws-kms:"+s.AddKey(away), wrapped, contextOf("acme"))
	check(t, "a key of another Region", err, kms.ErrInvalid)
	for _, uri := range []string{"", "other:x", "aws-kms:alias/"} {
		_, err = k.ReEncrypt(t.Context(), uri, "aws-kms:"+next, wrapped, contextOf("acme"))
		check(t, "from "+uri, err, kms.ErrInvalid)
		_, err = k.ReEncrypt(t.Context(), "aws-kms:"+old, uri, wrapped, contextOf("acme"))
		check(t, "to "+uri, err, kms.ErrInvalid)
	}
	multi := s.AddMultiRegionKey(home, away)
	plain, wrapped = generate(t, k, "aws-kms:"+multi)
	there := "aws-kms:" + s.AddKey(away)
	if again, err = k.ReEncrypt(t.Context(), "aws-kms:"+multi, there, wrapped, contextOf("acme")); err != nil {
		t.Fatalf("from a multi-Region key: %v", err)
	}
	if got, err := k.Unwrap(t.Context(), there, again, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("under the KEK of the other Region: %v", err)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	s := start(t)
	kek := "aws-kms:" + s.AddKey(home)
	k := open(t, s, awskms.WithTimeout(time.Minute))
	_, wrapped := generate(t, k, kek)
	s.Fault(kmstest.AWSFault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := k.Unwrap(ctx, kek, wrapped, contextOf("acme"))
	check(t, "Unwrap", err, kms.ErrUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Unwrap: %v, want the error of the context as well", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go cancelAfter(ctx, stop, s, "GenerateDataKey", 2)
	_, _, err = k.Generate(ctx, kek, contextOf("acme"))
	check(t, "Generate", err, kms.ErrUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Generate: %v, want the error of the context as well", err)
	}
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	s := start(t)
	kek := "aws-kms:" + s.AddKey(home)
	_, wrapped := generate(t, open(t, s), kek)
	k := open(t, s, awskms.WithTimeout(20*time.Millisecond))
	s.Fault(kmstest.AWSFault{Delay: time.Hour})
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v looks as if the context of the caller had ended", op, err)
		}
		if !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestAServerThatIsAway(t *testing.T) {
	s := kmstest.NewAWSServer()
	kek := "aws-kms:" + s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	s.Close()
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
	}
}
