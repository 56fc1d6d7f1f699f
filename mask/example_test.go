package mask_test

import (
	"fmt"

	"github.com/fieldveil/fieldveil/mask"
)

func ExampleKeep() {
	rule, err := mask.Keep(0, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := rule.Append(nil, []byte("4111 1111 1111 1111"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(out))
	// Output: ***************1111
}

func ExampleWithFill() {
	rule, err := mask.Keep(1, 0, mask.WithFill('•'))
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := rule.Append(nil, []byte("Žofie"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(out))
	// Output: Ž••••
}

// A value that is no longer than the part to keep is hidden whole.
func ExampleRule_Append() {
	rule, err := mask.Keep(2, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	dst := make([]byte, 0, 64)
	for _, value := range []string{"Johannes", "Anna"} {
		dst, err = rule.Append(dst[:0], []byte(value))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(dst))
	}
	// Output:
	// Jo****es
	// ****
}
