package kmstest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/aead"
)

// Bounds of AWS.
const (
	awsMaxBody  = 64 << 10
	awsMaxBlob  = 6144
	awsMaxBytes = 1024 // of a data key
	awsKeyIDLen = 36   // of a key id: both forms are that long
)

// An awsInput has the members of every operation.
type awsInput struct {
	KeyID               string                `json:"KeyId"`
	KeySpec             string                `json:"KeySpec"`
	NumberOfBytes       *int                  `json:"NumberOfBytes"`
	EncryptionContext   kms.EncryptionContext `json:"EncryptionContext"`
	CiphertextBlob      *string               `json:"CiphertextBlob"`
	EncryptionAlgorithm string                `json:"EncryptionAlgorithm"`

	SourceKeyID                    string                `json:"SourceKeyId"`
	SourceEncryptionContext        kms.EncryptionContext `json:"SourceEncryptionContext"`
	SourceEncryptionAlgorithm      string                `json:"SourceEncryptionAlgorithm"`
	DestinationKeyID               string                `json:"DestinationKeyId"`
	DestinationEncryptionContext   kms.EncryptionContext `json:"DestinationEncryptionContext"`
	DestinationEncryptionAlgorithm string                `json:"DestinationEncryptionAlgorithm"`
}

// An awsAnswer is what a call answers before a fault changes it.
type awsAnswer struct {
	plain, wrapped []byte
	hasPlain       bool // there is a member for plain, also an empty one
	hasWrapped     bool
	members        map[string]any
}

// An awsError is an error of AWS. Its status is 400 unless set.
type awsError struct {
	status        int
	code, message string
}

// ServeHTTP answers one call.
func (s *AWSServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, awsMaxBody))
	if err != nil {
		s.record(AWSRequest{})
		refuseAWS(w, &awsError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLargeException"})
		return
	}
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	run, known := s.operation(op)
	if !ok || !known || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		s.record(AWSRequest{})
		refuseAWS(w, &awsError{code: "UnknownOperationException"})
		return
	}
	var in awsInput
	malformed := json.Unmarshal(body, &in) != nil
	sig, unsigned := parseSignature(r)
	req := AWSRequest{Op: op, Region: sig.region, AccessKeyID: sig.accessKey, KeyID: in.KeyID, Context: in.EncryptionContext}
	if op == "ReEncrypt" {
		req.KeyID, req.SourceKeyID, req.Context = in.DestinationKeyID, in.SourceKeyID, in.SourceEncryptionContext
	}
	s.record(req)

	fault := s.takeFault(op, sig.region)
	if fault.before(w, r, s.done) {
		return
	}
	switch {
	case unsigned != nil:
		refuseAWS(w, unsigned)
		return
	case malformed:
		refuseAWS(w, &awsError{code: "SerializationException"})
		return
	}
	if refused := s.authenticate(r, sig, body); refused != nil {
		refuseAWS(w, refused)
		return
	}
	out, failed := run(sig.region, &in)
	if failed != nil {
		refuseAWS(w, failed)
		return
	}
	fault.answer(w, out)
}

// operation returns what answers calls of op.
func (s *AWSServer) operation(op string) (func(region string, in *awsInput) (*awsAnswer, *awsError), bool) {
	switch op {
	case "GenerateDataKey":
		return s.generateDataKey, true
	case "Decrypt":
		return s.decrypt, true
	case "ReEncrypt":
		return s.reEncrypt, true
	case "DescribeKey":
		return s.describeKey, true
	}
	return nil, false
}

func (s *AWSServer) generateDataKey(region string, in *awsInput) (*awsAnswer, *awsError) {
	size, invalid := dataKeySize(in)
	if invalid != nil {
		return nil, invalid
	}
	k, err := s.usableKey(region, in.KeyID)
	if err != nil {
		return nil, err
	}
	plain := random(size)
	wrapped, err := k.wrap(plain, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &awsAnswer{plain: plain, hasPlain: true, wrapped: wrapped, hasWrapped: true, members: map[string]any{"KeyId": k.arn}}, nil
}

func dataKeySize(in *awsInput) (int, *awsError) {
	const aes128, aes256 = 16, 32
	switch {
	case (in.KeySpec == "") == (in.NumberOfBytes == nil):
		return 0, &awsError{code: "ValidationException", message: "Please specify either number of bytes or key spec."}
	case in.KeySpec == "AES_256":
		return aes256, nil
	case in.KeySpec == "AES_128":
		return aes128, nil
	case in.KeySpec != "":
		return 0, &awsError{code: "ValidationException", message: "1 validation error detected: Value at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]"}
	case *in.NumberOfBytes < 1 || *in.NumberOfBytes > awsMaxBytes:
		return 0, &awsError{code: "ValidationException", message: "1 validation error detected: Value at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and 1024"}
	}
	return *in.NumberOfBytes, nil
}

func (s *AWSServer) decrypt(region string, in *awsInput) (*awsAnswer, *awsError) {
	plain, k, err := s.open(region, in.KeyID, in.CiphertextBlob, in.EncryptionContext, in.EncryptionAlgorithm)
	if err != nil {
		return nil, err
	}
	return &awsAnswer{plain: plain, hasPlain: true, members: map[string]any{"KeyId": k.arn, "EncryptionAlgorithm": awsSymmetric}}, nil
}

const awsSymmetric = "SYMMETRIC_DEFAULT"

func (s *AWSServer) reEncrypt(region string, in *awsInput) (*awsAnswer, *awsError) {
	if err := symmetric(in.DestinationEncryptionAlgorithm); err != nil {
		return nil, err
	}
	to, err := s.usableKey(region, in.DestinationKeyID)
	if err != nil {
		return nil, err
	}
	plain, from, err := s.open(region, in.SourceKeyID, in.CiphertextBlob, in.SourceEncryptionContext, in.SourceEncryptionAlgorithm)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	wrapped, err := to.wrap(plain, in.DestinationEncryptionContext)
	if err != nil {
		return nil, err
	}
	return &awsAnswer{wrapped: wrapped, hasWrapped: true, members: map[string]any{
		"KeyId": to.arn, "SourceKeyId": from.arn,
		"SourceEncryptionAlgorithm": awsSymmetric, "DestinationEncryptionAlgorithm": awsSymmetric,
	}}, nil
}

func (s *AWSServer) describeKey(region string, in *awsInput) (*awsAnswer, *awsError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.resolve(region, in.KeyID)
	if err != nil {
		return nil, err
	}
	const created = 1735689600 // 2025-01-01
	return &awsAnswer{members: map[string]any{"KeyMetadata": map[string]any{
		"AWSAccountId": AWSAccount, "Arn": k.arn, "CreationDate": created,
		"CustomerMasterKeySpec": awsSymmetric, "KeySpec": awsSymmetric, "Description": "",
		"Enabled": k.state == AWSEnabled, "EncryptionAlgorithms": []string{awsSymmetric},
		"KeyId": k.id, "KeyManager": "CUSTOMER", "KeyUsage": "ENCRYPT_DECRYPT",
		"KeyState": k.state, "MultiRegion": k.multi, "Origin": "AWS_KMS",
	}}}, nil
}

// usableKey returns the key that a key id names, if its state allows its use.
func (s *AWSServer) usableKey(region, keyID string) (*awsKey, *awsError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.resolve(region, keyID)
	if err != nil {
		return nil, err
	}
	if err := k.usable(); err != nil {
		return nil, err
	}
	return k, nil
}

// open opens a wrapped key, as Decrypt and ReEncrypt do: under the key that the
// caller names, or without a name under that of the wrapped key.
func (s *AWSServer) open(region, keyID string, blob *string, ec kms.EncryptionContext, algorithm string) ([]byte, *awsKey, *awsError) {
	if err := symmetric(algorithm); err != nil {
		return nil, nil, err
	}
	if blob == nil {
		return nil, nil, &awsError{code: "ValidationException", message: "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null"}
	}
	wrapped, notBase64 := base64.StdEncoding.DecodeString(*blob)
	switch {
	case notBase64 != nil:
		return nil, nil, &awsError{code: "SerializationException"}
	case len(wrapped) == 0 || len(wrapped) > awsMaxBlob:
		return nil, nil, &awsError{code: "ValidationException", message: "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length between 1 and 6144"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var named *awsKey
	if keyID != "" {
		var err *awsError
		if named, err = s.resolve(region, keyID); err != nil {
			return nil, nil, err
		}
	}
	if len(wrapped) < 1+awsKeyIDLen || wrapped[0] != awsBlobVersion {
		return nil, nil, &awsError{code: "InvalidCiphertextException"}
	}
	k, ok := s.keys[region][string(wrapped[1:1+awsKeyIDLen])]
	switch {
	case named != nil && k != named:
		return nil, nil, &awsError{code: "IncorrectKeyException", message: "The key ID in the request does not identify a CMK that can perform this operation."}
	case !ok:
		return nil, nil, &awsError{code: "AccessDeniedException", message: "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."}
	}
	if err := k.usable(); err != nil {
		return nil, nil, err
	}
	aad, err := ec.AppendCanonical([]byte(k.id))
	if err != nil {
		return nil, nil, contextTooLong()
	}
	plain, err := k.cipher.Open(nil, wrapped[1+awsKeyIDLen:], aad)
	if err != nil {
		return nil, nil, &awsError{code: "InvalidCiphertextException"}
	}
	return plain, k, nil
}

// awsBlobVersion begins a wrapped key: then come the key id and what AES-256-GCM
// made, with the key id and the encryption context as additional data.
const awsBlobVersion = 1

func (k *awsKey) wrap(plain []byte, ec kms.EncryptionContext) ([]byte, *awsError) {
	aad, err := ec.AppendCanonical([]byte(k.id))
	if err != nil {
		return nil, contextTooLong()
	}
	var nonces aead.Nonces
	wrapped, err := k.cipher.Seal(append([]byte{awsBlobVersion}, k.id...), plain, aad, &nonces)
	if err != nil {
		return nil, &awsError{status: http.StatusInternalServerError, code: "KMSInternalException"}
	}
	return wrapped, nil
}

func symmetric(algorithm string) *awsError {
	switch algorithm {
	case "", awsSymmetric:
		return nil
	case "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE":
		return &awsError{code: "InvalidKeyUsageException", message: "The encryption algorithm does not go with a symmetric key."}
	}
	return &awsError{code: "ValidationException", message: "1 validation error detected: Value at 'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set"}
}

func contextTooLong() *awsError {
	return &awsError{code: "ValidationException", message: "The encryption context is too long."}
}

// refuseAWS answers with an error.
func refuseAWS(w http.ResponseWriter, e *awsError) {
	if e.status == 0 {
		e.status = http.StatusBadRequest
	}
	member := "message"
	if e.code == "AccessDeniedException" {
		member = "Message" // the one with a capital
	}
	out := map[string]string{"__type": e.code}
	if e.message != "" {
		out[member] = e.message
	}
	writeAWS(w, e.status, mustJSON(out))
}

func writeAWS(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Amzn-Requestid", uuid())
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}

// uuid returns an id in the form of keys and requests.
func uuid() string {
	id := hex.EncodeToString(random(16))
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("kmstest: " + err.Error()) //nolint:forbidigo // strings, numbers and maps always encode
	}
	return b
}
