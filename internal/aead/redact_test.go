package aead

import (
	"fmt"
	"testing"
)

func TestACipherShowsNothing(t *testing.T) {
	for name, c := range ciphers(t) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, c); got != "aead.GCM" && got != "aead.XAES" {
				t.Errorf("%s: %s shows %d bytes", name, verb, len(got))
			}
		}
	}
}
