package kms_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

type named struct{ name string }

func (named) Generate(context.Context, string, kms.EncryptionContext) (plain, wrapped []byte, err error) {
	return nil, nil, kms.ErrUnavailable
}

func (named) Unwrap(context.Context, string, []byte, kms.EncryptionContext) ([]byte, error) {
	return nil, kms.ErrUnavailable
}

func (n named) Endpoint(string) string { return n.name }

func TestKEKsOfOneServiceHaveOneEndpoint(t *testing.T) {
	tests := []struct{ name, kek, want string }{
		{"an alias is of its scheme", "aws-kms:alias/customer-pii", "aws-kms"},
		{"an ARN has its Region", "aws-kms:arn:aws:kms:eu-central-1:111122223333:key/1234", "aws-kms:eu-central-1"},
		{"an ARN behind two slashes has its Region", "aws-kms://arn:aws:kms:eu-west-1:111122223333:key/1", "aws-kms:eu-west-1"},
		{"a host stands behind two slashes", "vault:https://vault.example:8200/transit/pii", "vault:vault.example:8200"},
		{"a credential is left out", "vault:https://user:pass@vault.example/transit/pii", "vault:vault.example"},
		{"a resource path has a location", "gcp-kms:projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k", "gcp-kms:europe-west3"},
		{"a resource path behind two slashes has one too", "gcp-kms://projects/p/locations/global/keyRings/r", "gcp-kms:global"},
		{"a file is of its scheme", "local:./dev.kek", "local"},
		{"no scheme", "pii", "none"},
		{"an empty host", "vault:///transit", "vault"},
		{"odd characters are replaced", "x:https://a b\n/k", "x:a_b_"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := kms.Endpoint(nil, tt.kek); got != tt.want {
				t.Errorf("endpoint %q, want %q", got, tt.want)
			}
		})
	}
	if got := kms.Endpoint(nil, "x:https://"+strings.Repeat("h", 10_000)); len(got) != 128 {
		t.Errorf("an endpoint of %d bytes", len(got))
	}
}

func TestAProviderNamesItsEndpointsAlsoInAMux(t *testing.T) {
	m := kms.Mux{"a": named{"Region-1"}, "b": named{""}}
	for kek, want := range map[string]string{"a:x": "Region-1", "b:https://h/x": "b:h", "c:x": "c", "x": "none"} {
		if got := kms.Endpoint(m, kek); got != want {
			t.Errorf("%s: endpoint %q, want %q", kek, got, want)
		}
	}
}

func ExampleEndpoint() {
	fmt.Println(kms.Endpoint(kms.Mux{}, "aws-kms:arn:aws:kms:eu-central-1:111122223333:key/1234"))
	fmt.Println(kms.Endpoint(kms.Mux{}, "vault:https://vault.example:8200/transit/pii"))
	// Output:
	// aws-kms:eu-central-1
	// vault:vault.example:8200
}
