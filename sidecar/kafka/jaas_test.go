package kafka

import (
	"strings"
	"testing"
)

func TestJAASIsReadAsJavaReadsIt(t *testing.T) {
	for text, want := range map[string][2]string{
		modulePlain + ` required username="u" password="p";`:               {"u", "p"},
		modulePlain + " required\n  username=u\n\tpassword = 'p q' ; ":     {"u", "p q"},
		modulePlain + ` required username="a\"b" password="c\\d;=\n" x=y;`: {`a"b`, "c\\d;=\n"},
		modulePlain + ` required username="" password="p";`:                {"", "p"},
	} {
		j, err := parseJAAS(text)
		if err != nil || j.module != modulePlain || j.options["username"] != want[0] || j.options["password"] != want[1] {
			t.Errorf("%s: %+v, %v", text, j, err)
		}
	}
}

func TestOtherJAASIsRefusedAndNotShown(t *testing.T) {
	for _, text := range []string{
		"", ";", modulePlain, modulePlain + ";", modulePlain + " required", modulePlain + " optional password=" + canary + ";",
		modulePlain + ` required password="` + canary, modulePlain + ` required password=` + canary,
		modulePlain + ` required password="` + canary + `" password="x";`, modulePlain + ` required ` + canary + `;`,
		modulePlain + ` required password="` + canary + `\`, modulePlain + ` required password=;`,
		modulePlain + ` required password=` + canary + `; ` + modulePlain + ` required;`, `"` + modulePlain + `" required;`,
	} {
		if j, err := parseJAAS(text); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %+v, %v", text, j, err)
		}
	}
}

func FuzzJAAS(f *testing.F) {
	f.Add(modulePlain + ` required username="u" password="p";`)
	f.Add(moduleScram + " required username='u' password=p\\;;")
	f.Add(`a required b="\"" c='';`)
	f.Fuzz(func(t *testing.T, text string) {
		j, err := parseJAAS(text)
		if err != nil {
			return
		}
		// What was read can be written so that it reads the same.
		var b strings.Builder
		b.WriteString(j.module + " required")
		for k, v := range j.options {
			b.WriteString(" " + quoteJAAS(k) + "=" + quoteJAAS(v))
		}
		b.WriteString(";")
		again, err := parseJAAS(b.String())
		if err != nil || again.module != j.module || len(again.options) != len(j.options) {
			t.Fatalf("%q became %q: %v", text, b.String(), err)
		}
		for k, v := range j.options {
			if again.options[k] != v {
				t.Errorf("%q became %q", v, again.options[k])
			}
		}
	})
}

func quoteJAAS(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
