package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/sidecar/auth"
)

const config = `
rules:
  - {principals: [billing], operations: [produce, check], topics: ["invoices.*"]}
  - {principals: [shop], operations: [produce], topics: [orders], tenants: [acme, umbrella]}
`

func newAuth() (*auth.Auth, error) {
	c := auth.DefaultConfig()
	if err := yaml.Unmarshal([]byte(config), &c); err != nil {
		return nil, err
	}
	return auth.New(c)
}

func ExampleAuth_Authorize() {
	a, err := newAuth()
	if err != nil {
		fmt.Println(err)
		return
	}
	billing := auth.Principal{Name: "billing", Method: auth.MethodToken}
	fmt.Println(a.Authorize(billing, auth.OpProduce, "invoices.eu"))
	fmt.Println(a.Authorize(billing, auth.OpReveal, "invoices.eu"))
	// Output:
	// <nil>
	// auth: denied: rule
}

// The guard goes to fieldcrypt.WithTenantGuard.
func ExampleTenantGuard() {
	a, err := newAuth()
	if err != nil {
		fmt.Println(err)
		return
	}
	guard := auth.TenantGuard(func() *auth.Auth { return a })
	ctx := auth.NewContext(context.Background(), auth.Principal{Name: "shop", Method: auth.MethodToken})
	fmt.Println(guard(ctx, "orders", "acme"))
	fmt.Println(guard(ctx, "orders", "stark"))
	// Output:
	// <nil>
	// auth: denied: tenant
}

func ExampleMiddleware() {
	a, err := auth.New(auth.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := auth.Middleware(func() *auth.Auth { return a }, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Println(p.Name)
	}))
	for _, from := range []struct{ addr, host string }{
		{"127.0.0.1:1234", "localhost:8082"}, {"192.0.2.1:1234", "localhost:8082"}, {"127.0.0.1:1234", "evil.example:8082"},
	} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr, r.Host = from.addr, from.host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// local
	// 200
	// 401
	// 421
}
