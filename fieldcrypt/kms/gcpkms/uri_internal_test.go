package gcpkms

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestURIsThatAreRight(t *testing.T) {
	long := strings.Repeat("k", 63)
	for _, name := range []string{
		"projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer",
		"projects/my-project/locations/global/keyRings/a/cryptoKeys/b",
		"projects/my-project/locations/eur4/keyRings/-_A9/cryptoKeys/_",
		"projects/123456789012/locations/us-central1/keyRings/pii/cryptoKeys/customer",
		"projects/example.com:my-project/locations/us/keyRings/pii/cryptoKeys/customer",
		"projects/abcdef/locations/us/keyRings/" + long + "/cryptoKeys/" + long,
	} {
		r, err := parseURI("gcp-kms:" + name)
		if err != nil || r.String() != name {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestURIsThatAreWrong(t *testing.T) {
	const good = "projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer"
	with := func(old, next string) string { return strings.Replace(good, old, next, 1) }
	for name, id := range map[string]string{
		"nothing":                         "",
		"the form of other libraries":     "//" + good,
		"a slash before":                  "/" + good,
		"a slash behind":                  good + "/",
		"a version":                       good + "/cryptoKeyVersions/1",
		"an alias":                        "alias/customer",
		"a ring":                          "projects/my-project/locations/europe-west3/keyRings/pii",
		"another collection":              with("cryptoKeys", "importJobs"),
		"a collection in other letters":   with("keyRings", "keyrings"),
		"no project":                      with("my-project", ""),
		"a short project":                 with("my-project", "abcde"),
		"a long project":                  with("my-project", strings.Repeat("a", 31)),
		"a project in capitals":           with("my-project", "My-project"),
		"a project that begins oddly":     with("my-project", "-project"),
		"a project that ends oddly":       with("my-project", "project-"),
		"a project with a dot":            with("my-project", "my.project"),
		"a domain that is none":           with("my-project", "-x:my-project"),
		"a domain with two dots":          with("my-project", "a..b:my-project"),
		"no domain":                       with("my-project", ":my-project"),
		"a number that is too long":       with("my-project", strings.Repeat("1", 21)),
		"no location":                     with("europe-west3", ""),
		"every location":                  with("europe-west3", "-"),
		"a location in capitals":          with("europe-west3", "Europe"),
		"a location that is a host":       with("europe-west3", "evil.example"),
		"a long location":                 with("europe-west3", strings.Repeat("a", 64)),
		"no ring":                         with("pii", ""),
		"a ring with a dot":               with("pii", "p.i"),
		"a long ring":                     with("pii", strings.Repeat("a", 64)),
		"no key":                          with("customer", ""),
		"a key with a space":              with("customer", "cus tomer"),
		"a key with a percent sign":       with("customer", "cus%2Ftomer"),
		"a key with a line end":           with("customer", "customer\n"),
		"a key with letters of elsewhere": with("customer", "kunde-käse"),
		"a long key":                      with("customer", strings.Repeat("a", 64)),
		"a query":                         good + "?x=y",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseURI("gcp-kms:" + id)
			if !errors.Is(err, kms.ErrInvalid) || r != (keyRef{}) {
				t.Fatalf("%+v, %v", r, err)
			}
			if len(id) > 10 && strings.Contains(err.Error(), id) {
				t.Errorf("the error repeats the URI: %v", err)
			}
		})
	}
	for _, uri := range []string{"", "gcp-kms", ":" + good, "gcpkms:" + good, "GCP-KMS:" + good, good} {
		if r, err := parseURI(uri); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%q: %+v, %v", uri, r, err)
		}
	}
}

func TestWhichVersionAnAnswerMayName(t *testing.T) {
	const asked = "projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer"
	with := func(old, next string) string { return strings.Replace(asked+"/cryptoKeyVersions/17", old, next, 1) }
	tests := []struct {
		name, answered string
		want           bool
	}{
		{"a version of the key", with("", ""), true},
		{"the number of the project", with("my-project", "123456789012"), true},
		{"another project", with("my-project", "my-project2"), false},
		{"another location", with("europe-west3", "europe-west4"), false},
		{"another ring", with("pii", "pij"), false},
		{"another key", with("customer", "customers"), false},
		{"another key with the number of the project", strings.Replace(with("my-project", "123456789012"), "customer", "x", 1), false},
		{"the key alone", asked, false},
		{"no version", with("/17", "/"), false},
		{"a version that is no number", with("/17", "/x"), false},
		{"more than a version", with("/17", "/17/x"), false},
		{"nothing", "", false},
		{"something else", "customer", false},
	}
	r, err := parseURI("gcp-kms:" + asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.used(tt.answered); got != tt.want {
				t.Errorf("used = %v", got)
			}
		})
	}
	r.project = "123456789012"
	if !r.used(with("", "")) || !r.used(with("my-project", "123456789012")) || r.used(with("my-project", "123456789013")) {
		t.Error("a key that is named by the number of its project")
	}
}

func FuzzURI(f *testing.F) {
	for _, name := range []string{
		"projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer",
		"projects/123456789012/locations/global/keyRings/pii/cryptoKeys/customer/cryptoKeyVersions/1",
		"projects/example.com:my-project/locations/us/keyRings/pii/cryptoKeys/customer",
		"//projects/my-project", "projects////////", "",
	} {
		f.Add("gcp-kms:" + name)
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
		if strings.ContainsAny(r.String(), " \r\n\"\\%?#@\x00") || strings.Count(r.String(), "/") != 7 {
			t.Errorf("signs that must not be there: %+v", r)
		}
		if !r.used(r.String()+"/cryptoKeyVersions/1") || r.used(r.String()) {
			t.Errorf("%+v", r)
		}
	})
}

func FuzzEndpoint(f *testing.F) {
	for _, url := range []string{
		"https://cloudkms.googleapis.com", "http://127.0.0.1:1", "https://evil.example", "https://x@cloudkms.googleapis.com",
		"https://cloudkms.googleapis.com.evil.example", "http://localhost", "https://[::1]:1/", "://",
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := parseEndpoint(raw, []string{"allowed.example"})
		if err != nil {
			if !errors.Is(err, kms.ErrInvalid) || e != nil {
				t.Errorf("%v, %v", e, err)
			}
			return
		}
		host := e.address[:strings.LastIndexByte(e.address, ':')]
		local := loopback(strings.Trim(host, "[]"))
		if !e.tls && !local {
			t.Errorf("%q goes to %s in clear", raw, e.address)
		}
		if !local && host != "allowed.example" && !strings.HasSuffix(host, ".googleapis.com") {
			t.Errorf("%q goes to %s", raw, e.address)
		}
		if strings.ContainsAny(e.address, "/@?#\\ \r\n\x00") {
			t.Errorf("%q goes to %q", raw, e.address)
		}
	})
}
