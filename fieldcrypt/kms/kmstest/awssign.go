package kmstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// awsCredentials are what a caller must sign with.
type awsCredentials struct{ accessKey, secretKey, sessionToken string }

// RequireCredentials has the server check the signature of every call from now
// on (AWS Signature Version 4), as made with these; sessionToken may be empty.
// Other credentials are refused with UnrecognizedClientException, a signature
// that is wrong or older than five minutes with InvalidSignatureException.
func (s *AWSServer) RequireCredentials(accessKeyID, secretKey, sessionToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.require = &awsCredentials{accessKeyID, secretKey, sessionToken}
}

// A signature is what the Authorization header of a call says.
type signature struct {
	accessKey, date, region string
	headers                 []string
	mac                     string
}

const signingAlgorithm = "AWS4-HMAC-SHA256"

// parseSignature reads the Authorization header. It returns what could be read
// of it also with an error.
func parseSignature(r *http.Request) (signature, *awsError) {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), signingAlgorithm+" ")
	if !ok {
		return signature{}, &awsError{code: "MissingAuthenticationTokenException", message: "Missing Authentication Token"}
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || fields["Signature"] == "" || fields["SignedHeaders"] == "" {
		return signature{}, &awsError{code: "IncompleteSignatureException", message: "Authorization header is incomplete."}
	}
	sig := signature{
		accessKey: scope[0], date: scope[1], region: scope[2],
		headers: strings.Split(fields["SignedHeaders"], ";"), mac: fields["Signature"],
	}
	if scope[3] != "kms" {
		return sig, &awsError{code: "InvalidSignatureException", message: "Credential should be scoped to correct service: 'kms'."}
	}
	return sig, nil
}

// authenticate checks a signature, if the server was told to.
func (s *AWSServer) authenticate(r *http.Request, sig signature, body []byte) *awsError {
	s.mu.Lock()
	require := s.require
	s.mu.Unlock()
	if require == nil {
		return nil
	}
	if sig.accessKey != require.accessKey || r.Header.Get("X-Amz-Security-Token") != require.sessionToken {
		return &awsError{code: "UnrecognizedClientException", message: "The security token included in the request is invalid."}
	}
	const layout, most = "20060102T150405Z", 5 * time.Minute
	signed := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(layout, signed)
	if err != nil || !strings.HasPrefix(signed, sig.date) || time.Since(at).Abs() > most {
		return &awsError{code: "InvalidSignatureException", message: "Signature expired."}
	}
	want := hex.EncodeToString(mac(require.signingKey(sig), stringToSign(r, sig, signed, body)))
	if !hmac.Equal([]byte(want), []byte(sig.mac)) {
		return &awsError{code: "InvalidSignatureException", message: "The request signature we calculated does not match the signature you provided."}
	}
	return nil
}

func (c *awsCredentials) signingKey(sig signature) []byte {
	key := mac([]byte("AWS4"+c.secretKey), sig.date)
	key = mac(key, sig.region)
	key = mac(key, "kms")
	return mac(key, "aws4_request")
}

// stringToSign returns what a caller signs: the digest of the request in a
// canonical form, and where and when it holds.
func stringToSign(r *http.Request, sig signature, signed string, body []byte) string {
	var b strings.Builder
	// Path and query are always these for AWS KMS.
	b.WriteString(r.Method + "\n/\n\n")
	for _, name := range sig.headers {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		b.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	digest := sha256.Sum256(body)
	b.WriteString("\n" + strings.Join(sig.headers, ";") + "\n" + hex.EncodeToString(digest[:]))
	canonical := sha256.Sum256([]byte(b.String()))
	return strings.Join([]string{
		signingAlgorithm, signed, sig.date + "/" + sig.region + "/kms/aws4_request", hex.EncodeToString(canonical[:]),
	}, "\n")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
