package audit

import (
	"errors"
	"fmt"
	"strings"
)

// An Action names an act. Those below are the sidecar's; a name is of lower-case
// letters and _.
type Action string

// The actions.
const (
	// ActionStarted and ActionStopped are the life of a process.
	ActionStarted Action = "started"
	ActionStopped Action = "stopped"
	// ActionReloaded is another configuration or policy that took effect, or, as
	// failed, that did not.
	ActionReloaded Action = "reloaded"
	// ActionReveal is a record or a value that is opened.
	ActionReveal Action = "reveal"
	// ActionDetokenize is a token that is turned back into its value.
	ActionDetokenize Action = "detokenize"
	// ActionErase is a token that is removed with its value.
	ActionErase Action = "erase"
	// ActionForget is a person whose key is destroyed.
	ActionForget Action = "forget"
	// ActionAcknowledge is a schema that takes protection away, and is let.
	ActionAcknowledge Action = "acknowledge"

	// actionTorn and actionResumed are the log's own (FV-113, FV-114).
	actionTorn    Action = "torn"
	actionResumed Action = "resumed"
)

// An Outcome says whether an act may be done, or was.
type Outcome string

// The outcomes.
const (
	Granted Outcome = "granted" // it is about to be done
	Denied  Outcome = "denied"  // it is not done
	Done    Outcome = "done"
	Failed  Outcome = "failed" // it may have been done in part
)

// An Entry is what is written about an act. All texts may be empty but Action and
// Outcome. None may hold a value of a field, a token, a person's identifier, a key
// or a credential.
type Entry struct {
	Action  Action
	Outcome Outcome
	Actor   string // who: the name of a principal
	Method  string // how he was authenticated
	Request string // names the request
	Tenant  string
	Topic   string
	Scope   string // such as that of tokens
	Purpose string
	Person  string // the id of a person, 64 digits of lower-case hex
	Target  string // what else the act is about, such as the digest of a policy
	Reason  string // why it was asked for, denied or failed
	Count   int    // of records or values
}

// MaxText is how long a text of an entry may be, in bytes.
const MaxText = 2048

// ErrInvalid marks an entry that cannot be written as it is. The act is refused.
var ErrInvalid = errors.New("audit: entry is not valid")

// check tells whether e can be written.
func (e *Entry) check() error {
	for _, text := range e.texts() {
		if len(*text) > MaxText {
			return fmt.Errorf("%w: a text is longer than %d bytes", ErrInvalid, MaxText)
		}
	}
	switch {
	case !word(string(e.Action)):
		return fmt.Errorf("%w: no action", ErrInvalid)
	case e.Outcome != Granted && e.Outcome != Denied && e.Outcome != Done && e.Outcome != Failed:
		return fmt.Errorf("%w: no outcome", ErrInvalid)
	case e.Count < 0:
		return fmt.Errorf("%w: negative count", ErrInvalid)
	case e.Person != "" && !digits(e.Person, hashSize):
		// It must not be the identifier itself.
		return fmt.Errorf("%w: person is no id", ErrInvalid)
	}
	return nil
}

// texts are the members that anybody may have chosen.
func (e *Entry) texts() [9]*string {
	return [...]*string{&e.Actor, &e.Method, &e.Request, &e.Tenant, &e.Topic, &e.Scope, &e.Purpose, &e.Target, &e.Reason}
}

// clean replaces what is no UTF-8: a caller must not be able to have an act
// refused, or not written down, by a name.
func (e *Entry) clean() {
	for _, text := range e.texts() {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
}

const maxWord = 32

func word(s string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// digits tells whether s is n bytes in lower-case hex.
func digits(s string, n int) bool {
	return len(s) == 2*n && strings.Trim(s, "0123456789abcdef") == ""
}
