package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// A page in a browser of the same host can reach the listeners, and have its own
// name stand for 127.0.0.1. It gets nothing from any of them.
func TestAPageInABrowserIsRefusedByEachSurface(t *testing.T) {
	w := newWorld(t, peoplePolicy, "auth: {allowed_hosts: ['*.pods.example']}\n")
	const message = `{"topic":"people","records":[{"value":"e30="}]}`
	surfaces := map[string]struct{ listener, path, media, body string }{
		"records of version 2": {"rest", "/topics/people", v2JSON, `{"records":[{"value":{}}]}`},
		"records of version 3": {"rest", "/v3/clusters/c/topics/people/records", "application/json", `{"value":{"type":"JSON","data":{}}}`},
		"raw records":          {"rest", "/topics/people/raw", "application/octet-stream", "{}"},
		"Connect":              {"grpc", "/fieldveil.v1.ProduceService/Produce", "application/json", message},
		"gRPC-Web":             {"grpc", "/fieldveil.v1.ProduceService/Produce", "application/grpc-web+json", "\x00\x00\x00\x00" + string(rune(len(message))) + message},
	}
	// What Connect answers is 403: its codes have no other status.
	for _, tt := range []struct {
		name, host, origin string
		rest, rpc          int
	}{
		{"its own name for this host", "evil.example", "", http.StatusMisdirectedRequest, http.StatusForbidden},
		{"the same with its port", "evil.example:8082", "http://evil.example:8082", http.StatusMisdirectedRequest, http.StatusForbidden},
		{"from another site", "localhost", "https://evil.example", http.StatusForbidden, http.StatusForbidden},
		{"from a sandbox", "127.0.0.1", "null", http.StatusForbidden, http.StatusForbidden},
		{"no page, the name of loopback", "localhost", "", http.StatusOK, http.StatusOK},
		{"no page, loopback of IPv6", "[::1]:8082", "", http.StatusOK, http.StatusOK},
		{"no page, a name of the list", "a-1.pods.example", "", http.StatusOK, http.StatusOK},
		{"a page of a name of the list", "localhost", "https://a-1.pods.example", http.StatusOK, http.StatusOK},
	} {
		for surface, s := range surfaces {
			t.Run(surface+": "+tt.name, func(t *testing.T) {
				status, header, body := w.ask(s.listener, s.path, s.media, s.body, tt.host, tt.origin)
				want := tt.rest
				if s.listener == "grpc" {
					want = tt.rpc
				}
				if surface == "gRPC-Web" { // the status of the call is in its trailers
					refused := header.Get("Grpc-Status") == "7" || strings.Contains(strings.ToLower(body), "grpc-status: 7")
					if status != http.StatusOK || refused != (want != http.StatusOK) {
						t.Errorf("%d %v %q", status, header, body)
					}
					return
				}
				if status != want || want != http.StatusOK && (!strings.Contains(body, "for another host") && !strings.Contains(body, "of another origin")) {
					t.Errorf("%d, want %d: %s", status, want, body)
				}
			})
		}
	}
	// Five surfaces, four names: nothing of what was refused is in the topic.
	if n := len(w.records(20)); n != 20 {
		t.Errorf("%d records are in the topic", n)
	}
	if strings.Contains(w.log.String(), "evil") {
		t.Errorf("the log shows what a caller wrote: %s", w.log)
	}
}

// ask posts as a caller that says who he asks for.
func (w *world) ask(listener, path, media, body, host, origin string) (status int, header http.Header, answer string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.addrs[listener]+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Content-Type", media)
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func TestClientsOfGRPCAskUnderTheNamesThatTheyDial(t *testing.T) {
	w := newWorld(t, peoplePolicy, "")
	_, port, err := net.SplitHostPort(w.addrs["grpc"])
	if err != nil {
		t.Fatal(err)
	}
	call := func(t *testing.T, target string, header []string, opts ...grpc.DialOption) error {
		t.Helper()
		cc, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		ctx := metadata.AppendToOutgoingContext(t.Context(), header...)
		_, err = v1.NewProduceServiceClient(cc).Produce(ctx, &v1.ProduceRequest{Topic: "people", Records: []*v1.Record{{Value: []byte("{}")}}})
		return err
	}
	for _, target := range []string{"127.0.0.1:" + port, "dns:///127.0.0.1:" + port, "passthrough:///127.0.0.1:" + port} {
		if err := call(t, target, nil); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	for name, tt := range map[string]struct {
		authority string
		header    []string
		want      codes.Code
	}{
		"the name of loopback":     {"localhost:" + port, nil, codes.OK},
		"loopback of IPv6":         {"[::1]:" + port, nil, codes.OK},
		"a name of somebody else":  {"evil.example:" + port, nil, codes.PermissionDenied},
		"a page of somebody else":  {"localhost", []string{"origin", "http://evil.example"}, codes.PermissionDenied},
		"two origins, of one good": {"localhost", []string{"origin", "http://localhost", "origin", "http://evil.example"}, codes.PermissionDenied},
	} {
		if err := call(t, w.addrs["grpc"], tt.header, grpc.WithAuthority(tt.authority)); status.Code(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAUnixSocketIsAskedUnderAnyName(t *testing.T) {
	s := start(t, func(w *world) {
		w.write("policy.yaml", peoplePolicy)
		w.write("fieldveil.yaml", strings.Replace(w.config(""), "listen: {", "listen: {unix: s, ", 1))
	}, nil)
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "s"))
	}}}
	for _, host := range []string{"localhost", "unix", "anything.example"} {
		res, err := web.Post(fmt.Sprintf("http://%s/topics/people", host), v2JSON, strings.NewReader(`{"records":[{"value":{}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", host, res.StatusCode)
		}
	}
}
