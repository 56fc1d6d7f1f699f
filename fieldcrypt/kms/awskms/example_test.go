package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// static are credentials for an AWSServer; against AWS leave WithConfig out.
func static() aws.Config {
	return aws.Config{Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret of an example", "")}
}

func ExampleNew() {
	s := kmstest.NewAWSServer() // stands for AWS
	defer s.Close()
	s.SetAlias("eu-central-1", "alias/customer-pii", s.AddKey("eu-central-1"))

	k, err := awskms.New(context.Background(),
		awskms.WithConfig(static()),
		awskms.WithEndpoint(s.URL),
		awskms.WithTimeout(2*time.Second),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := kms.Mux{awskms.Scheme: k}
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := w.Generate(context.Background(), "aws-kms:alias/customer-pii", ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := w.Unwrap(context.Background(), "aws-kms:alias/customer-pii", wrapped, ec)
	fmt.Println(bytes.Equal(again, plain), err)
	// Output: true <nil>
}

func ExampleError() {
	s := kmstest.NewAWSServer()
	defer s.Close()
	arn := s.AddKey("eu-central-1")
	s.SetState("eu-central-1", arn, kmstest.AWSDisabled)

	k, err := awskms.New(context.Background(), awskms.WithConfig(static()), awskms.WithEndpoint(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = k.Generate(context.Background(), "aws-kms:"+arn, nil)
	e, ok := errors.AsType[*awskms.Error](err)
	fmt.Println(errors.Is(err, kms.ErrDisabled), ok && e.Code == "DisabledException", kms.Retryable(err))
	// Output: true true false
}

func ExampleWithReplicas() {
	s := kmstest.NewAWSServer()
	defer s.Close()
	kek := "aws-kms:" + s.AddMultiRegionKey("eu-central-1", "eu-west-1")

	k, err := awskms.New(context.Background(), awskms.WithConfig(static()), awskms.WithEndpoint(s.URL), awskms.WithReplicas("eu-west-1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, wrapped, err := k.Generate(context.Background(), kek, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Fault(kmstest.AWSFault{Region: "eu-central-1", Code: "KMSInternalException"})
	plain, err := k.Unwrap(context.Background(), kek, wrapped, nil)
	fmt.Println(len(plain), err)
	// Output: 32 <nil>
}

func ExampleWithFormerKeys() {
	s := kmstest.NewAWSServer()
	defer s.Close()
	old, next := s.AddKey("eu-central-1"), s.AddKey("eu-central-1")
	s.SetAlias("eu-central-1", "alias/customer-pii", old)

	const kek = "aws-kms:alias/customer-pii"
	k, err := awskms.New(context.Background(), awskms.WithConfig(static()), awskms.WithEndpoint(s.URL), awskms.WithFormerKeys(kek, "aws-kms:"+old))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, wrapped, err := k.Generate(context.Background(), kek, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.SetAlias("eu-central-1", "alias/customer-pii", next)
	plain, err := k.Unwrap(context.Background(), kek, wrapped, nil)
	fmt.Println(len(plain), err)
	// Output: 32 <nil>
}

func ExampleKMS_ReEncrypt() {
	s := kmstest.NewAWSServer()
	defer s.Close()
	old, next := "aws-kms:"+s.AddKey("eu-central-1"), "aws-kms:"+s.AddKey("eu-central-1")

	k, err := awskms.New(context.Background(), awskms.WithConfig(static()), awskms.WithEndpoint(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, wrapped, err := k.Generate(context.Background(), old, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	wrapped, err = k.ReEncrypt(context.Background(), old, next, wrapped, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := k.Unwrap(context.Background(), next, wrapped, nil)
	fmt.Println(len(plain), err)
	// Output: 32 <nil>
}

func ExampleWithEndpointHosts() {
	const url = "https://kms.{region}.internal.example" // from configuration
	_, err := awskms.New(context.Background(), awskms.WithConfig(static()), awskms.WithEndpoint(url))
	fmt.Println(err)
	_, err = awskms.New(context.Background(), awskms.WithConfig(static()), awskms.WithEndpoint(url),
		awskms.WithEndpointHosts("kms.{region}.internal.example"))
	fmt.Println(err)
	// Output:
	// awskms: the endpoint is of a host that is not allowed, see WithEndpointHosts: invalid KMS request
	// <nil>
}
