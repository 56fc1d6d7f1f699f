package fieldcrypt

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/tokenize"
)

// A Code says what went wrong, for programs. Codes are stable.
type Code string

// The codes.
const (
	// CodeUngoverned: the policy says nothing about the topic.
	CodeUngoverned Code = "topic_ungoverned"
	// CodeUntagged: the schema of a governed topic carries no tag at all, or a
	// field has none where the policy asks for one.
	CodeUntagged Code = "schema_untagged"
	// CodeProtectionLost: a schema leaves something in clear that was protected
	// before, or that the policy pins.
	CodeProtectionLost Code = "protection_lost"
	// CodeMemory: what was protected before cannot be read or kept. Retry later.
	CodeMemory Code = "memory_unavailable"
	// CodeProtected: the record is protected already.
	CodeProtected Code = "record_protected"
	// CodeInvalid: the record fails the validation of its schema.
	CodeInvalid Code = "record_invalid"
	// CodeSchema: the schema cannot be had or cannot be read.
	CodeSchema Code = "schema_unavailable"
	// CodePolicy: policy and schema do not fit together.
	CodePolicy Code = "policy_mismatch"
	// CodeTenant: the record does not say whose it is.
	CodeTenant Code = "tenant_missing"
	// CodeTenantDenied: the caller may not write for the tenant of the record.
	CodeTenantDenied Code = "tenant_denied"
	// CodeMalformed: the record does not follow its framing or its schema.
	CodeMalformed Code = "record_malformed"
	// CodeNotText: a mask met a value that is not valid UTF-8.
	CodeNotText Code = "value_not_text"
	// CodeValue: a value does not fit the format that its action is for, such as
	// letters in a card number or an impossible date.
	CodeValue Code = "value_unfit"
	// CodeRejected: a field has a value, and the policy refuses such records.
	CodeRejected Code = "value_rejected"
	// CodePerson: the record does not say which person it is about, or names two.
	CodePerson Code = "person_missing"
	// CodeForgotten: the person was forgotten. His values do not open, and none
	// is sealed any more.
	CodeForgotten Code = "person_forgotten"
	// CodeVault: the token vault cannot be reached or cannot write now. Retry
	// later.
	CodeVault Code = "vault_unavailable"
	// CodeVaultUnusable: the token vault has no room for more tokens, or its rows
	// are damaged, until somebody acts.
	CodeVaultUnusable Code = "vault_unusable"
	// CodeTokenUnknown: the vault has no row for a token.
	CodeTokenUnknown Code = "token_unknown"
	// CodeDenied: the caller may not have the values of tokens.
	CodeDenied Code = "detokenize_denied"
	// CodeLimited: the caller had as many values of tokens as it may have now.
	// Retry later.
	CodeLimited Code = "detokenize_limited"
	// CodeTooLarge: a value or a name is longer than can be protected.
	CodeTooLarge Code = "value_too_large"
	// CodeKeyUnavailable: no data key can be had now. Retry later.
	CodeKeyUnavailable Code = "key_unavailable"
	// CodeKeyUnusable: no data key can be had until somebody acts.
	CodeKeyUnusable Code = "key_unusable"
	// CodeKeyUnknown: nobody has the data key that a value names.
	CodeKeyUnknown Code = "key_unknown"
	// CodeForeignKey: a value was sealed under a key that does not belong to its
	// field.
	CodeForeignKey Code = "key_foreign"
	// CodeMoved: a value was sealed for another place.
	CodeMoved Code = "value_moved"
	// CodeUnsealed: a field that must be sealed holds something else.
	CodeUnsealed Code = "value_unsealed"
	// CodeTampered: a value failed authentication.
	CodeTampered Code = "value_tampered"
	// CodeFormat: a value or header is of a format that this release does not
	// know, or is damaged.
	CodeFormat Code = "format_unknown"
	// CodeCanceled: the caller gave up waiting.
	CodeCanceled Code = "canceled"
	// CodeInternal: a fault of this package.
	CodeInternal Code = "internal"
)

// An Error says what could not be done, and where. It holds names and never
// data, so it is safe to log. Fields that do not apply are empty.
type Error struct {
	Op       string // "compile", "protect", "reveal" or "inspect"
	Topic    string
	SchemaID int    // 0 for none
	Path     string // canonical path of the field
	Tag      string // tag that chose the action
	Action   string // such as "encrypt" or "mask"
	Code     Code
	Err      error // the cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("fieldcrypt: ")
	b.WriteString(e.Op)
	if e.Topic != "" {
		b.WriteString(" topic " + strconv.Quote(e.Topic))
	}
	if e.SchemaID != 0 {
		b.WriteString(" schema " + strconv.Itoa(e.SchemaID))
	}
	if e.Action != "" {
		b.WriteString(" " + e.Action)
	}
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if e.Tag != "" {
		b.WriteString(" (tag " + e.Tag + ")")
	}
	b.WriteString(": " + string(e.Code))
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Retryable tells whether the same record may pass later without anyone
// changing it, the policy, the schema or a key.
func (e *Error) Retryable() bool {
	switch e.Code {
	case CodeKeyUnavailable, CodeMemory, CodeVault, CodeLimited, CodeCanceled:
		return true
	case CodeSchema:
		// A registry may know better than this package whether it helps to ask
		// again.
		if r, ok := errors.AsType[interface {
			error
			Retryable() bool
		}](e.Err); ok && !r.Retryable() {
			return false
		}
		return !errors.Is(e.Err, errSchemaText) && !errors.Is(e.Err, schema.ErrNotFound) && !errors.Is(e.Err, errChanged)
	default:
		return false
	}
}

// errSchemaText marks a schema that was found and cannot be read.
var errSchemaText = errors.New("schema cannot be read")

// codeOf classifies the causes that lower packages return.
func codeOf(err error) Code {
	var (
		malformed *schema.MalformedError
		foreign   *datakey.ForeignKeyError
		invalid   *invalidError
		vault     *vaultError
	)
	switch {
	case errors.As(err, &invalid):
		return CodeInvalid
	case errors.As(err, &vault):
		return vaultCode(vault)
	case unfitValue(err):
		return CodeValue
	case errors.Is(err, errRejected):
		return CodeRejected
	case errors.Is(err, errNoPerson), errors.Is(err, errTwoPersons):
		return CodePerson
	case errors.Is(err, shred.ErrForgotten):
		return CodeForgotten
	case errors.Is(err, errTwoTenants):
		return CodeTenant
	case errors.Is(err, errNoVersion), errors.Is(err, errTwoVersions):
		return CodeKeyUnknown
	case errors.Is(err, errProtectedAlready):
		return CodeProtected
	case errors.As(err, &malformed):
		return CodeMalformed
	case errors.As(err, &foreign):
		return CodeForeignKey
	case errors.Is(err, errMoved):
		return CodeMoved
	case errors.Is(err, envelope.ErrNotEnvelope):
		return CodeUnsealed
	case errors.Is(err, envelope.ErrFormat):
		return CodeFormat
	case errors.Is(err, datakey.ErrTampered):
		return CodeTampered
	case errors.Is(err, datakey.ErrUnknownKey):
		return CodeKeyUnknown
	case errors.Is(err, datakey.ErrCommitment), errors.Is(err, datakey.ErrUnusable):
		return CodeKeyUnusable
	case errors.Is(err, datakey.ErrUnavailable):
		return CodeKeyUnavailable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeCanceled
	case errors.Is(err, mask.ErrNotText):
		return CodeNotText
	case errors.Is(err, envelope.ErrContextSize):
		return CodeTooLarge
	default:
		return CodeInternal
	}
}

// unfitValue tells whether a value does not fit the format of its action.
func unfitValue(err error) bool {
	return errors.Is(err, mask.ErrValue) || errors.Is(err, tokenize.ErrValue) || errors.Is(err, tokenize.ErrDomain) ||
		errors.Is(err, schema.ErrNumber)
}

// vaultCode classifies what a token vault could not do.
func vaultCode(err *vaultError) Code {
	switch {
	case errors.Is(err, tokenize.ErrValue), errors.Is(err, tokenize.ErrDomain):
		return CodeValue
	case errors.Is(err, tokenize.ErrDenied), errors.Is(err, tokenize.ErrAudit):
		return CodeDenied
	case errors.Is(err, tokenize.ErrLimit):
		return CodeLimited
	case errors.Is(err, errUnknownToken):
		return CodeTokenUnknown
	case errors.Is(err, tokenize.ErrFull), errors.Is(err, tokenize.ErrCorrupt), errors.Is(err, tokenize.ErrFormat),
		errors.Is(err, tokenize.ErrIndexKey), errors.Is(err, tokenize.ErrRow), errors.Is(err, datakey.ErrRow):
		return CodeVaultUnusable
	case errors.Is(err, datakey.ErrUnavailable):
		return CodeKeyUnavailable
	case errors.Is(err, datakey.ErrUnusable):
		return CodeKeyUnusable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeCanceled
	default:
		return CodeVault
	}
}

var errMoved = errors.New("value was sealed for another place")
