package gcpkmstest_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
)

func ExampleServer_Fault() {
	s := gcpkmstest.NewServer()
	defer s.Close()
	kek := "gcp-kms:" + s.AddKey("projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer")
	k, err := gcpkms.New(context.Background(), gcpkms.WithCredentials(gcpkmstest.Credentials("token")), gcpkms.WithEndpoint(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer k.Close()

	s.Fault(gcpkmstest.Fault{Op: "Encrypt", Times: 1, Code: codes.ResourceExhausted, Reason: "RATE_LIMIT_EXCEEDED"})
	for range 2 {
		_, _, err = k.Generate(context.Background(), kek, nil)
		fmt.Println(err)
	}
	fmt.Println(s.Calls("Encrypt"))
	// Output:
	// gcpkms: Encrypt in europe-west3: ResourceExhausted (RATE_LIMIT_EXCEEDED): KMS throttles
	// <nil>
	// 2
}
