package kmstest

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// An AWSFault is a way in which an [AWSServer] fails. Its parts add up: a fault
// with a delay and a code waits and then fails with the code. One without any
// part but Op and Region answers soundly, and uses up faults that come after it.
type AWSFault struct {
	// Op and Region say which calls fail; empty means all.
	Op, Region string
	// Times is for how many calls; zero means until ClearFaults.
	Times int

	// Delay is how long it waits. It ends with the caller, and with Close.
	Delay time.Duration
	// Cut closes the connection without an answer.
	Cut bool
	// Code is the name of an error, such as "ThrottlingException", and Status
	// its HTTP status; zero means the one that AWS has for it, which is 400 for
	// most, throttling included, and 500 where AWS itself fails.
	Code   string
	Status int
	// Message goes with Code.
	Message string
	// Body is answered as it stands, with Status or 200; a Status alone comes
	// without a body.
	Body []byte

	// Answer makes a sound answer wrong.
	Answer Fault
	// OtherKey has a sound answer name a key that nobody asked for.
	OtherKey bool
	// Oversized makes a sound answer at least so many bytes long.
	Oversized int
	// CutBody closes the connection in the middle of a sound answer.
	CutBody bool
}

// Fault adds a fault. Of those that apply to a call the oldest holds.
func (s *AWSServer) Fault(f AWSFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults takes all faults away.
func (s *AWSServer) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault returns the fault of a call, and the empty one when there is none.
func (s *AWSServer) takeFault(op, region string) *AWSFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Op != "" && f.Op != op || f.Region != "" && f.Region != region {
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
	return &AWSFault{}
}

// before does what happens instead of a call, and tells whether that was all.
func (f *AWSFault) before(w http.ResponseWriter, r *http.Request, done <-chan struct{}) bool {
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
	switch {
	case f.Cut:
		// The server closes the connection and writes nothing.
		panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler of net/http does that
	case f.Code != "":
		refuseAWS(w, &awsError{status: f.status(), code: f.Code, message: f.Message})
		return true
	case f.Body != nil || f.Status != 0:
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		writeAWS(w, status, f.Body)
		return true
	}
	return false
}

func (f *AWSFault) status() int {
	if f.Status != 0 {
		return f.Status
	}
	switch f.Code {
	case "KMSInternalException", "KeyUnavailableException", "InternalFailure":
		return http.StatusInternalServerError
	case "DependencyTimeoutException", "ServiceUnavailable", "ServiceUnavailableException":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// answer writes a sound answer, or what f makes of it.
func (f *AWSFault) answer(w http.ResponseWriter, a *awsAnswer) {
	members := maps.Clone(a.members)
	plain, wrapped := f.Answer.apply(a.plain, a.wrapped)
	if a.hasPlain {
		members["Plaintext"] = plain
		if plain == nil {
			members["Plaintext"] = ""
		}
	}
	if a.hasWrapped {
		members["CiphertextBlob"] = wrapped
		if wrapped == nil {
			members["CiphertextBlob"] = ""
		}
	}
	if f.OtherKey {
		for _, name := range []string{"KeyId", "SourceKeyId"} {
			if arn, ok := members[name].(string); ok {
				members[name] = arn[:strings.LastIndexByte(arn, '/')+1] + "00000000-0000-4000-8000-000000000000"
			}
		}
	}
	if f.Oversized > 0 {
		members["Padding"] = strings.Repeat("x", f.Oversized)
	}
	body := mustJSON(members)
	if f.CutBody {
		writeCut(w, body)
		return
	}
	writeAWS(w, http.StatusOK, body)
}

// writeCut promises all of body and writes half of it.
func writeCut(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", uuid())
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body[:len(body)/2]) //nolint:gosec // JSON, for a test; the caller may be gone
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler of net/http ends a connection
}
