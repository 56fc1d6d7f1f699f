package fieldcrypt_test

import (
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func TestWhatHoldsKeysAndConstantsShowsOnlyWhichOneItIs(t *testing.T) {
	const text = "version: 1\nrules: [{tag: PII, action: constant, value: \"constant-canary\"}]\n"
	p, err := fieldcrypt.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("%x", p.Digest())
	plan, err := compileText(t, text, oneField(`"string"`, "PII"), "orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for want, what := range map[string]any{
			"fieldcrypt.Policy(" + digest + ")": p,
			"fieldcrypt.Engine(" + digest + ")": newWorld(t).engine(text),
			`fieldcrypt.Plan("orders")`:         plan,
			"fieldcrypt.Policy(nil)":            (*fieldcrypt.Policy)(nil),
			"fieldcrypt.Engine(nil)":            (*fieldcrypt.Engine)(nil),
			"fieldcrypt.Plan(nil)":              (*fieldcrypt.Plan)(nil),
		} {
			if got := fmt.Sprintf(verb, what); got != want {
				t.Errorf("%s: %.100s, want %s", verb, got, want)
			}
		}
	}
}
