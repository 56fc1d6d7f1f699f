package gcpkms_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
)

// behindTLS returns the URL of a relay that speaks TLS and stands before s, and
// the authority of its certificate.
func behindTLS(t *testing.T, s *gcpkmstest.Server, cfg *tls.Config) (string, *x509.CertPool) {
	t.Helper()
	// httptest has a certificate for 127.0.0.1 and example.com.
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	cfg.Certificates, cfg.NextProtos = lender.TLS.Certificates, []string{"h2"}
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	relay := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", s.URL[len("http://"):])
		if err != nil {
			return
		}
		wg.Go(func() {
			defer server.Close()
			_, _ = io.Copy(server, client) // either end may be gone
		})
		_, _ = io.Copy(client, server) // as above
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { relay(c) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		s.CutConnections()
		wg.Wait()
	})
	return "https://" + l.Addr().String(), roots
}

func TestCallsGoByTLS(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	url, roots := behindTLS(t, s, &tls.Config{MinVersion: tls.VersionTLS12})
	k := open(t, s, gcpkms.WithEndpoint(url), gcpkms.WithRoots(roots))
	_, wrapped := generate(t, k, kek)
	for op, err := range each(t.Context(), k, kek, wrapped) {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestAServerThatIsNotTrustedGetsNothing(t *testing.T) {
	old := &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}
	for what, cfg := range map[string]*tls.Config{"an unknown authority": {MinVersion: tls.VersionTLS12}, "an old protocol": old} {
		t.Run(what, func(t *testing.T) {
			s := start(t)
			url, roots := behindTLS(t, s, cfg)
			if cfg != old {
				roots = x509.NewCertPool()
			}
			k := open(t, s, gcpkms.WithEndpoint(url), gcpkms.WithRoots(roots), gcpkms.WithTimeout(time.Second))
			for op, err := range each(t.Context(), k, "gcp-kms:"+ring+"one", []byte("w")) {
				check(t, op, err, kms.ErrUnavailable)
			}
			if n := len(s.Requests()); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
