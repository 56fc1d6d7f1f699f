package fieldcrypt

import (
	"slices"
	"strings"
)

// A class is what the parts of a tag say about the values, as far as some
// actions are refused for them. It cannot know what it is not told: a tag that
// says nothing is of no class.
type class uint8

const (
	classNone class = iota
	// classSecret is sensitive authentication data of cards: verification
	// values, PINs and tracks. PCI DSS v4.0.1, 3.3.1, forbids to store them after
	// authorisation, even encrypted, and a topic is storage.
	classSecret
	// classCard is a primary account number.
	classCard
	// classCountable are values of which there are so few that anyone can try
	// them all.
	classCountable
)

// classOf returns the class of a tag: that of its last part which has one.
func classOf(tag string) class {
	parts := strings.FieldsFunc(strings.ToUpper(tag), func(c rune) bool { return c == '.' || c == '_' || c == '-' || c == ':' || c == '/' })
	found := classNone
	for _, part := range parts {
		switch {
		case slices.Contains(secretWords(), part):
			return classSecret
		case slices.Contains(cardWords(), part):
			found = classCard
		case slices.Contains(countableWords(), part) && found == classNone:
			found = classCountable
		}
	}
	return found
}

func secretWords() []string {
	return []string{"CVV", "CVV2", "CVC", "CVC2", "CID", "CAV2", "PIN", "PINBLOCK", "TRACK", "TRACK1", "TRACK2", "MAGSTRIPE"}
}

func cardWords() []string { return []string{"PAN", "CARD", "CARDNUMBER", "CREDITCARD"} }

func countableWords() []string {
	return []string{
		"SSN", "SIN", "NINO", "TIN", "ITIN", "TAXID", "NATIONALID", "PASSPORT", "LICENSE", "LICENCE", "PHONE", "MOBILE", "FAX",
		"EMAIL", "MAIL", "DOB", "BIRTH", "BIRTHDATE", "BIRTHDAY", "AGE", "ZIP", "POSTCODE", "POSTAL", "IBAN", "ACCOUNT", "IP",
		"IPV4", "MAC", "GENDER", "SEX", "STATE", "COUNTRY", "CITY", "NAME", "SALARY",
	}
}
