package gcpkms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
)

const customer = "projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer"

// Against Google leave WithCredentials and WithEndpoint out.
func ExampleNew() {
	s := gcpkmstest.NewServer() // stands for Cloud KMS
	defer s.Close()
	s.AddKey(customer)

	k, err := gcpkms.New(context.Background(),
		gcpkms.WithCredentials(gcpkmstest.Credentials("token")),
		gcpkms.WithEndpoint(s.URL),
		gcpkms.WithTimeout(2*time.Second),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer k.Close()
	w := kms.Mux{gcpkms.Scheme: k}
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := w.Generate(context.Background(), "gcp-kms:"+customer, ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := w.Unwrap(context.Background(), "gcp-kms:"+customer, wrapped, ec)
	fmt.Println(bytes.Equal(again, plain), err)
	// Output: true <nil>
}

func ExampleError() {
	s := gcpkmstest.NewServer()
	defer s.Close()
	s.SetState(s.AddKey(customer), 1, gcpkmstest.Disabled)

	k, err := gcpkms.New(context.Background(), gcpkms.WithCredentials(gcpkmstest.Credentials("token")), gcpkms.WithEndpoint(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer k.Close()
	_, _, err = k.Generate(context.Background(), "gcp-kms:"+customer, nil)
	fmt.Println(err)
	e, ok := errors.AsType[*gcpkms.Error](err)
	fmt.Println(errors.Is(err, kms.ErrDisabled), ok && e.Code == "FailedPrecondition", kms.Retryable(err))
	// Output:
	// gcpkms: Encrypt in europe-west3: FailedPrecondition: KEK disabled
	// true true false
}

func ExampleWithImpersonation() {
	k, err := gcpkms.New(context.Background(),
		gcpkms.WithCredentials(gcpkmstest.Credentials("token")),
		gcpkms.WithImpersonation("sealer@my-project.iam.gserviceaccount.com"),
		gcpkms.WithQuotaProject("my-project"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(k.Close())
	// Output: <nil>
}

func ExampleWithEndpointHosts() {
	credentials := gcpkms.WithCredentials(gcpkmstest.Credentials("token"))
	const url = "https://kms.internal.example" // from configuration
	_, err := gcpkms.New(context.Background(), credentials, gcpkms.WithEndpoint(url))
	fmt.Println(err)
	k, err := gcpkms.New(context.Background(), credentials, gcpkms.WithEndpoint(url), gcpkms.WithEndpointHosts("kms.internal.example"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(k.Close())
	// Output:
	// gcpkms: the endpoint is of a host that is not allowed, see WithEndpointHosts: invalid KMS request
	// <nil>
}

func ExampleKMS_Unwrap() {
	s := gcpkmstest.NewServer()
	defer s.Close()
	s.AddKey(customer)

	k, err := gcpkms.New(context.Background(), gcpkms.WithCredentials(gcpkmstest.Credentials("token")), gcpkms.WithEndpoint(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer k.Close()
	_, wrapped, err := k.Generate(context.Background(), "gcp-kms:"+customer, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Rotate(customer) // the old version goes on opening
	plain, err := k.Unwrap(context.Background(), "gcp-kms:"+customer, wrapped, nil)
	fmt.Println(len(plain), err)
	// Output: 32 <nil>
}
