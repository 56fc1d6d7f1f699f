package azurekms_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// message is what Azure may say, with what an error must not repeat.
const message = "Caller is not authorized. Caller: appid=canary;oid=canary;iss=https://sts.windows.net/canary/\r\nVault: canary"

func TestEveryCodeHasItsClass(t *testing.T) {
	type fault struct {
		status       int
		code, reason string
		wrap, unwrap error
	}
	same := func(status int, code, reason string, class error) fault {
		return fault{status, code, reason, class, class}
	}
	faults := []fault{
		same(403, "Forbidden", "", kms.ErrDenied),
		same(403, "Forbidden", "AccessDenied", kms.ErrDenied),
		same(403, "Forbidden", "ForbiddenByRbac", kms.ErrDenied),
		same(403, "Forbidden", "ForbiddenByFirewall", kms.ErrDenied),
		same(403, "Forbidden", "ForbiddenByPolicy", kms.ErrDenied),
		same(403, "Forbidden", "KeyOperationForbidden", kms.ErrDenied),
		same(403, "Forbidden", "KeyDisabled", kms.ErrDisabled),
		same(403, "Forbidden", "KeyExpired", kms.ErrDisabled),
		same(403, "Forbidden", "KeyNotYetValid", kms.ErrDisabled),
		same(401, "Unauthorized", "", kms.ErrDenied),
		same(404, "KeyNotFound", "", kms.ErrNotFound),
		same(409, "Conflict", "", kms.ErrUnavailable),
		same(409, "ObjectIsBeingDeleted", "", kms.ErrDisabled),
		same(429, "Throttled", "", kms.ErrThrottled),
		same(429, "Throttled", "VaultRequestTypeLimitReached", kms.ErrThrottled),
		same(429, "SomethingNew", "", kms.ErrThrottled),
		same(408, "RequestTimeout", "", kms.ErrUnavailable),
		same(500, "InternalError", "", kms.ErrUnavailable),
		same(503, "ServiceUnavailable", "", kms.ErrUnavailable),
		same(504, "GatewayTimeout", "", kms.ErrUnavailable),
		same(400, "SomethingNew", "", kms.ErrUnavailable),
		{400, "BadParameter", "", kms.ErrInvalid, kms.ErrCorrupt},
		{400, "InvalidParameter", "", kms.ErrInvalid, kms.ErrCorrupt},
		{400, "NotSupported", "", kms.ErrInvalid, kms.ErrCorrupt},
	}
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	for _, f := range faults {
		t.Run(strings.Join([]string{fmt.Sprint(f.status), f.code, f.reason}, " "), func(t *testing.T) {
			s.Fault(kmstest.AzureFault{Status: f.status, Code: f.code, Reason: f.reason, Message: message})
			defer s.ClearFaults()
			before := s.Calls("wrapkey") + s.Calls("unwrapkey")
			for op, err := range each(t.Context(), k, kek, wrapped) {
				want := f.wrap
				if op == "unwrapkey" {
					want = f.unwrap
				}
				check(t, op, err, want)
				e, ok := errors.AsType[*azurekms.Error](err)
				if !ok || e.Op != op || e.Vault != vault || e.Code != f.code || e.Reason != f.reason || e.Status != f.status || len(e.RequestID) != 36 || e.Via != "" {
					t.Errorf("%s: %#v", op, err)
				}
				if !strings.HasPrefix(err.Error(), "azurekms: "+op+" at "+vault+": "+f.code) {
					t.Errorf("%s: %v", op, err)
				}
			}
			calls := 2
			if errors.Is(f.unwrap, kms.ErrNotFound) {
				calls = 3 // a second look for the KEK
			}
			if n := s.Calls("wrapkey") + s.Calls("unwrapkey") - before; n != calls {
				t.Errorf("%d calls, want %d: repeating is the matter of the caller", n, calls)
			}
		})
	}
}

// A status alone says little: a proxy on the way answers 403 and 404 as well.
func TestAnAnswerWithoutACodeIsNotHeldAgainstAKEK(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	for _, status := range []int{301, 302, 307, 308, 400, 401, 403, 404, 407, 410, 500, 502, 202, 204} {
		for _, body := range []string{"", "<html>canary</html>", `{"error":"canary"}`, `{"error":{"code":17}}`, `[]`, `{"error":{"code":"canary\n\u001b[31m"}}`} {
			if status == 204 {
				body = ""
			}
			s.Fault(kmstest.AzureFault{Status: status, Body: []byte(body), Location: "https://evil.example/canary"})
			for op, err := range each(t.Context(), k, kek, wrapped) {
				check(t, fmt.Sprint(op, " ", status, " ", body), err, kms.ErrUnavailable)
			}
			s.ClearFaults()
		}
	}
	for _, r := range s.Requests() {
		if r.Host != vault {
			t.Errorf("a request to %s", r.Host)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	generate(t, k, kek)
	for after, want := range map[time.Duration]time.Duration{0: 0, 10 * time.Second: 10 * time.Second, 10 * time.Hour: time.Hour, 1000 * time.Hour: 0} {
		s.Fault(kmstest.AzureFault{Code: "Throttled", RetryAfter: after, Times: 1})
		_, _, err := k.Generate(t.Context(), kek, nil)
		check(t, "Generate", err, kms.ErrThrottled)
		if e, ok := errors.AsType[*azurekms.Error](err); !ok || e.RetryAfter != want || e.Status != 429 {
			t.Errorf("Retry-After of %v: %#v, want %v", after, err, want)
		}
	}
}

func TestAnswersThatAreWrong(t *testing.T) {
	secret := func(n int) []byte {
		return []byte(`{"kid":"KID","value":"` + strings.Repeat("A", n) + `"}`)
	}
	tests := []struct {
		name  string
		fault kmstest.AzureFault
		class error
	}{
		{"WrapKey without a wrapped secret", kmstest.AzureFault{Op: "wrapkey", Answer: kmstest.EmptyWrapped}, kms.ErrUnavailable},
		{"WrapKey with a huge wrapped secret", kmstest.AzureFault{Op: "wrapkey", Answer: kmstest.HugeWrapped}, kms.ErrUnavailable},
		{"WrapKey with an odd wrapped secret", kmstest.AzureFault{Op: "wrapkey", Body: secret(43)}, kms.ErrUnavailable},
		{"WrapKey under another key", kmstest.AzureFault{Op: "wrapkey", KeyID: "https://" + vault + "/keys/orders/00112233445566778899aabbccddeeff"}, kms.ErrUnavailable},
		{"WrapKey in another vault", kmstest.AzureFault{Op: "wrapkey", KeyID: "https://canary.vault.azure.net/keys/customers/00112233445566778899aabbccddeeff"}, kms.ErrUnavailable},
		{"WrapKey under a key without a version", kmstest.AzureFault{Op: "wrapkey", KeyID: "https://" + vault + "/keys/customers"}, kms.ErrUnavailable},
		{"WrapKey under no URL", kmstest.AzureFault{Op: "wrapkey", KeyID: "canary"}, kms.ErrUnavailable},
		{"WrapKey under a key with a path", kmstest.AzureFault{Op: "wrapkey", KeyID: "https://" + vault + "/keys/customers/../orders"}, kms.ErrUnavailable},
		{"WrapKey that answers nothing", kmstest.AzureFault{Op: "wrapkey", Body: []byte(`{}`)}, kms.ErrUnavailable},
		{"WrapKey that answers null", kmstest.AzureFault{Op: "wrapkey", Body: []byte(`null`)}, kms.ErrUnavailable},
		{"WrapKey that is too long", kmstest.AzureFault{Op: "wrapkey", Oversized: 64 << 10}, kms.ErrUnavailable},
		{"WrapKey that is cut", kmstest.AzureFault{Op: "wrapkey", CutBody: true}, kms.ErrUnavailable},
		{"UnwrapKey without a secret", kmstest.AzureFault{Op: "unwrapkey", Answer: kmstest.EmptyPlain}, kms.ErrCorrupt},
		{"UnwrapKey with a short secret", kmstest.AzureFault{Op: "unwrapkey", Answer: kmstest.ShortPlain}, kms.ErrCorrupt},
		{"UnwrapKey with a long secret", kmstest.AzureFault{Op: "unwrapkey", Answer: kmstest.LongPlain}, kms.ErrCorrupt},
		{"UnwrapKey with another secret", kmstest.AzureFault{Op: "unwrapkey", Answer: kmstest.WrongPlain}, kms.ErrCorrupt},
		{"UnwrapKey with another key", kmstest.AzureFault{Op: "unwrapkey", KeyID: "https://" + vault + "/keys/customers/00112233445566778899aabbccddeeff"}, kms.ErrCorrupt},
		{"UnwrapKey without a key", kmstest.AzureFault{Op: "unwrapkey", Body: secret(43)}, kms.ErrCorrupt},
		{"UnwrapKey that is too long", kmstest.AzureFault{Op: "unwrapkey", Oversized: 64 << 10}, kms.ErrUnavailable},
		{"UnwrapKey that is far too long", kmstest.AzureFault{Op: "unwrapkey", Oversized: 16 << 20}, kms.ErrUnavailable},
		{"UnwrapKey that is cut", kmstest.AzureFault{Op: "unwrapkey", CutBody: true}, kms.ErrUnavailable},
		{"UnwrapKey that is cut before it answers", kmstest.AzureFault{Op: "unwrapkey", Cut: true}, kms.ErrUnavailable},
		{"UnwrapKey that answers a page", kmstest.AzureFault{Op: "unwrapkey", Body: []byte("<html>canary</html>")}, kms.ErrUnavailable},
		{"UnwrapKey that answers no base64", kmstest.AzureFault{Op: "unwrapkey", Body: []byte(`{"kid":"KID","value":"canary!"}`)}, kms.ErrUnavailable},
		{"UnwrapKey that answers another type", kmstest.AzureFault{Op: "unwrapkey", Body: []byte(`{"kid":"KID","value":17}`)}, kms.ErrCorrupt},
		{"UnwrapKey that is refused by a long page", kmstest.AzureFault{Op: "unwrapkey", Status: 502, Body: bytes.Repeat([]byte("canary "), 100_000)}, kms.ErrUnavailable},
		{"UnwrapKey with a code that is none", kmstest.AzureFault{Op: "unwrapkey", Code: "canary\n\x1b[31m"}, kms.ErrUnavailable},
		{"UnwrapKey with a code that is long", kmstest.AzureFault{Op: "unwrapkey", Code: strings.Repeat("canary", 100)}, kms.ErrUnavailable},
	}
	s := start(t)
	version := s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Body = bytes.ReplaceAll(tt.fault.Body, []byte("KID"), []byte("https://"+vault+"/keys/customers/"+version))
			before := s.Calls(tt.fault.Op)
			s.Fault(tt.fault)
			defer s.ClearFaults()
			for op, err := range each(t.Context(), k, kek, wrapped) {
				if op != tt.fault.Op {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
					continue
				}
				check(t, op, err, tt.class)
				if strings.Contains(tt.name, " secret") && tt.fault.Answer != kmstest.WrongPlain && tt.fault.Answer != kmstest.HugeWrapped && !strings.Contains(err.Error(), "answer has no ") {
					t.Errorf("%s: %v does not say what is wrong", op, err)
				}
			}
			if n := s.Calls(tt.fault.Op) - before; n != 1 {
				t.Errorf("%d calls, want 1: repeating is the matter of the caller", n)
			}
		})
	}
}
