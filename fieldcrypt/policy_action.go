package fieldcrypt

import (
	"regexp"

	"github.com/fieldveil/fieldveil/tokenize"
)

type actionKind string

const (
	actConstant   actionKind = "constant"
	actDrop       actionKind = "drop"
	actEncrypt    actionKind = "encrypt"
	actGeneralize actionKind = "generalize"
	actHash       actionKind = "hash"
	actMask       actionKind = "mask"
	actReject     actionKind = "reject"
	actShift      actionKind = "shift"
	actTokenize   actionKind = "tokenize"
	// actUnsafe is a hash without a key, for what nobody can guess.
	actUnsafe actionKind = "unsafe-sha256"
	// actObserve is no action of a policy: the value stays as it is, and tells
	// whose times are shifted.
	actObserve actionKind = "observe"
)

func actions() []string {
	return []string{
		string(actConstant), string(actDrop), string(actEncrypt), string(actGeneralize), string(actHash), string(actMask),
		string(actReject), string(actShift), string(actTokenize), string(actUnsafe),
	}
}

// actionParameters lists the parameters of all actions.
func actionParameters() []string {
	return []string{
		"alphabet", "apply", "bottom", "bucket", "by", "days", "fill", "form", "format", "grid", "join", "keep_first",
		"keep_last", "key", "layout", "length", "luhn", "match", "mode", "on_invalid", "origin", "prefix", "reason",
		"round", "rule", "separators", "to", "top", "value", "vault", "with",
	}
}

// takes lists the parameters of one action.
func (k actionKind) takes() []string {
	switch k {
	case actConstant:
		return []string{"value"}
	case actEncrypt:
		return []string{
			"alphabet", "apply", "by", "join", "keep_first", "keep_last", "key", "luhn", "mode", "on_invalid", "reason", "separators",
		}
	case actGeneralize:
		return []string{"bottom", "bucket", "grid", "layout", "on_invalid", "origin", "round", "to", "top"}
	case actHash:
		return []string{"form", "join", "key", "prefix", "reason"}
	case actMask:
		return []string{"fill", "keep_first", "keep_last", "match", "on_invalid", "rule", "separators", "with"}
	case actShift:
		return []string{"by", "days", "join", "key", "layout", "on_invalid"}
	case actTokenize:
		return []string{"format", "join", "keep_first", "keep_last", "key", "length", "luhn", "on_invalid", "prefix", "vault"}
	case actUnsafe:
		return []string{"form", "prefix", "reason"}
	case actDrop:
		return []string{"apply"}
	default: // reject
		return nil
	}
}

// The modes of encryption.
type cryptMode uint8

const (
	modeRandom cryptMode = iota
	modeDeterministic
	modeFormat // format-preserving
	modePerson // random, under the key of the person
)

// String returns the word that a policy uses.
func (m cryptMode) String() string {
	switch m {
	case modeDeterministic:
		return "deterministic"
	case modeFormat:
		return "format-preserving"
	case modePerson:
		return "person"
	default:
		return "random"
	}
}

// actionSpec is an action with its parameters; those of other actions are zero.
type actionSpec struct {
	kind     actionKind
	key      string    // encrypt: a name in policyDoc.keys, or in domainKeys; hash, shift, tokenize: in domainKeys
	mode     cryptMode // encrypt
	join     string    // the domain in which equal values are equal
	whole    bool      // encrypt, drop: a container is taken as one value
	redact   bool      // a value that does not fit becomes a fixed text, and is counted
	reason   string    // why something is done that is refused otherwise
	constant string    // constant
	mask     maskSpec
	general  generalSpec
	hash     tokenize.HashForm // hash, unsafe-sha256
	prefix   string            // of a hash
	ff1      tokenize.FF1Options
	token    tokenize.Format // tokenize, in a vault
	format   string          // tokenize: the word for the shape of tokens
	vault    string          // tokenize: a name in policyDoc.vaults; empty without a vault
	shift    shiftSpec
	by       subject // shift, encrypt: whose time or value it is
}

// maskSpec is one of three ways to mask: by the name of a rule, by what to keep,
// or by a regular expression.
type maskSpec struct {
	rule                string
	keepFirst, keepLast int
	fill                rune // never 0 in a mask that keeps
	separators          string
	match               *regexp.Regexp
	with                string
}

// generalSpec is one way to generalise, as it was written.
type generalSpec struct {
	to     string // a unit of time, or "birth-year"
	layout string // how a time is written, empty to take it from the type
	bucket string
	origin string
	round  *int
	top    string
	bottom string
	grid   string
}

// shiftSpec moves times by up to so many days.
type shiftSpec struct {
	days   int
	layout string
}

// A subject is where the identifier of a person stands, by which times are moved
// and keys of persons are chosen: one of the three.
type subject struct {
	key    bool
	header string
	path   string
}

func (s subject) String() string {
	switch {
	case s.key:
		return "key"
	case s.header != "":
		return "header:" + s.header
	default:
		return s.path
	}
}
