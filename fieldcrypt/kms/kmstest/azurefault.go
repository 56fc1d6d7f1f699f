package kmstest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"time"
)

// An AzureFault is a way in which an [AzureServer] fails. Its parts add up: a
// fault with a delay and a code waits and then fails with the code. One without
// any part but Op and Host answers soundly, and uses up faults that come after it.
type AzureFault struct {
	// Op and Host say which calls fail; empty means all but those for tokens. Op is
	// as in an [AzureRequest].
	Op, Host string
	// Times is for how many calls; zero means until ClearFaults.
	Times int

	// Delay is how long it waits. It ends with the caller, and with Close.
	Delay time.Duration
	// Cut closes the connection without an answer.
	Cut bool
	// Code is the name of an error, such as "Throttled", and Reason that of the
	// error within. Status goes with it; zero means 400, and 429 for "Throttled".
	Code, Reason string
	Status       int
	// Message goes with Code.
	Message string
	// RetryAfter goes with Code, in seconds.
	RetryAfter time.Duration
	// Challenge goes with Code, or alone, as the header WWW-Authenticate. Its
	// status is 401 unless set.
	Challenge string
	// Location goes with Status, to redirect.
	Location string
	// Body is answered as it stands, with Status or 200; a Status alone comes
	// without a body.
	Body []byte

	// Answer makes a sound answer wrong.
	Answer Fault
	// KeyID takes the place of the key that a sound answer names.
	KeyID string
	// Oversized makes a sound answer at least so many bytes long.
	Oversized int
	// CutBody closes the connection in the middle of a sound answer.
	CutBody bool
}

// Fault adds a fault. Of those that apply to a call the oldest holds.
func (s *AzureServer) Fault(f AzureFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults takes all faults away.
func (s *AzureServer) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeAzureFault returns the fault of a call, and the empty one when there is
// none.
func (s *AzureServer) takeAzureFault(op, host string) *AzureFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Op != op && (f.Op != "" || op == "token") || f.Host != "" && f.Host != host {
			continue
		}
		taken := *f
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return &taken
	}
	return &AzureFault{}
}

// before does what happens instead of a call, and tells whether that was all.
func (f *AzureFault) before(w http.ResponseWriter, r *http.Request, done <-chan struct{}) bool {
	// Waiting and hanging up are the same for all servers.
	(&AWSFault{Delay: f.Delay, Cut: f.Cut}).before(w, r, done)
	if f.Location != "" {
		w.Header().Set("Location", f.Location)
	}
	switch {
	case f.Code != "" || f.Challenge != "":
		refuseAzure(w, &azureError{status: f.status(), code: f.Code, reason: f.Reason, message: f.Message, challenge: f.Challenge, retryAfter: f.RetryAfter})
	case f.Body != nil || f.Status != 0:
		writeAzure(w, f.status(), f.Body)
	default:
		return false
	}
	return true
}

func (f *AzureFault) status() int {
	switch {
	case f.Status != 0:
		return f.Status
	case f.Challenge != "":
		return http.StatusUnauthorized
	case f.Code == "Throttled":
		return http.StatusTooManyRequests
	case f.Code != "":
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// answer writes a sound answer, or what f makes of it.
func (f *AzureFault) answer(w http.ResponseWriter, a *azureAnswer) {
	members := maps.Clone(a.members)
	if a.value != nil {
		value := a.value
		if a.plain {
			value, _ = f.Answer.apply(value, nil)
		} else {
			_, value = f.Answer.apply(nil, value)
		}
		members["value"] = base64.RawURLEncoding.EncodeToString(value)
	}
	if f.KeyID != "" {
		members["kid"] = f.KeyID
	}
	if f.Oversized > 0 {
		members["padding"] = strings.Repeat("x", f.Oversized)
	}
	body := mustJSON(members)
	if f.CutBody {
		writeCut(w, body)
		return
	}
	writeAzure(w, http.StatusOK, body)
}
