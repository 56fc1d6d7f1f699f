package tokenize_test

import (
	"errors"
	"fmt"
	"log"
	"strconv"

	"github.com/fieldveil/fieldveil/tokenize"
)

// exampleKey is for examples only: a key is random, and never in a source.
func exampleKey() []byte { return []byte("32 bytes that everybody can read") }

func ExampleNewFF1() {
	cards, err := tokenize.NewFF1(exampleKey(), tokenize.FF1Options{
		Alphabet:   tokenize.Digits,
		Separators: " -",
		KeepLast:   4,
		Luhn:       tokenize.LuhnBreak,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("digits needed:", cards.MinLength())
	for _, value := range []string{"4111 1111 1111 1111", "4111-1111-1111-1111"} {
		token, err := cards.Append(nil, []byte(value))
		if err != nil {
			log.Fatal(err)
		}
		back, err := cards.AppendBack(nil, token)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s -> %s -> %s\n", value, token, back)
	}
	// Output:
	// digits needed: 11
	// 4111 1111 1111 1111 -> 8339 2054 2312 1111 -> 4111 1111 1111 1111
	// 4111-1111-1111-1111 -> 8339-2054-2312-1111 -> 4111-1111-1111-1111
}

func ExampleFF1_Append() {
	members, err := tokenize.NewFF1(exampleKey(), tokenize.FF1Options{
		Alphabet:   tokenize.AlnumUpper,
		Separators: "-",
		KeepFirst:  2,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range []string{"CZ-1048-AKQ", "DE-1048-AKQ", "CZ-1049-AKQ", "CZ-9", "cz-1048-akq"} {
		token, err := members.Append(nil, []byte(value))
		switch {
		case errors.Is(err, tokenize.ErrDomain):
			fmt.Println(value, "is too short to be encrypted")
		case errors.Is(err, tokenize.ErrValue):
			fmt.Println(value, "is not written as it should be")
		default:
			fmt.Println(value, "->", string(token))
		}
	}
	// Output:
	// CZ-1048-AKQ -> CZ-LMKU-LG3
	// DE-1048-AKQ -> DE-MHCN-HZZ
	// CZ-1049-AKQ -> CZ-GJFO-RC4
	// CZ-9 is too short to be encrypted
	// cz-1048-akq is not written as it should be
}

// A field of a numeric type keeps no zeros in front, and a token may begin with
// some. With a width it comes back all the same.
func ExampleFF1_Append_numbers() {
	accounts, err := tokenize.NewFF1(exampleKey(), tokenize.FF1Options{Alphabet: tokenize.Digits, Width: 9})
	if err != nil {
		log.Fatal(err)
	}
	for _, account := range []int{7, 41, 500_000_018} {
		token, err := accounts.Append(nil, strconv.AppendInt(nil, int64(account), 10))
		if err != nil {
			log.Fatal(err)
		}
		number, err := strconv.Atoi(string(token))
		if err != nil {
			log.Fatal(err)
		}
		back, err := accounts.AppendBack(nil, strconv.AppendInt(nil, int64(number), 10))
		fmt.Println(account, "->", number, "->", string(back), err)
	}
	// Output:
	// 7 -> 897457546 -> 7 <nil>
	// 41 -> 40613179 -> 41 <nil>
	// 500000018 -> 679755743 -> 500000018 <nil>
}

func ExampleFF1_AppendBack() {
	cards, err := tokenize.NewFF1(exampleKey(), tokenize.FF1Options{Alphabet: tokenize.Digits, Luhn: tokenize.LuhnBreak})
	if err != nil {
		log.Fatal(err)
	}
	// A real card number is no token: that shows by its check digit.
	_, err = cards.AppendBack(nil, []byte("4111111111111111"))
	fmt.Println(err)
	// Output:
	// tokenize: value does not fit its format: check digit
}

func ExampleFF1_MinLength() {
	for _, o := range []tokenize.FF1Options{
		{Alphabet: tokenize.Digits},
		{Alphabet: tokenize.Digits, KeepFirst: 6, KeepLast: 4},
		{Alphabet: tokenize.Digits, KeepFirst: 6, KeepLast: 4, Luhn: tokenize.LuhnKeep},
		{Alphabet: tokenize.Alnum},
	} {
		f, err := tokenize.NewFF1(exampleKey(), o)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d characters, keep %d+%d, Luhn %v: %d\n", o.Alphabet.Len(), o.KeepFirst, o.KeepLast, o.Luhn, f.MinLength())
	}
	// Output:
	// 10 characters, keep 0+0, Luhn none: 6
	// 10 characters, keep 6+4, Luhn none: 16
	// 10 characters, keep 6+4, Luhn keep: 17
	// 62 characters, keep 0+0, Luhn none: 4
}

func ExampleFF1_MaxLength() {
	f, err := tokenize.NewFF1(exampleKey(), tokenize.FF1Options{Alphabet: tokenize.Digits})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.MaxLength())
	// Output:
	// 4096
}

func ExampleNewAlphabet() {
	czech, err := tokenize.NewAlphabet("aábcčdďeéěfghiíjklmnňoópqrřsštťuúůvwxyýzž")
	if err != nil {
		log.Fatal(err)
	}
	names, err := tokenize.NewFF1(exampleKey(), tokenize.FF1Options{Alphabet: czech, Separators: " "})
	if err != nil {
		log.Fatal(err)
	}
	token, err := names.Append(nil, []byte("žluťoučký kůň"))
	fmt.Println(string(token), err)

	_, err = tokenize.NewAlphabet("aábcc")
	fmt.Println(err)
	// Output:
	// umďéabovž wúf <nil>
	// tokenize: character is twice in alphabet and separators
}

func ExampleAlphabet_Len() {
	fmt.Println(tokenize.Alnum.Len(), tokenize.Hex.Len(), tokenize.Alphabet("žluťočký").Len())
	// Output:
	// 62 16 8
}

func ExampleLuhnMode_String() {
	fmt.Println(tokenize.LuhnNone, tokenize.LuhnKeep, tokenize.LuhnBreak)
	// Output:
	// none keep break
}
