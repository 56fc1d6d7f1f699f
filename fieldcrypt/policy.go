package fieldcrypt

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPolicyText bounds a policy before anything reads it.
const maxPolicyText = 1 << 20

// A Policy says which action protects which tag, with which key, and which
// topics it governs. It is made by [ParsePolicy] or [LoadPolicy], immutable,
// and safe for concurrent use.
type Policy struct {
	doc    policyDoc
	digest [8]byte
}

// ParsePolicy reads a policy: one YAML document of at most 1 MiB, of which
// JSON is a part. Reading is strict. Keys that are not known or come twice,
// values of another type than asked for, rules that can never be reached,
// anchors, aliases and type tags are errors, because each of them can mean
// that a field goes unprotected that its author believed protected.
//
// All faults come back at once as [PolicyErrors], with their positions. Their
// texts never hold the value of a constant.
func ParsePolicy(text []byte) (*Policy, error) { return parsePolicyFile("", text) }

// LoadPolicy reads the policy in the file at path, as [ParsePolicy] does. The
// positions in its errors begin with path; an error of the file system names
// it too.
func LoadPolicy(path string) (*Policy, error) {
	text, err := readPolicyFile(path)
	if err != nil {
		return nil, fmt.Errorf("fieldcrypt: policy: %w", err)
	}
	return parsePolicyFile(path, text)
}

// readPolicyFile stops one byte behind the limit, so that a device or a wrong
// path cannot fill the memory and the parser still sees that it is too long.
func readPolicyFile(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxPolicyText+1))
}

// Digest returns the first 8 bytes of the SHA-256 of the policy's text as it
// was read. It tells which policy a record was protected under.
func (p *Policy) Digest() [8]byte { return p.digest }

// Vaults returns the names of the token vaults that the policy uses, sorted. The
// engine needs each: see [WithVault].
func (p *Policy) Vaults() []string { return slices.Sorted(maps.Keys(p.doc.vaults)) }

func policyDigest(text []byte) [8]byte {
	sum := sha256.Sum256(text)
	return [8]byte(sum[:8])
}

// A PolicyError is one fault in a policy. It holds names and words of the
// policy, never the value of a constant or the URI of a key.
type PolicyError struct {
	// File is the path given to [LoadPolicy], empty after [ParsePolicy].
	File string
	// Line and Column begin at 1 and count characters. Line is 0 where the
	// fault has no place, Column where only the line is known.
	Line, Column int
	// Path is the place in the structure, such as "rules[2].action", empty for
	// the document as a whole.
	Path string
	// Reason says what is wrong and, where that helps, what would be right.
	Reason string
}

// Error returns one line, such as
//
//	policy.yaml:12:5: rules[2].action: unknown action "encypt" (known: constant, drop, encrypt, generalize, hash, mask, reject, shift, tokenize, unsafe-sha256)
func (e *PolicyError) Error() string {
	var b strings.Builder
	if e.File == "" {
		b.WriteString("policy")
	} else {
		b.WriteString(e.File)
	}
	for _, n := range []int{e.Line, e.Column} {
		if n > 0 {
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(n))
		}
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.Reason)
	return b.String()
}

// PolicyErrors are the faults of one policy in the order of their positions,
// the first 20 where there are more.
type PolicyErrors []*PolicyError

// Error returns one line for each fault.
func (e PolicyErrors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets [errors.As] find the first *PolicyError.
func (e PolicyErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// policyDoc is a policy as written, checked, with words turned into constants.
type policyDoc struct {
	fips       bool         // the profile fips
	unapproved PolicyErrors // what that profile refuses
	dataset    string       // "" for the full name of the schema
	tenant     tenantRule
	guards     guardModes
	onMismatch mismatchMode
	ignoreTags []string // each covers itself and what is dotted below it
	keys       map[string]keySpec
	domainKeys map[string]domainKeySpec
	vaults     map[string]vaultSpec
	persons    *personsSpec // nil without keys of persons
	rules      []rule
	topics     []topicRule
	// allTopics is true when the policy has no topics section, so that it
	// governs every topic.
	allTopics bool
}

// pos is a place in the text of a policy; both numbers begin at 1.
type pos struct{ line, column int }

// tenantRule says where the tenant of a record comes from: one of the first
// four, or none of them in a policy without tenants.
type tenantRule struct {
	fixed    string
	header   string
	fromKey  bool
	path     string // of a field that stays in clear
	required bool   // a record without a tenant is refused
}

// guardModes say what happens to content of a governed topic that the policy
// has no answer for. A nil is what the policy says, and there the default.
type guardModes struct {
	untaggedSchema *guardMode // a schema without any tag; default reject
	untaggedField  *guardMode // a field without a tag or rule; default allow
	unknownTag     *guardMode // a tag without a rule; default reject
	unknownField   *guardMode // content that the schema does not describe; default reject
	validate       *bool      // check records against more than the structure; default false
}

type guardMode uint8

const (
	guardReject guardMode = iota
	guardAllow
)

// or returns the modes with those of outer where g does not say.
func (g guardModes) or(outer guardModes) guardModes {
	g.untaggedSchema = cmp.Or(g.untaggedSchema, outer.untaggedSchema)
	g.untaggedField = cmp.Or(g.untaggedField, outer.untaggedField)
	g.unknownTag = cmp.Or(g.unknownTag, outer.unknownTag)
	g.unknownField = cmp.Or(g.unknownField, outer.unknownField)
	g.validate = cmp.Or(g.validate, outer.validate)
	return g
}

// is returns a mode, or what is the default where nobody says.
func is(mode *guardMode, missing guardMode) guardMode {
	if mode == nil {
		return missing
	}
	return *mode
}

// mismatchMode is what a reader does with a value found in another place than
// the one it was sealed for: refuse it, or open and count it.
type mismatchMode uint8

const (
	mismatchStrict mismatchMode = iota
	mismatchReport
)

type suiteName string

const (
	suiteGCM  suiteName = "gcm"
	suiteXAES suiteName = "xaes"
)

// keySpec is one named key. A zero duration or limit stands for the default.
type keySpec struct {
	name            string
	kek             string
	also            []string // further KEKs, to unwrap with only
	refresh, expire time.Duration
	maxSeals        uint64
	maxBytes        uint64
	suite           suiteName
	persist         bool // keep the last data key, wrapped, for the next start
}

// personsSpec says under which KEK the keys of persons stand.
type personsSpec struct {
	keySpec

	by     subject // of actions that do not say; may be empty
	redact bool    // a reader gets a fixed text for values of the forgotten
}

// domainKeySpec is one named key for deterministic encryption: it was made once
// and is the same for everybody who has the policy and may use the KEK.
type domainKeySpec struct {
	name   string
	kek    string
	also   []string
	blocks [][]byte // versions, as key blocks; the last one seals
}

// vaultSpec is one named token vault.
type vaultSpec struct {
	name string
	key  string // a name in policyDoc.domainKeys
}

// The defaults for the age of a data key. The policy knows them because it has
// to compare a given limit with one that was left out.
const (
	defaultRefresh = 15 * time.Minute
	defaultExpire  = 60 * time.Minute
)

// rule ties a tag, or the path of one field of a topic, to an action.
type rule struct {
	pos

	tag, path string // exactly one is set
	action    actionSpec
}

// topicRule is one entry of the topics section. The zero topicRule adds
// nothing to the rules of the policy.
type topicRule struct {
	pos

	match       string // a glob: * for any run of characters, ? for one
	dataset     string
	format      formatWord
	guards      guardModes
	derived     string     // subject of derived schemas; {topic} stands for the topic
	pins        []pin      // what must be protected, whatever the schema says
	clear       []string   // paths that are stated to be not personal
	acknowledge [][32]byte // digests of schemas that may lose what was protected
	key         *rule      // for the record key
	headers     []rule     // by name of a header, in path
	fields      []rule     // by path
	rules       []rule     // by tag, tried before those of the policy
}

// formatWord is what the records of a topic look like.
type formatWord string

const (
	formatRegistry formatWord = ""     // framed, with a schema
	formatJSON     formatWord = "json" // bare JSON, without a schema
)

// A pin is a path that must be protected in schemas of a name.
type pin struct {
	path   string
	schema string // a glob; empty for every schema
}
