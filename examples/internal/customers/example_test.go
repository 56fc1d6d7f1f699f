package customers_test

import (
	"fmt"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

func ExampleNew() {
	g := customers.New(1)
	for range 3 {
		c := g.Next()
		fmt.Println(c.Locale, c.Address.City, c.Tier)
	}
	// Output:
	// hi-IN हरितगढ़ BRONZE
	// de-DE Mühlbrück GOLD
	// ja-JP 月影市 SILVER
}

func ExampleSensitive() {
	c := customers.New(1).Next()
	for _, s := range customers.Sensitive(c) {
		fmt.Println(s.Path, s.Tag)
	}
	// Output:
	// /full_name PII.NAME
	// /date_of_birth PII.BIRTH
	// /emails/[] PII.EMAIL
	// /phone PII.PHONE
	// /national_id PII.NATIONAL_ID
	// /card_number PCI.PAN
	// /address/street PII.ADDRESS
}
