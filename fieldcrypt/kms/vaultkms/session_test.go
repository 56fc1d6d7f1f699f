package vaultkms_test

import (
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// inTime returns a KMS that calls a server without a network, for a test with a
// time of its own.
func inTime(t *testing.T, s *kmstest.VaultServer, a vaultkms.Auth) *vaultkms.KMS {
	t.Helper()
	return client(t, s.URL, a, vaultkms.WithTransport(direct{s}))
}

// wait lets time pass.
func wait(d time.Duration) { <-time.After(d) }

const hour = time.Hour

func appRole(t *testing.T, s *kmstest.VaultServer, token kmstest.VaultToken) vaultkms.Auth {
	t.Helper()
	s.AddAppRole("approle", "role", "secret", token)
	return vaultkms.AppRole("role", file(t, "secret\n"))
}

func counts(t *testing.T, s *kmstest.VaultServer, logins, renewals int) {
	t.Helper()
	if l, r := s.Calls("login"), s.Calls("renew-self"); l != logins || r != renewals {
		t.Errorf("%d logins and %d renewals, want %d and %d", l, r, logins, renewals)
	}
}

func TestATokenIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Renewable: true}))
		generate(t, k, plainKey)
		wait(39 * time.Minute)
		generate(t, k, plainKey)
		counts(t, s, 1, 0)
		wait(2 * time.Minute)
		generate(t, k, plainKey)
		counts(t, s, 1, 1)
		wait(41 * time.Minute) // past the end of the first lease
		generate(t, k, plainKey)
		counts(t, s, 1, 2)
	})
}

func TestATokenThatCannotBeRenewedIsReplacedBeforeItEnds(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour}))
		generate(t, k, plainKey)
		wait(41 * time.Minute)
		generate(t, k, plainKey)
		counts(t, s, 2, 0)
	})
}

func TestATokenThatHasEndedIsReplaced(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Renewable: true}))
		generate(t, k, plainKey)
		wait(2 * hour)
		generate(t, k, plainKey)
		counts(t, s, 2, 0)
	})
}

// Each renewal gives less near the maximum lifetime. Without a new login the
// calls would come ever closer to each other.
func TestNearItsMaximumLifetimeATokenIsReplaced(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, MaxTTL: 65 * time.Minute, Renewable: true}))
		for range 24 * 12 {
			generate(t, k, plainKey)
			wait(5 * time.Minute)
		}
		if l, r := s.Calls("login"), s.Calls("renew-self"); l > 26 || l < 20 || r > l {
			t.Errorf("%d logins and %d renewals in a day", l, r)
		}
	})
}

func TestACallGoesOnWithALiveTokenWhileTheServerCannotRenewIt(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Renewable: true}))
		generate(t, k, plainKey)
		s.Fault(kmstest.VaultFault{Op: "renew-self", Status: http.StatusInternalServerError})
		s.Fault(kmstest.VaultFault{Op: "login", Status: http.StatusInternalServerError})
		wait(45 * time.Minute)
		for range 5 {
			generate(t, k, plainKey)
			wait(time.Second)
		}
		counts(t, s, 1, 1) // and not one for each call
		wait(10 * time.Second)
		generate(t, k, plainKey)
		counts(t, s, 1, 2)
		wait(hour)
		err := tryGenerate(t, k, plainKey)
		wants(t, err, kms.ErrUnavailable, "login")
		s.ClearFaults()
		generate(t, k, plainKey)
	})
}

func TestARenewalThatIsRefusedLeadsToALogin(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Renewable: true}))
		generate(t, k, plainKey)
		s.Fault(kmstest.VaultFault{Op: "renew-self", Status: http.StatusForbidden, Errors: []string{"permission denied"}})
		wait(45 * time.Minute)
		generate(t, k, plainKey)
		counts(t, s, 2, 1)
	})
}

func TestATokenThatIsRefusedIsReplacedOnce(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour}))
		generate(t, k, plainKey)
		s.RevokeToken(lastToken(s))
		generate(t, k, plainKey)
		counts(t, s, 2, 0)
	})
}

func lastToken(s *kmstest.VaultServer) string {
	r := s.Requests()
	return r[len(r)-1].Token
}

func TestADenialThatStaysLogsInOnceAndNotForEachCall(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Allow: []string{"transit/encrypt/plain"}}))
		_, wrapped := generate(t, k, plainKey)
		for range 5 {
			_, err := k.Unwrap(t.Context(), plainKey, wrapped, contextOf("acme"))
			wants(t, err, kms.ErrDenied, "permission denied")
		}
		counts(t, s, 2, 0)
		if n := s.Calls("decrypt"); n != 6 {
			t.Errorf("%d calls, want one for each and one with the new token", n)
		}
		// A role that got the right meanwhile has it with its next token.
		wait(2 * time.Minute)
		_, err := k.Unwrap(t.Context(), plainKey, wrapped, contextOf("acme"))
		wants(t, err, kms.ErrDenied, "permission denied")
		counts(t, s, 3, 0)
	})
}

func TestAFirstTokenThatIsRefusedMeansDenied(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Allow: []string{"transit/decrypt/plain"}}))
		wants(t, tryGenerate(t, k, plainKey), kms.ErrDenied, "permission denied")
		counts(t, s, 1, 0)
	})
}

func TestALoginAfterARefusalThatFailsIsTheError(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour}))
		generate(t, k, plainKey)
		s.RevokeToken(lastToken(s))
		s.Fault(kmstest.VaultFault{Op: "login", Times: 1, Status: http.StatusServiceUnavailable})
		wants(t, tryGenerate(t, k, plainKey), kms.ErrUnavailable, "login")
		generate(t, k, plainKey)
	})
}

func TestManyCallsShareOneLogin(t *testing.T) {
	s := server(t)
	s.AddAppRole("approle", "role", "secret", kmstest.VaultToken{TTL: hour})
	k := client(t, s.URL, vaultkms.AppRole("role", file(t, "secret")))
	together := func() {
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if err := tryGenerate(t, k, plainKey); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	together()
	counts(t, s, 1, 0)
	s.RevokeToken(lastToken(s))
	together()
	counts(t, s, 2, 0)
}

func TestClassesOfLogins(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    func(s *kmstest.VaultServer)
		secret string
		class  error
		text   string
	}{
		{"a wrong secret id is denied", func(*kmstest.VaultServer) {}, "wrong", kms.ErrDenied, "login: the credential or the role is refused"},
		{"a mount that is not there is denied", func(s *kmstest.VaultServer) { s.RemoveLogins("approle") }, "secret", kms.ErrDenied, "login: permission denied"},
		{"404 is denied, and says nothing of a KEK", func(s *kmstest.VaultServer) {
			s.Fault(kmstest.VaultFault{Op: "login", Status: http.StatusNotFound})
		}, "secret", kms.ErrDenied, "login"},
		{"a sealed server passes", func(s *kmstest.VaultServer) { s.Seal(true) }, "secret", kms.ErrUnavailable, "login: sealed"},
		{"a rate limit throttles", func(s *kmstest.VaultServer) {
			s.Fault(kmstest.VaultFault{Op: "login", Status: http.StatusTooManyRequests})
		}, "secret", kms.ErrThrottled, "login: rate limit"},
		{"an answer without a token passes", func(s *kmstest.VaultServer) {
			s.Fault(kmstest.VaultFault{Op: "login", Body: []byte(`{"auth":{}}`)})
		}, "secret", kms.ErrUnavailable, "login: answer has no token"},
		{"a token with a line break is none", func(s *kmstest.VaultServer) {
			s.Fault(kmstest.VaultFault{Op: "login", Body: []byte(`{"auth":{"client_token":"a\nb"}}`)})
		}, "secret", kms.ErrUnavailable, "login: answer has no token"},
		{"an empty file passes", func(*kmstest.VaultServer) {}, " \n", kms.ErrUnavailable, "login: the file of the credential has none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t)
			s.AddAppRole("approle", "role", "secret", kmstest.VaultToken{TTL: hour})
			tt.set(s)
			k := client(t, s.URL, vaultkms.AppRole("role", file(t, tt.secret)))
			wants(t, tryGenerate(t, k, plainKey), tt.class, tt.text)
		})
	}
}

func TestCredentialsAreReadForEachLogin(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		s.AddKubernetesRole("k8s", "producer", "first", kmstest.VaultToken{TTL: hour})
		path := file(t, "first")
		k := inTime(t, s, vaultkms.Kubernetes("producer", path).At("k8s"))
		generate(t, k, plainKey)
		s.RemoveLogins("k8s")
		s.AddKubernetesRole("k8s", "producer", "second", kmstest.VaultToken{TTL: hour})
		write(t, path, "second")
		wait(2 * hour)
		generate(t, k, plainKey)
		s.RemoveLogins("k8s")
		s.AddKubernetesRole("k8s", "producer", "third", kmstest.VaultToken{TTL: hour})
		wait(2 * hour)
		wants(t, tryGenerate(t, k, plainKey), kms.ErrDenied, "login")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		wants(t, tryGenerate(t, k, plainKey), kms.ErrUnavailable, "login: the file of the credential has none")
	})
}

func TestAnAppRoleMayBindNoSecretID(t *testing.T) {
	s := server(t)
	s.AddAppRole("approle", "role", "", kmstest.VaultToken{})
	generate(t, client(t, s.URL, vaultkms.AppRole("role", "")), plainKey)
}

func TestAStaticTokenIsRenewedAndNeverReplaced(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		token := s.AddToken(kmstest.VaultToken{TTL: hour, Renewable: true})
		k := inTime(t, s, vaultkms.Token(token))
		generate(t, k, plainKey)
		for range 10 {
			wait(41 * time.Minute)
			generate(t, k, plainKey)
		}
		counts(t, s, 0, 10)
		s.RevokeToken(token)
		for range 3 {
			wants(t, tryGenerate(t, k, plainKey), kms.ErrDenied, "permission denied")
		}
		counts(t, s, 0, 10)
	})
}

func TestAStaticTokenThatMayNotLookItselfUpIsUsed(t *testing.T) {
	s := server(t)
	s.Fault(kmstest.VaultFault{Op: "lookup-self", Status: http.StatusForbidden})
	generate(t, root(t, s), plainKey)
}

func TestAStaticTokenIsNotUsedBlindlyWhileTheServerIsAway(t *testing.T) {
	s := server(t)
	s.Fault(kmstest.VaultFault{Op: "lookup-self", Status: http.StatusServiceUnavailable, Times: 1})
	k := root(t, s)
	wants(t, tryGenerate(t, k, plainKey), kms.ErrUnavailable, "token: sealed")
	generate(t, k, plainKey)
}

func TestATokenFileIsReadForEachCall(t *testing.T) {
	s := server(t)
	first, second := s.AddToken(kmstest.VaultToken{}), s.AddToken(kmstest.VaultToken{})
	path := file(t, first+"\n")
	k := client(t, s.URL, vaultkms.TokenFile(path))
	generate(t, k, plainKey)
	write(t, path, second)
	generate(t, k, plainKey)
	if lastToken(s) != second {
		t.Error("the old token was used")
	}
	// While an agent replaces it, the file may be empty or away.
	write(t, path, "")
	generate(t, k, plainKey)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	generate(t, k, plainKey)
	s.RevokeToken(second)
	wants(t, tryGenerate(t, k, plainKey), kms.ErrDenied, "permission denied")
	counts(t, s, 0, 0)
	if n := s.Calls("lookup-self"); n != 0 {
		t.Errorf("%d lookups of a token that another process looks after", n)
	}
}

// replacing writes another token while a call with the first is under way.
type replacing struct {
	http.RoundTripper

	replace func()
}

func (r replacing) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.RoundTripper.RoundTrip(req)
	r.replace()
	return res, err
}

func TestATokenFileThatChangedDuringACallIsTriedOnce(t *testing.T) {
	s := server(t)
	second := s.AddToken(kmstest.VaultToken{})
	path := file(t, "s.over")
	k := client(t, s.URL, vaultkms.TokenFile(path), vaultkms.WithTransport(replacing{direct{s}, func() { write(t, path, second) }}))
	generate(t, k, plainKey)
	if got := s.Requests()[0].Token; got != "s.over" {
		t.Errorf("began with %q", got)
	}
}

func TestATokenFileThatIsNotThereYetPasses(t *testing.T) {
	s := server(t)
	path := file(t, "")
	k := client(t, s.URL, vaultkms.TokenFile(path))
	wants(t, tryGenerate(t, k, plainKey), kms.ErrUnavailable, "token: the file of the token has none")
	write(t, path, s.RootToken)
	generate(t, k, plainKey)
}

func TestARenewalOfAnotherTokenIsNoRenewal(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		k := inTime(t, s, appRole(t, s, kmstest.VaultToken{TTL: hour, Renewable: true}))
		generate(t, k, plainKey)
		token := lastToken(s)
		s.Fault(kmstest.VaultFault{Op: "renew-self", Body: []byte(`{"auth":{"client_token":"s.other","lease_duration":3600}}`)})
		wait(45 * time.Minute)
		generate(t, k, plainKey)
		if lastToken(s) != token {
			t.Error("a token was used that no login has made")
		}
		// The lease is the one from before.
		wait(20 * time.Minute)
		generate(t, k, plainKey)
		counts(t, s, 2, 1)
		if n := s.Calls("encrypt"); n != 4 {
			t.Errorf("%d calls, and one of them with a token that is over", n)
		}
	})
}

func TestALeaseThatIsAbsurdlyLongDoesNotOverflow(t *testing.T) {
	s := server(t)
	synctest.Test(t, func(t *testing.T) {
		s.AddAppRole("approle", "role", "secret", kmstest.VaultToken{})
		s.Fault(kmstest.VaultFault{Op: "login", Body: []byte(`{"auth":{"client_token":"` + s.RootToken + `","lease_duration":9223372036854775807}}`)})
		k := inTime(t, s, vaultkms.AppRole("role", file(t, "secret")))
		for range 3 {
			generate(t, k, plainKey)
			wait(24 * hour)
		}
		counts(t, s, 1, 0)
	})
}
