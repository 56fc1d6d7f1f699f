package kmstest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"time"
)

// A VaultFault is a way in which a [VaultServer] fails. Its parts add up: a fault
// with a delay and a status waits and then fails. One without any part but Op
// answers soundly, and uses up faults that come after it.
type VaultFault struct {
	// Op says which calls fail, in the words of [VaultRequest]; empty means all.
	Op string
	// Times is for how many calls; zero means until ClearFaults.
	Times int

	// Delay is how long it waits. It ends with the caller, and with Close.
	Delay time.Duration
	// Cut closes the connection without an answer.
	Cut bool
	// Status fails with an HTTP status, and Errors are the messages with it.
	Status int
	Errors []string
	// Location goes with Status, for a redirect.
	Location string
	// Body is answered as it stands, with Status or 200.
	Body []byte

	// Answer makes the data key or the ciphertext of a sound answer wrong.
	Answer Fault
	// Oversized makes a sound answer at least so many bytes long.
	Oversized int
	// CutBody closes the connection in the middle of a sound answer.
	CutBody bool
}

// Fault adds a fault. Of those that apply to a call the oldest holds.
func (s *VaultServer) Fault(f VaultFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults takes all faults away.
func (s *VaultServer) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault returns the fault of a call, and the empty one when there is none.
func (s *VaultServer) takeFault(op string) *VaultFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Op != "" && f.Op != op {
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
	return &VaultFault{}
}

// before does what happens instead of a call, and tells whether that was all.
func (f *VaultFault) before(w http.ResponseWriter, r *http.Request, done <-chan struct{}) bool {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) //nolint:forbidigo // nobody waits for an answer, and a handler that returns gives one
		case <-done:
			panic(http.ErrAbortHandler) //nolint:forbidigo // as above
		}
	}
	if f.Location != "" {
		w.Header().Set("Location", f.Location)
	}
	switch {
	case f.Cut:
		// The server closes the connection and writes nothing.
		panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler of net/http does that
	case f.Body != nil:
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		writeVault(w, status, f.Body)
		return true
	case f.Status != 0:
		writeVault(w, f.Status, mustJSON(map[string]any{"errors": append([]string{}, f.Errors...)}))
		return true
	}
	return false
}

// answer writes a sound answer, or what f makes of it.
func (f *VaultFault) answer(w http.ResponseWriter, a *vaultAnswer) {
	if a.data == nil && a.auth == nil {
		writeVault(w, http.StatusNoContent, nil)
		return
	}
	data := maps.Clone(a.data)
	plain, wrapped := f.Answer.apply(a.plain, []byte(a.wrapped))
	if a.plain != nil {
		data["plaintext"] = base64.StdEncoding.EncodeToString(plain)
	}
	if a.wrapped != "" {
		data["ciphertext"] = string(wrapped)
	}
	members := map[string]any{
		"request_id": uuid(), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": data, "wrap_info": nil, "warnings": nil, "auth": a.auth,
	}
	if a.auth != nil {
		members["data"] = nil
	}
	if f.Oversized > 0 {
		members["warnings"] = []string{strings.Repeat("x", f.Oversized)}
	}
	body := mustJSON(members)
	if f.CutBody {
		writeCut(w, body)
		return
	}
	writeVault(w, http.StatusOK, body)
}
