package tokenize_test

import (
	"fmt"
	"log"

	"github.com/fieldveil/fieldveil/tokenize"
)

func ExampleNewHash() {
	for _, form := range []tokenize.HashForm{
		tokenize.HashHex, tokenize.HashHex128, tokenize.HashBase64, tokenize.HashUUID, tokenize.HashDigits,
	} {
		h, err := tokenize.NewHash(exampleKey(), form)
		if err != nil {
			log.Fatal(err)
		}
		token, err := h.Append(nil, []byte("alice@example.com"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(form, string(token))
	}
	// Output:
	// hex 62020155bfa1a37c26d2d99027b454fe71c87183e5c939607e6ab7fbb2fbed82
	// hex128 62020155bfa1a37c26d2d99027b454fe
	// base64 YgIBVb-ho3wm0tmQJ7RU_nHIcYPlyTlgfmq3-7L77YI
	// uuid 62020155-bfa1-837c-a6d2-d99027b454fe
	// digits 773165515181420929350106974660408896898
}

func ExampleHash_Append() {
	h, err := tokenize.NewHash(exampleKey(), tokenize.HashHex128)
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range []string{"alice@example.com", "bob@example.com", "alice@example.com", "Alice@example.com"} {
		token, err := h.Append(nil, []byte(value))
		fmt.Println(string(token), err)
	}
	// Output:
	// 62020155bfa1a37c26d2d99027b454fe <nil>
	// 4a31c5df99cb5a35a6331016ba77bd75 <nil>
	// 62020155bfa1a37c26d2d99027b454fe <nil>
	// ec8a43f807653d2eee990597b852a0a5 <nil>
}

func ExampleWithHashPrefix() {
	h, err := tokenize.NewHash(exampleKey(), tokenize.HashUUID, tokenize.WithHashPrefix("urn:uuid:"))
	if err != nil {
		log.Fatal(err)
	}
	token, err := h.Append(nil, []byte("alice@example.com"))
	fmt.Println(string(token), err)
	// Output:
	// urn:uuid:62020155-bfa1-837c-a6d2-d99027b454fe <nil>
}

func ExampleHash_Len() {
	h, err := tokenize.NewHash(exampleKey(), tokenize.HashBase64, tokenize.WithHashPrefix("tok_"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Len())
	// Output:
	// 47
}

func ExampleHashForm_String() {
	fmt.Println(tokenize.HashHex, tokenize.HashUUID)
	// Output:
	// hex uuid
}
