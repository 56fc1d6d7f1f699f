package vaultkms

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// An Auth is how tokens are had: [Token], [TokenFile], [AppRole] or [Kubernetes].
// It prints its kind and nothing else.
type Auth interface {
	// fetch returns a token. The error is an *Error.
	fetch(ctx context.Context, s *server, op string) (*token, error)
	// check tells what is wrong with the settings.
	check() error
	// kind says whose work it is that there is a live token.
	kind() authKind
}

type authKind int

const (
	authStatic authKind = iota // nobody makes another one; renewed here
	authFile                   // another process does, and renews it
	authLogin                  // made by a login, and renewed here
)

// Token is a token that somebody made. It is renewed before it ends, as long as
// its maximum lifetime lets it; when it is over, every call is denied.
func Token(value string) Auth { return &staticToken{value: func() string { return value }} }

// A staticToken has its value in a closure: package fmt calls no Format for a
// field that is not exported, and with a verb that does not fit shows what a
// pointer leads to.
type staticToken struct{ value func() string }

func (*staticToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vaultkms.Token") }
func (*staticToken) kind() authKind             { return authStatic }
func (a *staticToken) check() error {
	if !plainToken(a.value()) {
		return fmt.Errorf("vaultkms: the token is empty or no token: %w", kms.ErrInvalid)
	}
	return nil
}

// fetch asks Vault how long the token lives. A token that may not ask is used
// until it is refused.
func (a *staticToken) fetch(ctx context.Context, s *server, op string) (*token, error) {
	value := a.value()
	out, err := s.send(ctx, request{op: op, method: http.MethodGet, path: "auth/token/lookup-self", namespace: s.session.namespace, token: value})
	if err != nil {
		if kms.Retryable(err) {
			return nil, via("token", err)
		}
		return newToken(value, 0, false), nil
	}
	return newToken(value, out.Data.TTL, out.Data.Renewable), nil
}

// TokenFile is a file with a token, such as the sink of an agent. It is read for
// each call, so that a token that has been replaced is used at once. It is not
// renewed here: whoever writes the file does.
func TokenFile(path string) Auth { return &tokenFile{path: path} }

type tokenFile struct{ path string }

func (*tokenFile) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vaultkms.TokenFile") }
func (*tokenFile) kind() authKind             { return authFile }
func (a *tokenFile) check() error             { return checkPath(a.path) }

func (a *tokenFile) fetch(_ context.Context, s *server, op string) (*token, error) {
	value, err := readCredential(a.path)
	if err != nil || !plainToken(value) {
		return nil, &Error{Op: op, Server: s.host, Via: "token", Reason: "the file of the token has none", class: kms.ErrUnavailable}
	}
	return newToken(value, 0, false), nil
}

// A Login is an [Auth] that exchanges a credential for tokens. They are renewed
// before they end, and made anew when they cannot be renewed or are refused.
type Login struct {
	method string // for the error, and to print
	mount  string
	name   string // the role
	file   string // of the credential; may be empty for an AppRole
}

// AppRole logs in with a role id, and a secret id from a file. The file is read
// for each login. It may be empty as a name, for a role that binds no secret id.
func AppRole(roleID, secretIDFile string) Login {
	return Login{method: "approle", mount: "approle", name: roleID, file: secretIDFile}
}

// Kubernetes logs in with a role, and the token of a service account from a file,
// which is read for each login. An empty name means that of a pod's own account,
// [ServiceAccountFile]. A projected token with an audience of its own is better.
func Kubernetes(role, tokenFile string) Login {
	if tokenFile == "" {
		tokenFile = ServiceAccountFile
	}
	return Login{method: "kubernetes", mount: "kubernetes", name: role, file: tokenFile}
}

// ServiceAccountFile is where Kubernetes puts the token of a pod's own account.
const ServiceAccountFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// At returns the login at another mount than that of the method's name, without
// the auth/ in front.
func (l Login) At(mount string) Login {
	l.mount = mount
	return l
}

// Format writes the kind of the login.
func (l Login) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vaultkms.Login("+l.method+")") }

func (Login) kind() authKind { return authLogin }

func (l Login) check() error {
	switch {
	case l.method == "" || l.name == "":
		return fmt.Errorf("vaultkms: a login without a role: %w", kms.ErrInvalid)
	case !plainPath(l.mount):
		return fmt.Errorf("vaultkms: the mount of the login is no path of letters, digits, dashes, dots, underscores and slashes: %w", kms.ErrInvalid)
	case l.file == "" && l.method == "approle":
		return nil
	}
	return checkPath(l.file)
}

func (l Login) fetch(ctx context.Context, s *server, op string) (*token, error) {
	wrong := func(reason string, class error) (*token, error) {
		return nil, &Error{Op: op, Server: s.host, Via: "login", Reason: reason, class: class}
	}
	credential := ""
	if l.file != "" {
		var err error
		if credential, err = readCredential(l.file); err != nil || credential == "" {
			return wrong("the file of the credential has none", kms.ErrUnavailable)
		}
	}
	var fields map[string]string
	switch {
	case l.method == "kubernetes":
		fields = map[string]string{"role": l.name, "jwt": credential}
	case credential == "":
		fields = map[string]string{"role_id": l.name}
	default:
		fields = map[string]string{"role_id": l.name, "secret_id": credential}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return wrong("the credential is no text", kms.ErrInvalid)
	}
	out, err := s.send(ctx, request{op: op, method: http.MethodPost, path: "auth/" + l.mount + "/login", namespace: s.session.namespace, body: body})
	if err != nil {
		return nil, via("login", err)
	}
	if out.Auth == nil || !plainToken(out.Auth.ClientToken) {
		return wrong("answer has no token", kms.ErrUnavailable)
	}
	return newToken(out.Auth.ClientToken, out.Auth.LeaseDuration, out.Auth.Renewable), nil
}

// via says that err is of a call that had to come before. What is definitive
// there means that there is no token: a login at a mount that does not exist
// tells nothing about a KEK.
func via(what string, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // send returns nothing else
	if !ok {
		return err
	}
	e.Via = what
	if !kms.Retryable(e.class) {
		e.class = kms.ErrDenied
	} else if e.Status == http.StatusBadRequest {
		e.class, e.Reason = kms.ErrDenied, "the credential or the role is refused"
	}
	return e
}

func checkPath(path string) error {
	if path == "" || strings.ContainsRune(path, 0) {
		return fmt.Errorf("vaultkms: a credential without a file: %w", kms.ErrInvalid)
	}
	return nil
}

// readCredential returns what a file holds, without white space around it.
func readCredential(path string) (string, error) {
	const most = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	defer secret.Wipe(b)
	if closed := f.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return "", err
	case len(b) > most:
		return "", errTooLong
	}
	return strings.TrimSpace(string(b)), nil
}

// plainToken tells whether s can be sent in a header. Vault's tokens are shorter
// and of fewer characters.
func plainToken(s string) bool {
	const most = 8 << 10
	if s == "" || len(s) > most {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
