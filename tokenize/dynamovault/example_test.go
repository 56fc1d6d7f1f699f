package dynamovault_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/dynamovault"
)

func ExampleNew() { //nolint:testableexamples // it needs DynamoDB
	client := dynamodb.New(dynamodb.Options{Region: "eu-central-1"}) // or NewFromConfig
	store, err := dynamovault.New(client, "privacy-tokens", dynamovault.WithParallel(16))
	if err != nil {
		panic(err)
	}
	out, err := store.Insert(context.Background(), []tokenize.Row{{
		Scope: "tenant/customers", Index: tokenize.Index{1, 2, 3}, Token: []byte("tok_a8f1"), Sealed: []byte("sealed elsewhere"),
	}})
	if e, ok := errors.AsType[*dynamovault.Error](err); ok && e.Retryable() {
		fmt.Println("again later:", e.Code)
	}
	fmt.Println(len(out), err)
}

func ExampleWithParallel() {
	_, err := dynamovault.New(&dynamodb.Client{}, "privacy-tokens", dynamovault.WithParallel(0))
	fmt.Println(err)
	// Output: dynamovault: 1 to 256 requests at once
}

func ExampleWithGlobalTable() { //nolint:testableexamples // it needs DynamoDB
	client := dynamodb.New(dynamodb.Options{Region: "eu-central-1"}) // the one region that inserts
	store, err := dynamovault.New(client, "privacy-tokens", dynamovault.WithGlobalTable())
	if err != nil {
		panic(err)
	}
	fmt.Println(store.Check(context.Background()))
}

func ExampleDefinition() {
	in := dynamovault.Definition("privacy-tokens")
	fmt.Println(*in.TableName, in.BillingMode, *in.DeletionProtectionEnabled)
	for i, key := range in.KeySchema {
		fmt.Println(*key.AttributeName, key.KeyType, in.AttributeDefinitions[i].AttributeType)
	}
	// Output:
	// privacy-tokens PAY_PER_REQUEST true
	// k HASH B
}

func ExampleCreateTable() { //nolint:testableexamples // it needs DynamoDB
	client := dynamodb.New(dynamodb.Options{Region: "eu-central-1"})
	err := dynamovault.CreateTable(context.Background(), client, "privacy-tokens", func(in *dynamodb.CreateTableInput) {
		in.DeletionProtectionEnabled = aws.Bool(false) // for a test
	})
	fmt.Println(err)
}
