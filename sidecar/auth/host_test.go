package auth

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhoShowsNoCredentialAsksForThisHost(t *testing.T) {
	own := &net.TCPAddr{IP: net.ParseIP("192.0.2.5"), Port: 8082}
	names := []string{"Sidecar.example.org", "*.pods.example.org", "2001:db8::7"}
	for name, tt := range map[string]struct {
		host   string
		origin []string
		want   error
	}{
		"loopback":                                 {host: "127.0.0.1:8082"},
		"loopback without a port":                  {host: "127.0.0.1"},
		"another address of loopback":              {host: "127.8.9.10:1"},
		"loopback of IPv6":                         {host: "[::1]:9095"},
		"loopback of IPv6 without a port":          {host: "[::1]"},
		"loopback of IPv4 in IPv6":                 {host: "[::ffff:127.0.0.1]:8082"},
		"the name of loopback":                     {host: "localhost:8082"},
		"the same in capitals":                     {host: "LOCALHOST"},
		"the same with the dot of the root":        {host: "localhost.:8082"},
		"the address of the listener":              {host: "192.0.2.5:8082"},
		"a name of the list":                       {host: "sidecar.example.org:8082"},
		"a name of a pattern":                      {host: "a-1.pods.example.org"},
		"an address of the list":                   {host: "[2001:db8::7]:8082"},
		"a name of somebody else":                  {host: "evil.example:8082", want: ErrHost},
		"a name that begins like one of the list":  {host: "sidecar.example.org.evil.example", want: ErrHost},
		"a name that ends like one of the list":    {host: "evilsidecar.example.org", want: ErrHost},
		"a name that begins like loopback":         {host: "localhost.evil.example", want: ErrHost},
		"a name that looks like loopback":          {host: "127.0.0.1.evil.example", want: ErrHost},
		"an address that is not this one":          {host: "192.0.2.6:8082", want: ErrHost},
		"all addresses":                            {host: "0.0.0.0:8082", want: ErrHost},
		"a number that browsers take for loopback": {host: "2130706433", want: ErrHost},
		"none":                       {host: "", want: ErrHost},
		"a port alone":               {host: ":8082", want: ErrHost},
		"brackets that do not close": {host: "[::1", want: nil},
		"two ports":                  {host: "localhost:1:2", want: ErrHost},
		"a user before it":           {host: "x@localhost", want: ErrHost},

		"the origin is the host":                  {host: "localhost:8082", origin: []string{"http://localhost:8082"}},
		"the same in capitals, with a dot":        {host: "localhost:8082", origin: []string{"http://LOCALHOST.:8082"}},
		"the same with the port of http":          {host: "localhost", origin: []string{"http://localhost"}},
		"the same with the port written out":      {host: "localhost:443", origin: []string{"https://localhost"}},
		"an origin of the list":                   {host: "localhost:8082", origin: []string{"https://sidecar.example.org"}},
		"an origin of the list on another port":   {host: "localhost:8082", origin: []string{"https://sidecar.example.org:3000"}},
		"a page of somebody else":                 {host: "127.0.0.1:8082", origin: []string{"https://evil.example"}, want: ErrOrigin},
		"a page of another server of this host":   {host: "127.0.0.1:8082", origin: []string{"http://127.0.0.1:3000"}, want: ErrOrigin},
		"a page of loopback under another name":   {host: "127.0.0.1:8082", origin: []string{"http://localhost:8082"}, want: ErrOrigin},
		"a page in a sandbox, or of a file":       {host: "localhost:8082", origin: []string{"null"}, want: ErrOrigin},
		"an empty origin":                         {host: "localhost:8082", origin: []string{""}, want: ErrOrigin},
		"two origins, of one good":                {host: "localhost", origin: []string{"http://localhost", "http://evil.example"}, want: ErrOrigin},
		"two in one":                              {host: "localhost", origin: []string{"http://localhost http://evil.example"}, want: ErrOrigin},
		"a page of an extension":                  {host: "localhost", origin: []string{"chrome-extension://localhost"}, want: ErrOrigin},
		"an origin with a user":                   {host: "localhost", origin: []string{"http://localhost@evil.example"}, want: ErrOrigin},
		"an origin with a path":                   {host: "localhost", origin: []string{"http://localhost/"}, want: ErrOrigin},
		"another host, and its page":              {host: "evil.example", origin: []string{"http://evil.example"}, want: ErrHost},
		"another host, and a page of this one":    {host: "evil.example", origin: []string{"http://localhost"}, want: ErrHost},
		"a name that looks like one of the list":  {host: "localhost", origin: []string{"http://sidecar.example.org.evil.example"}, want: ErrOrigin},
		"an origin with the name in its password": {host: "localhost", origin: []string{"http://a:sidecar.example.org@evil.example"}, want: ErrOrigin},
	} {
		t.Run(name, func(t *testing.T) {
			err := Target{Host: tt.host, Origin: tt.origin, Local: own}.Check(names)
			if e, ok := errors.AsType[*Error](err); !errors.Is(err, tt.want) || ok != (tt.want != nil) {
				t.Errorf("%v, %v, want %v", err, e, tt.want)
			}
		})
	}
}

// Whoever shows a credential has said who he is: no page in a browser has one.
func TestACredentialCountsUnderAnyName(t *testing.T) {
	a := mustNew(t, Config{Tokens: []TokenSource{{Principal: "billing", File: write(t, t.TempDir()+"/t", secretA)}}})
	elsewhere := Target{Host: "gateway.example.org", Origin: []string{"https://app.example.org"}}
	p, err := a.Authenticate(t.Context(), Request{Authorization: "Bearer " + secretA, Remote: loopback(), Target: elsewhere})
	if err != nil || p.Name != "billing" {
		t.Errorf("%q, %v", p.Name, err)
	}
	_, err = a.Authenticate(t.Context(), Request{Remote: loopback(), Target: elsewhere})
	refused(t, "nobody", err, ErrUnauthenticated, ReasonNone)
}

func TestARequestForAnotherHostIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	h := mustNew(t, Config{}).HTTPMiddleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it went through") }))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://evil.example/topics/t", unread{t})
	r.RemoteAddr = "127.0.0.1:99"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("status %d", w.Code)
	}
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("unread")
}

func TestListsOfHosts(t *testing.T) {
	for _, good := range [][]string{nil, {"a"}, {"*"}, {"*.Example.org", "10.0.0.1", "::1", "a_b-c.d"}} {
		if err := CheckAllowedHosts(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a:8082", "http://a", "a/b", "[::1]", "a b", "é"} {
		if CheckAllowedHosts([]string{"good", bad}) == nil {
			t.Errorf("%q was taken", bad)
		}
		c := Config{AllowedHosts: []string{bad}}
		if c.Validate() == nil {
			t.Errorf("%q was taken in a configuration", bad)
		}
	}
}

// Whatever a request says, it gets in by what stands in it and by no more: a name
// that is let in is loopback, the own address, or in the list.
func FuzzTarget(f *testing.F) {
	for _, host := range []string{"localhost:1", "[::1]:2", "127.0.0.1", "[::ffff:127.0.0.1]", "a.example", "", "[", "::1", "fe80::1%lo", "localhost."} {
		f.Add(host, "http://"+host)
	}
	f.Fuzz(func(t *testing.T, host, origin string) {
		bare := Target{Host: host}.Check(nil)
		if with := (Target{Host: host, Origin: []string{origin}}).Check(nil); with == nil && bare != nil {
			t.Errorf("an origin %q let %q in", origin, host)
		}
		if bare == nil {
			name, _, _ := strings.Cut(hostOf(host), "%")
			if ip := net.ParseIP(name); name != "localhost" && (ip == nil || !ip.IsLoopback()) {
				t.Errorf("%q was let in", host)
			}
		}
	})
}
