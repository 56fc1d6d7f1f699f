package fieldcrypt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

// A case is a file testdata/policy/good-NAME.yaml or bad-NAME.yaml. Beside it
// stands NAME.want: what a good policy means, or the errors of a bad one. To
// add one, write the policy, run
//
//	go test ./fieldcrypt -run TestPolicyFiles -update-policy
//
// and read what came out.
var updatePolicy = flag.Bool("update-policy", false, "write the .want files of testdata/policy anew")

// canary is the constant of the bad policies. No error may show it.
const canary = "canary"

func policyFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/policy/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d policies under testdata", len(files))
	}
	return files
}

func TestPolicyFiles(t *testing.T) {
	for _, file := range policyFiles(t) {
		base := filepath.Base(file)
		name := strings.TrimSuffix(base, ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := parsePolicyIn(base, text, false)
			if good := strings.HasPrefix(name, "good-"); good != (err == nil) {
				t.Fatalf("err = %v", err)
			}
			var got string
			if err == nil {
				got = dumpPolicy(&p.doc)
			} else {
				got = err.Error() + "\n"
				if strings.Contains(got, canary) {
					t.Errorf("the value of a constant shows:\n%s", got)
				}
				checkPolicyErrors(t, err, text)
			}
			wantFile := strings.TrimSuffix(file, ".yaml") + ".want"
			if *updatePolicy {
				if err := os.WriteFile(wantFile, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// checkPolicyErrors checks what holds for the errors of any policy.
func checkPolicyErrors(t *testing.T, err error, text []byte) {
	t.Helper()
	errs, ok := errors.AsType[PolicyErrors](err)
	if !ok || len(errs) == 0 || len(errs) > maxPolicyErrors {
		t.Fatalf("errors are %T, %d of them", err, len(errs))
	}
	if first, ok := errors.AsType[*PolicyError](err); !ok || first != errs[0] {
		t.Error("errors.As does not find the first error")
	}
	// What is missing at the end of the text has its place behind it.
	lines := 2 + bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r"))
	for i, e := range errs {
		if e.Line < 0 || e.Line > lines || e.Column < 0 || e.Column > len(text)+1 {
			t.Errorf("position %d:%d is outside of the text", e.Line, e.Column)
		}
		if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Column < errs[i-1].Column) {
			t.Errorf("error %d stands before the one in front of it", i)
		}
		if e.Reason == "" || len(e.Error()) > 4096 || strings.Contains(e.Error(), "\n") {
			t.Errorf("no single readable line: %q", e.Error())
		}
	}
}

// dumpPolicy writes the meaning of a policy, one thing on a line.
func dumpPolicy(doc *policyDoc) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dataset %q, guards %s, mismatch %d, ignore %q, all topics %v%s\n",
		doc.dataset, dumpGuards(doc.guards), doc.onMismatch, doc.ignoreTags, doc.allTopics, map[bool]string{true: ", profile fips"}[doc.fips])
	fmt.Fprintf(&b, "tenant %+v\n", doc.tenant)
	if p := doc.persons; p != nil {
		fmt.Fprintf(&b, "persons %+v by %s, redact %v\n", p.keySpec, p.by, p.redact)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.keys)) {
		fmt.Fprintf(&b, "key %+v\n", doc.keys[name])
	}
	for _, name := range slices.Sorted(maps.Keys(doc.domainKeys)) {
		k := doc.domainKeys[name]
		fmt.Fprintf(&b, "domain key %s under %q, also %q, %d versions\n", k.name, k.kek, k.also, len(k.blocks))
	}
	dumpRules(&b, "", doc.rules)
	for _, t := range doc.topics {
		fmt.Fprintf(&b, "topic %q on %d:%d dataset %q, format %q, guards %s, derived %q\n",
			t.match, t.line, t.column, t.dataset, t.format, dumpGuards(t.guards), t.derived)
		if len(t.pins)+len(t.clear)+len(t.acknowledge) > 0 {
			fmt.Fprintf(&b, "  pins %+v, clear %q, acknowledge %x\n", t.pins, t.clear, t.acknowledge)
		}
		if t.key != nil {
			dumpRules(&b, "  key ", []rule{*t.key})
		}
		dumpRules(&b, "  header ", t.headers)
		dumpRules(&b, "  field ", t.fields)
		dumpRules(&b, "  ", t.rules)
	}
	return b.String()
}

// dumpGuards names the modes that are set.
func dumpGuards(g guardModes) string {
	var out []string
	for _, m := range []struct {
		name string
		mode *guardMode
	}{
		{"untagged schema", g.untaggedSchema}, {"untagged field", g.untaggedField},
		{"unknown tag", g.unknownTag}, {"unknown field", g.unknownField},
	} {
		if m.mode != nil {
			out = append(out, fmt.Sprintf("%s %d", m.name, *m.mode))
		}
	}
	if g.validate != nil {
		out = append(out, fmt.Sprintf("validate %v", *g.validate))
	}
	return fmt.Sprintf("%q", out)
}

func dumpRules(b *strings.Builder, indent string, rules []rule) {
	for _, r := range rules {
		fmt.Fprintf(b, "%srule %s%s on %d:%d: %s", indent, r.tag, r.path, r.line, r.column, r.action.kind)
		switch a := r.action; a.kind {
		case actEncrypt:
			fmt.Fprintf(b, " with %s", a.key)
			if a.mode != modeRandom {
				fmt.Fprintf(b, ", %s, join %q", a.mode, a.join)
			}
			dumpFF1(b, &a.ff1)
		case actConstant:
			fmt.Fprintf(b, " %q", a.constant)
		case actMask:
			m := &a.mask
			switch {
			case m.rule != "":
				fmt.Fprintf(b, " rule %q", m.rule)
			case m.match != nil:
				fmt.Fprintf(b, " match %q with %q", m.match, m.with)
			default:
				fmt.Fprintf(b, " keep %d, %d, fill %q", m.keepFirst, m.keepLast, m.fill)
			}
			if m.separators != "" {
				fmt.Fprintf(b, ", separators %q", m.separators)
			}
		case actGeneralize, actShift:
			fmt.Fprintf(b, " %s", a.how())
			if l := a.general.layout + a.shift.layout; l != "" {
				fmt.Fprintf(b, ", layout %s", l)
			}
		case actHash, actUnsafe:
			fmt.Fprintf(b, " %s, prefix %q, key %q", a.how(), a.prefix, a.key)
		case actTokenize:
			fmt.Fprintf(b, " %s, key %q", a.how(), a.key)
			dumpFF1(b, &a.ff1)
		case actDrop, actReject, actObserve:
		}
		if a := r.action; a.redact || a.reason != "" {
			fmt.Fprintf(b, ", redact %v, reason %q", a.redact, a.reason)
		}
		if r.action.whole {
			b.WriteString(", whole")
		}
		b.WriteString("\n")
	}
}

func dumpFF1(b *strings.Builder, o *tokenize.FF1Options) {
	if o.Alphabet != "" {
		fmt.Fprintf(b, ", alphabet %q, separators %q, keep %d, %d, luhn %s", o.Alphabet, o.Separators, o.KeepFirst, o.KeepLast, o.Luhn)
	}
}

func TestPolicyIsReadStrictlyAtItsLimits(t *testing.T) {
	const drop = "version: 1\nrules: [{tag: PII, action: drop}]\n"
	tests := []struct {
		name, text, want string
	}{
		{name: "exactly 1 MiB is read", text: drop + "#" + strings.Repeat("x", maxPolicyText-len(drop)-1)},
		{
			name: "one byte more is not", text: drop + "#" + strings.Repeat("x", maxPolicyText-len(drop)),
			want: "policy: longer than 1 MiB",
		},
		{name: "1000 rules are read", text: "version: 1\nrules:\n" + manyRules(1000)},
		{
			name: "one rule more is not", text: "version: 1\nrules:\n" + manyRules(1001),
			want: "policy:3:3: rules: more than 1000 entries",
		},
		{
			name: "nesting without end is refused", text: "version: 1\nrules: " + strings.Repeat("[", 200_000),
			want: "policy:2: not YAML: exceeded max depth of 10000",
		},
		{
			name: "many keys are refused", text: "version: 1\nrules: [{tag: PII, action: drop}]\nkeys:\n" + manyKeys(1001),
			want: "policy:4:2: keys: more than 1000 entries",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePolicy([]byte(tt.text))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("err = %q, want %q", got, tt.want)
			}
		})
	}
}

func manyRules(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  - {tag: T%d, action: drop}\n", i)
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " k%d: {kek: \"local:a\"}\n", i)
	}
	return b.String()
}

// A slip of the finger is what turns a constant into something that a parser
// would quote. Every such slip is tried at every place.
func TestPolicyErrorsNeverShowAConstant(t *testing.T) {
	policies := []string{
		"version: 1\nrules:\n  - {tag: PII, action: constant, value: \"canary\"}\n",
		"version: 1\nrules:\n  - {tag: PII, value: canary, action: constant}\n",
		"version: 1\nrules:\n  - {value: 'canary', tag: PII, action: constant}\n",
		"version: 1\nrules:\n  - tag: PII\n    action: constant\n    value: canary\n",
		"version: 1\nrules:\n  - tag: PII\n    action: constant\n    value: |\n      canary\n      canary: canary\n",
		`{"version": 1, "rules": [{"tag": "PII", "action": "constant", "value": "a canary, canary: b"}]}`,
	}
	refused := 0
	check := func(text string) {
		_, err := ParsePolicy([]byte(text))
		if err == nil {
			return
		}
		refused++
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%s\nfails with\n%v", text, err)
		}
	}
	for _, text := range policies {
		if _, err := ParsePolicy([]byte(text)); err != nil {
			t.Fatalf("the policy without a slip: %v", err)
		}
		for i := range len(text) {
			check(text[:i])
			check(text[:i] + text[i+1:])
			for _, c := range "*&!,:\"'[]{}#|>%@` \n\t-x\x00\xff" {
				check(text[:i] + string(c) + text[i:])
				check(text[:i] + string(c) + text[i+1:])
			}
		}
	}
	if refused < 1000 {
		t.Errorf("only %d slips were refused: the test has lost its teeth", refused)
	}
}

func TestPolicyDigestIsThatOfTheText(t *testing.T) {
	text := []byte("version: 1\nrules: [{tag: PII, action: drop}]\n")
	p, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	if got := p.Digest(); !bytes.Equal(got[:], sum[:8]) {
		t.Errorf("digest %x, want %x", got, sum[:8])
	}
	commented, err := ParsePolicy(append(text, "# a comment\n"...))
	if err != nil {
		t.Fatal(err)
	}
	if commented.Digest() == p.Digest() {
		t.Error("another text has the same digest")
	}
}

func TestPolicyDoesNotKeepTheText(t *testing.T) {
	text, err := os.ReadFile("testdata/policy/good-all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	before := dumpPolicy(&p.doc)
	for i := range text {
		text[i] = '!'
	}
	if after := dumpPolicy(&p.doc); after != before {
		t.Errorf("the policy changed with its text:\n%s", after)
	}
}

func TestLoadPolicy(t *testing.T) {
	t.Run("reads what ParsePolicy reads", func(t *testing.T) {
		loaded, err := LoadPolicy("testdata/policy/good-all.yaml")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("testdata/policy/good-all.yaml")
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParsePolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(loaded, parsed) {
			t.Error("the two differ")
		}
	})
	t.Run("a missing file is named", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none.yaml")
		_, err := LoadPolicy(path)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("a directory is named", func(t *testing.T) {
		path := t.TempDir()
		if _, err := LoadPolicy(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("positions begin with the path", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nrules:\n  - {tag: PII, action: encypt}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadPolicy(path)
		want := path + `:3:24: rules[0].action: unknown action "encypt" (known: constant, drop, encrypt, generalize, hash, mask, reject, shift, tokenize, unsafe-sha256)`
		if err == nil || err.Error() != want {
			t.Errorf("err = %v, want %v", err, want)
		}
	})
	t.Run("a file without end is read no further than the limit", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "long.yaml")
		if err := os.WriteFile(path, bytes.Repeat([]byte("#"), 2*maxPolicyText), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPolicy(path); err == nil || err.Error() != path+": longer than 1 MiB" {
			t.Errorf("err = %v", err)
		}
	})
}

// FuzzParsePolicy proves that no text makes the parser panic, that reading is
// deterministic, and that every refusal is a readable list of faults.
func FuzzParsePolicy(f *testing.F) {
	for _, file := range policyFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		before := bytes.Clone(text)
		p, err := ParsePolicy(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		again, errAgain := ParsePolicy(before)
		if !reflect.DeepEqual(p, again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatal("the second reading differs")
		}
		if err != nil {
			if p != nil {
				t.Fatal("a policy beside an error")
			}
			checkPolicyErrors(t, err, text)
			return
		}
		if p.Digest() != policyDigest(text) {
			t.Fatal("wrong digest")
		}
		checkAccepted(t, &p.doc)
	})
}

// checkAccepted checks what the rest of the package relies on.
func checkAccepted(t *testing.T, doc *policyDoc) {
	t.Helper()
	if !protects(*doc) {
		t.Error("protects nothing")
	}
	for name, key := range doc.keys {
		if key.name != name || key.kek == "" || key.maxSeals > maxPolicySeals || key.suite != suiteGCM && key.suite != suiteXAES {
			t.Errorf("key %q: %+v", name, key)
		}
	}
	lists := [][]rule{doc.rules}
	for _, topic := range doc.topics {
		if topic.match == "" {
			t.Error("topic without match")
		}
		lists = append(lists, topic.rules, topic.fields, topic.headers)
		if topic.key != nil {
			lists = append(lists, []rule{*topic.key})
			if a := &topic.key.action; a.kind != actHash && a.kind != actTokenize && (a.mode == modeRandom || a.mode == modePerson) {
				t.Errorf("key rule %+v", topic.key)
			}
		}
	}
	for _, r := range slices.Concat(lists...) {
		a := &r.action
		_, known := doc.keys[a.key]
		if a.mode != modeRandom || a.kind != actEncrypt {
			known = len(doc.domainKeys[a.key].blocks) > 0
		}
		if a.mode == modePerson {
			known = doc.persons != nil && a.by != (subject{}) && a.key == ""
		}
		needs := slices.Contains([]actionKind{actEncrypt, actHash, actShift, actTokenize}, a.kind)
		if (r.tag == "") == (r.path == "") || r.line == 0 || known != needs {
			t.Errorf("rule %+v", r)
		}
		ways := 0
		for _, given := range []bool{a.mask.fill != 0, a.mask.rule != "", a.mask.match != nil} {
			if given {
				ways++
			}
		}
		if (ways == 1) != (a.kind == actMask) || a.mask.keepFirst < 0 || a.mask.keepLast < 0 {
			t.Errorf("rule %+v", r)
		}
		if a.redact && r.path == pathOfKey || classOf(r.tag) == classSecret && a.kind != actDrop && a.kind != actReject {
			t.Errorf("rule %+v", r)
		}
		switch r.action.kind {
		case actConstant, actDrop, actEncrypt, actMask, actGeneralize, actHash, actReject, actShift, actTokenize, actUnsafe:
		default:
			t.Errorf("rule %+v", r)
		}
	}
}
