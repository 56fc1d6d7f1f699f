package awskms

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

const testID = "1234abcd-12ab-34cd-56ef-1234567890ab"

func TestURIs(t *testing.T) {
	arn := "arn:aws:kms:eu-central-1:111122223333:"
	good := []struct {
		name, id   string
		arn, alias bool
		replicated bool
	}{
		{"a key id", testID, false, false, false},
		{"a multi-Region key id", "mrk-1234abcd12ab34cd56ef1234567890ab", false, false, true},
		{"an alias", "alias/customer-pii", false, true, true},
		{"an alias with every sign", "alias/a/B_9-", false, true, true},
		{"an alias of AWS", "alias/aws/kms", false, true, true},
		{"an alias as long as may be", "alias/" + strings.Repeat("a", 256), false, true, true},
		{"a key ARN", arn + "key/" + testID, true, false, false},
		{"a multi-Region key ARN", arn + "key/mrk-1234abcd12ab34cd56ef1234567890ab", true, false, true},
		{"an alias ARN", arn + "alias/customer-pii", true, true, true},
		{"an ARN of China", "arn:aws-cn:kms:cn-north-1:111122223333:alias/x", true, true, true},
		{"an ARN of GovCloud", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/" + testID, true, false, false},
	}
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			r, err := parseURI("aws-kms:" + tt.id)
			if err != nil || r.String() != tt.id || r.isARN() != tt.arn || r.isAlias() != tt.alias || r.replicated() != tt.replicated {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	bad := map[string]string{
		"nothing":                          "",
		"slashes before an ARN":            "//" + arn + "key/" + testID,
		"a space":                          " " + testID,
		"a line end":                       testID + "\n",
		"an empty alias":                   "alias/",
		"an alias with a colon":            "alias/a:b",
		"an alias with a space":            "alias/a b",
		"an alias that is too long":        "alias/" + strings.Repeat("a", 257),
		"an id with a slash":               "key/" + testID,
		"another service":                  "arn:aws:iam:eu-central-1:111122223333:key/" + testID,
		"no Region":                        "arn:aws:kms::111122223333:key/" + testID,
		"a Region that is another host":    "arn:aws:kms:evil.example/?:111122223333:key/" + testID,
		"a Region with a dot":              "arn:aws:kms:eu-central-1.evil:111122223333:key/" + testID,
		"a Region that begins with a dash": "arn:aws:kms:-eu-central-1:111122223333:key/" + testID,
		"a Region in capitals":             "arn:aws:kms:EU-CENTRAL-1:111122223333:key/" + testID,
		"a Region without a dash":          "arn:aws:kms:europe:111122223333:key/" + testID,
		"no account":                       "arn:aws:kms:eu-central-1::key/" + testID,
		"an account of 11 digits":          "arn:aws:kms:eu-central-1:11112222333:key/" + testID,
		"an account with a letter":         "arn:aws:kms:eu-central-1:11112222333a:key/" + testID,
		"a partition with a slash":         "arn:a/b:kms:eu-central-1:111122223333:key/" + testID,
		"no resource":                      "arn:aws:kms:eu-central-1:111122223333:",
		"no key":                           arn + "key/",
		"an id without key/":               arn + testID,
		"a key under another name":         arn + "grant/" + testID,
		"an alias under key/":              arn + "key/alias/x",
		"an empty alias in an ARN":         arn + "alias/",
		"one part too many":                arn + "key/" + testID + ":x",
		"too few parts":                    "arn:aws:kms:eu",
		"more than AWS takes":              strings.Repeat("a", 2049),
		"an id that is too long":           strings.Repeat("a", 257),
		"letters of another script":        "alias/käse",
	}
	for name, id := range bad {
		t.Run(name, func(t *testing.T) {
			r, err := parseURI("aws-kms:" + id)
			if !errors.Is(err, kms.ErrInvalid) {
				t.Fatalf("%+v, %v", r, err)
			}
			if id != "" && len(id) > 10 && strings.Contains(err.Error(), id) {
				t.Errorf("the error repeats the URI: %v", err)
			}
		})
	}
	for _, uri := range []string{"", "aws-kms", ":" + testID, "awskms:" + testID, "AWS-KMS:" + testID, testID} {
		if r, err := parseURI(uri); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%q: %+v, %v", uri, r, err)
		}
	}
}

func TestWhichKeyAnAnswerMayName(t *testing.T) {
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/" + testID
	parse := func(id string) keyRef {
		r, err := parseURI("aws-kms:" + id)
		if err != nil {
			t.Fatal(err)
		}
		if !r.isARN() {
			r.region = "eu-central-1"
		}
		return r
	}
	tests := []struct {
		name, asked, answered string
		want                  bool
	}{
		{"the ARN", arn, arn, true},
		{"the id", testID, arn, true},
		{"an alias", "alias/x", arn, true},
		{"an alias ARN of the account", "arn:aws:kms:eu-central-1:111122223333:alias/x", arn, true},
		{"nothing", testID, "", false},
		{"an id alone", testID, testID, false},
		{"an alias as the answer", "alias/x", "arn:aws:kms:eu-central-1:111122223333:alias/x", false},
		{"another id", testID, strings.Replace(arn, "1234abcd", "1234abce", 1), false},
		{"another id for an ARN", arn, strings.Replace(arn, "1234abcd", "1234abce", 1), false},
		{"another account", arn, strings.Replace(arn, "111122223333", "111122223334", 1), false},
		{"another account for an alias ARN", "arn:aws:kms:eu-central-1:111122223333:alias/x", strings.Replace(arn, "111122223333", "111122223334", 1), false},
		{"another Region", arn, strings.Replace(arn, "eu-central-1", "eu-west-1", 1), false},
		{"another Region for an alias", "alias/x", strings.Replace(arn, "eu-central-1", "eu-west-1", 1), false},
		{"another partition", arn, strings.Replace(arn, "arn:aws:", "arn:aws-cn:", 1), false},
		{"something else", testID, "arn", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(tt.asked).used(tt.answered); got != tt.want {
				t.Errorf("used = %v", got)
			}
		})
	}
}

func FuzzURI(f *testing.F) {
	for _, id := range []string{
		testID, "alias/x", "mrk-1", "arn:aws:kms:eu-central-1:111122223333:key/" + testID,
		"arn:aws:kms:eu-central-1:111122223333:alias/x", "arn:aws:kms:a.b-c:111122223333:key/x", "alias/", "//", "",
	} {
		f.Add("aws-kms:" + id)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		r, err := parseURI(uri)
		if err != nil {
			if !errors.Is(err, kms.ErrInvalid) || r != (keyRef{}) {
				t.Errorf("%+v, %v", r, err)
			}
			return
		}
		if Scheme+":"+r.String() != uri {
			t.Errorf("%q comes out as %q", uri, r)
		}
		if (r.keyID() == "") != r.isAlias() || r.isARN() && r.region == "" {
			t.Errorf("%+v", r)
		}
		if strings.ContainsAny(r.region, "./:@?# \x00") || strings.ContainsAny(r.String(), " \r\n\"\\\x00") {
			t.Errorf("signs that must not be there: %+v", r)
		}
	})
}
