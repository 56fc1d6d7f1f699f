package gcpkmstest

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// maxInput bounds a text and its additional data, as the service does for
// software keys.
const maxInput = 64 << 10

// service has the methods of gRPC, which are no methods for a test to call.
type service struct {
	kmspb.UnimplementedKeyManagementServiceServer
	*Server
}

// Encrypt seals under the primary version, or under the version that is named.
func (s service) Encrypt(ctx context.Context, in *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	f, err := s.begin(ctx, "Encrypt", in.GetName(), in.GetAdditionalAuthenticatedData())
	if err != nil {
		return nil, err
	}
	if f.CorruptRequest && len(in.GetPlaintext()) > 0 {
		in.Plaintext[0] ^= 1
	}
	plain, aad := in.GetPlaintext(), in.GetAdditionalAuthenticatedData()
	switch {
	case len(plain) == 0:
		return nil, invalidf("The plaintext field is required.")
	case len(plain) > maxInput || len(aad) > maxInput:
		return nil, invalidf("The request is too long.")
	case !matches(plain, in.GetPlaintextCrc32C()):
		return nil, changed("plaintext")
	case !matches(aad, in.GetAdditionalAuthenticatedDataCrc32C()):
		return nil, changed("additional_authenticated_data")
	}
	v, sealed, err := s.seal(in.GetName(), plain, aad)
	if err != nil {
		return nil, err
	}
	out := &kmspb.EncryptResponse{
		Name: v.name, Ciphertext: f.wrapped(sealed), ProtectionLevel: kmspb.ProtectionLevel_SOFTWARE,
		VerifiedPlaintextCrc32C:                   in.GetPlaintextCrc32C() != nil,
		VerifiedAdditionalAuthenticatedDataCrc32C: in.GetAdditionalAuthenticatedDataCrc32C() != nil,
	}
	out.CiphertextCrc32C = sum(out.GetCiphertext())
	f.spoilEncrypted(out)
	s.end(ctx, f)
	return out, nil
}

func (s service) seal(name string, plain, aad []byte) (*version, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, number, err := s.lookup(name)
	if err != nil {
		return nil, nil, err
	}
	if number == 0 {
		number = k.primary
	}
	v := k.version(number)
	if err := v.usable(); err != nil {
		return nil, nil, err
	}
	sealed := binary.BigEndian.AppendUint32([]byte{blobVersion}, uint32(number)) //nolint:gosec // a test has few versions
	return v, v.cipher.Seal(sealed, nil, plain, v.additional(aad)), nil          //nolint:gosec // the cipher draws its nonces itself
}

// blobVersion begins a wrapped key: then come the number of the version and what
// AES-256-GCM made, nonce first.
const (
	blobVersion = 0x0a
	blobHeader  = 5
)

// Decrypt opens under the version that the wrapped key names.
func (s service) Decrypt(ctx context.Context, in *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	f, err := s.begin(ctx, "Decrypt", in.GetName(), in.GetAdditionalAuthenticatedData())
	if err != nil {
		return nil, err
	}
	if f.CorruptRequest && len(in.GetCiphertext()) > 0 {
		in.Ciphertext[0] ^= 1
	}
	sealed, aad := in.GetCiphertext(), in.GetAdditionalAuthenticatedData()
	switch {
	case len(sealed) == 0:
		return nil, invalidf("The ciphertext field is required.")
	case len(aad) > maxInput:
		return nil, invalidf("The request is too long.")
	case !matches(sealed, in.GetCiphertextCrc32C()):
		return nil, changed("ciphertext")
	case !matches(aad, in.GetAdditionalAuthenticatedDataCrc32C()):
		return nil, changed("additional_authenticated_data")
	}
	plain, primary, err := s.unseal(in.GetName(), sealed, aad)
	if err != nil {
		return nil, err
	}
	out := &kmspb.DecryptResponse{Plaintext: f.plain(plain), UsedPrimary: primary, ProtectionLevel: kmspb.ProtectionLevel_SOFTWARE}
	out.PlaintextCrc32C = sum(out.GetPlaintext())
	f.spoilDecrypted(out)
	s.end(ctx, f)
	return out, nil
}

func (s service) unseal(name string, sealed, aad []byte) (plain []byte, primary bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, number, err := s.lookup(name)
	if err != nil {
		return nil, false, err
	}
	if number != 0 {
		return nil, false, invalidf("Decrypt takes the name of a CryptoKey.")
	}
	wrong := invalidf("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	if len(sealed) < blobHeader || sealed[0] != blobVersion {
		return nil, false, wrong
	}
	number = int(binary.BigEndian.Uint32(sealed[1:blobHeader]))
	if number < 1 || number > len(k.versions) {
		return nil, false, wrong
	}
	v := k.version(number)
	if err := v.usable(); err != nil {
		return nil, false, err
	}
	plain, failed := v.cipher.Open(nil, nil, sealed[blobHeader:], v.additional(aad))
	if failed != nil {
		return nil, false, wrong
	}
	return plain, number == k.primary, nil
}

// GetCryptoKey tells of a key and its primary version.
func (s service) GetCryptoKey(ctx context.Context, in *kmspb.GetCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	f, err := s.begin(ctx, "GetCryptoKey", in.GetName(), nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, number, err := s.lookup(in.GetName())
	if err != nil {
		return nil, err
	}
	if number != 0 {
		return nil, invalidf("Resource name %q is invalid.", in.GetName())
	}
	v := k.version(k.primary)
	s.end(ctx, f)
	made := timestamppb.New(time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))
	return &kmspb.CryptoKey{
		Name: k.name, Purpose: kmspb.CryptoKey_ENCRYPT_DECRYPT, CreateTime: made,
		Primary: &kmspb.CryptoKeyVersion{
			Name: v.name, State: v.state, CreateTime: made,
			Algorithm:       kmspb.CryptoKeyVersion_GOOGLE_SYMMETRIC_ENCRYPTION,
			ProtectionLevel: kmspb.ProtectionLevel_SOFTWARE,
		},
	}, nil
}

// begin remembers a call, does what a fault has in store before an answer, and
// looks at the token.
func (s service) begin(ctx context.Context, op, name string, aad []byte) (*Fault, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	first := func(name string) string {
		if v := md.Get(name); len(v) == 1 {
			return v[0]
		}
		return ""
	}
	token, bearer := strings.CutPrefix(first("authorization"), "Bearer ")
	r := Request{
		Op: op, Name: name, Token: token, Routing: first("x-goog-request-params"), UserProject: first("x-goog-user-project"),
		AAD: slices.Clone(aad),
	}
	if end, ok := ctx.Deadline(); ok {
		r.Time = time.Until(end)
	}
	s.record(&r)
	location := ""
	if m := keyName.FindStringSubmatch(name); m != nil {
		location = m[2]
	}
	f := s.takeFault(op, location)
	if err := s.before(ctx, f); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		return f, nil
	}
	switch {
	case !bearer || token == "":
		return nil, refuse(codes.Unauthenticated, "CREDENTIALS_MISSING", "Request is missing required authentication credential.")
	case !slices.Contains(s.tokens, token):
		return nil, refuse(codes.Unauthenticated, "ACCESS_TOKEN_EXPIRED", "Request had invalid authentication credentials.")
	}
	return f, nil
}

// matches checks a checksum that a caller may leave out.
func matches(b []byte, want *wrapperspb.Int64Value) bool {
	return want == nil || want.GetValue() == sum(b).GetValue()
}

func sum(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))))
}

func changed(field string) error {
	return invalidf("The checksum in field %s_crc32c did not match the data in field %s.", field, field)
}

func invalidf(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func notFoundf(format string, args ...any) error {
	return status.Errorf(codes.NotFound, format, args...)
}

func preconditionf(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

// refuse returns an error with the details that Google gives.
func refuse(code codes.Code, reason, message string) error {
	st := status.New(code, message)
	if reason == "" {
		return st.Err()
	}
	with, err := st.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "googleapis.com", Metadata: map[string]string{"service": "cloudkms.googleapis.com"}})
	if err != nil {
		return st.Err()
	}
	return with.Err()
}

type staticToken string

// Token returns the token.
func (t staticToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(t)}, nil
}
