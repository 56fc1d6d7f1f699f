package awskms

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/conformance/glue"
)

const home, away = "eu-central-1", "eu-west-1"

func config() aws.Config {
	return aws.Config{Region: home, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
}

// api returns the plain SDK.
func api(url, region string) *sdk.Client {
	return sdk.NewFromConfig(config(), func(o *sdk.Options) {
		o.BaseEndpoint, o.Region, o.RetryMaxAttempts = aws.String(url), region, 1
	})
}

func open(t *testing.T, url string, opts ...awskms.Option) *awskms.KMS {
	t.Helper()
	k, err := awskms.New(t.Context(), append([]awskms.Option{awskms.WithConfig(config()), awskms.WithEndpoint(url)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A server is a KMS with keys to call about.
type server struct {
	url                string
	one, two, disabled string // key ARNs
	pending            string
	multi              string // key id, with a replica in away
}

const alias, other = "alias/one", "alias/two"

func moto(t *testing.T) server {
	t.Helper()
	s := server{url: glue.StartMoto(t).URL}
	c := api(s.url, home)
	create := func(multi bool) string {
		out, err := c.CreateKey(t.Context(), &sdk.CreateKeyInput{MultiRegion: aws.Bool(multi), KeyUsage: types.KeyUsageTypeEncryptDecrypt})
		if err != nil {
			t.Fatal(err)
		}
		if multi {
			return aws.ToString(out.KeyMetadata.KeyId)
		}
		return aws.ToString(out.KeyMetadata.Arn)
	}
	s.one, s.two, s.disabled, s.pending, s.multi = create(false), create(false), create(false), create(false), create(true)
	for name, key := range map[string]string{alias: s.one, other: s.two} {
		if _, err := c.CreateAlias(t.Context(), &sdk.CreateAliasInput{AliasName: aws.String(name), TargetKeyId: aws.String(key)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DisableKey(t.Context(), &sdk.DisableKeyInput{KeyId: aws.String(id(s.disabled))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ScheduleKeyDeletion(t.Context(), &sdk.ScheduleKeyDeletionInput{KeyId: aws.String(id(s.pending))}); err != nil {
		t.Fatal(err)
	}
	return s
}

func fake(t *testing.T) server {
	t.Helper()
	f := kmstest.NewAWSServer()
	t.Cleanup(f.Close)
	s := server{
		url: f.URL, one: f.AddKey(home), two: f.AddKey(home), disabled: f.AddKey(home), pending: f.AddKey(home),
		multi: f.AddMultiRegionKey(home, away),
	}
	f.SetAlias(home, alias, s.one)
	f.SetAlias(home, other, s.two)
	f.SetState(home, s.disabled, kmstest.AWSDisabled)
	f.SetState(home, s.pending, kmstest.AWSPendingDeletion)
	return s
}

func id(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func TestMotoPassesTheSuite(t *testing.T) {
	m := moto(t)
	arn := "aws-kms:" + strings.TrimSuffix(m.one, "key/"+id(m.one))
	unknown := "00000000-0000-4000-8000-000000000000"
	for name, k := range map[string][3]string{
		"key ARNs":   {"aws-kms:" + m.one, "aws-kms:" + m.two, arn + "key/" + unknown},
		"key ids":    {"aws-kms:" + id(m.one), "aws-kms:" + id(m.two), "aws-kms:" + unknown},
		"aliases":    {"aws-kms:" + alias, "aws-kms:" + other, "aws-kms:alias/none"},
		"alias ARNs": {arn + alias, arn + other, arn + "alias/none"},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
				t.Helper()
				return open(t, m.url), k[0], k[1]
			}, kmstest.WithUnknownKEK(k[2]), kmstest.WithJoinedContext())
		})
	}
}

// Had moto lengths in its contexts, the suite could run without the option.
func TestMotoJoinsContexts(t *testing.T) {
	m := moto(t)
	k := open(t, m.url)
	plain, wrapped, err := k.Generate(t.Context(), "aws-kms:"+m.one, kms.EncryptionContext{"tenant": "acme"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Unwrap(t.Context(), "aws-kms:"+m.one, wrapped, kms.EncryptionContext{"tenanta": "cme"})
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("moto tells the contexts apart by now (%v): run the suite without WithJoinedContext", err)
	}
}

func TestRegionsOfMoto(t *testing.T) {
	m := moto(t)
	out, err := api(m.url, away).CreateKey(t.Context(), &sdk.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	arn := aws.ToString(out.KeyMetadata.Arn)
	k := open(t, m.url)
	plain, wrapped, err := k.Generate(t.Context(), "aws-kms:"+arn, contextOf("acme"))
	if err != nil {
		t.Fatalf("the ARN of another Region: %v", err)
	}
	if got, err := k.Unwrap(t.Context(), "aws-kms:"+arn, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the ARN of another Region: %v", err)
	}
	if got, err := open(t, m.url, awskms.WithRegion(away)).Unwrap(t.Context(), "aws-kms:"+id(arn), wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the id in its Region: %v", err)
	}
	if _, err := k.Unwrap(t.Context(), "aws-kms:"+id(arn), wrapped, contextOf("acme")); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("the id in another Region: %v", err)
	}
}

func TestReEncryptOfMoto(t *testing.T) {
	m := moto(t)
	k := open(t, m.url)
	plain, wrapped, err := k.Generate(t.Context(), "aws-kms:"+m.one, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.ReEncrypt(t.Context(), "aws-kms:"+m.one, "aws-kms:"+other, wrapped, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(t.Context(), "aws-kms:"+m.two, again, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("under the new KEK: %v", err)
	}
	if _, err := k.ReEncrypt(t.Context(), "aws-kms:"+m.one, "aws-kms:"+m.two, wrapped, contextOf("b")); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("with another context: %v", err)
	}
	// moto takes any key as the source. That its answer says which is enough.
	if _, err := k.ReEncrypt(t.Context(), "aws-kms:"+m.two, "aws-kms:"+m.one, wrapped, contextOf("acme")); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("from another KEK: %v", err)
	}
}

// Data keys as the library uses them: made, proven, sealed with, and opened by a
// process that has nothing but the block.
func TestDataKeysUnderMoto(t *testing.T) {
	m := moto(t)
	spec := datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{"aws-kms:" + alias}}
	scope := func() *datakey.Scope {
		c, err := datakey.New(kms.Mux{awskms.Scheme: open(t, m.url)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		s, err := c.Scope(spec)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	place, secret := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte("zq@example.com")
	w := scope().NewSealer()
	if err := w.Reserve(t.Context(), 1, len(secret)); err != nil {
		t.Fatal(err)
	}
	defer w.Done()
	envelope, err := w.Append(nil, secret, w.Head(place))
	if err != nil {
		t.Fatal(err)
	}
	v, err := datakey.ParseValue(envelope)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := scope().Opener(t.Context(), v.KeyID(), [][]byte{w.KeyBlock()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opener.Append(nil, &v); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened %q, %v", got, err)
	}
}

// An outcome is what a call came to, in words that do not depend on the server.
type outcome struct {
	code    string // of the error
	kind    string // the Go type of the error
	members string // of the answer
}

func of(s server, out any, err error) outcome {
	if err != nil {
		api, ok := errors.AsType[smithy.APIError](err)
		if !ok {
			return outcome{code: "none: " + err.Error()}
		}
		return outcome{code: api.ErrorCode(), kind: fmt.Sprintf("%T", api)}
	}
	members := map[string]string{}
	v := reflect.ValueOf(out).Elem()
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if name == "ResultMetadata" || !v.Type().Field(i).IsExported() || f.IsZero() {
			continue
		}
		switch x := f.Interface().(type) {
		case *string:
			members[name] = strings.NewReplacer(id(s.one), "ONE", id(s.two), "TWO", id(s.disabled), "DISABLED", id(s.pending), "PENDING",
				s.multi, "MULTI", strings.Split(s.one, ":")[4], "ACCOUNT").Replace(*x)
		case []byte:
			members[name] = "bytes"
			if name == "Plaintext" {
				members[name] = fmt.Sprintf("%d bytes", len(x))
			}
		case *types.KeyMetadata:
			members[name] = fmt.Sprint(x.KeyState, x.Enabled, x.KeyUsage, x.KeySpec, x.EncryptionAlgorithms, x.KeyManager, x.Origin, aws.ToBool(x.MultiRegion),
				x.CreationDate != nil, id(aws.ToString(x.Arn)) == aws.ToString(x.KeyId))
		default:
			members[name] = fmt.Sprint(x)
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(members)) {
		fmt.Fprintf(&b, "%s=%s ", name, members[name])
	}
	return outcome{members: b.String()}
}

// outcomes makes the same calls at either server.
func outcomes(t *testing.T, s server) map[string]outcome {
	t.Helper()
	c, ctx := api(s.url, home), t.Context()
	out := map[string]outcome{}
	ec := map[string]string{"fieldveil:tenant": "acme"}
	keyIDs := map[string]*string{
		"ARN": aws.String(s.one), "id": aws.String(id(s.one)), "alias": aws.String(alias), "multi": aws.String(s.multi),
		"alias ARN": aws.String(strings.Replace(s.one, "key/"+id(s.one), alias, 1)),
		"no alias":  aws.String("alias/none"), "no key": aws.String("00000000-0000-4000-8000-000000000000"), "nonsense": aws.String("nonsense"),
		"ARN of no key":         aws.String(strings.Replace(s.one, id(s.one), "00000000-0000-4000-8000-000000000000", 1)),
		"ARN of another Region": aws.String(strings.Replace(s.one, home, away, 1)),
		"disabled":              aws.String(s.disabled), "pending": aws.String(s.pending),
	}
	made, err := c.GenerateDataKey(ctx, &sdk.GenerateDataKeyInput{KeyId: aws.String(s.one), KeySpec: types.DataKeySpecAes256, EncryptionContext: ec})
	if err != nil {
		t.Fatal(err)
	}
	blob := made.CiphertextBlob
	for name, keyID := range keyIDs {
		g, err := c.GenerateDataKey(ctx, &sdk.GenerateDataKeyInput{KeyId: keyID, KeySpec: types.DataKeySpecAes256, EncryptionContext: ec})
		out["GenerateDataKey "+name] = of(s, g, err)
		d, err := c.Decrypt(ctx, &sdk.DecryptInput{KeyId: keyID, CiphertextBlob: blob, EncryptionContext: ec})
		out["Decrypt "+name] = of(s, d, err)
		r, err := c.ReEncrypt(ctx, &sdk.ReEncryptInput{
			SourceKeyId: aws.String(s.one), DestinationKeyId: keyID, CiphertextBlob: blob, SourceEncryptionContext: ec, DestinationEncryptionContext: ec,
		})
		out["ReEncrypt to "+name] = of(s, r, err)
		k, err := c.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: keyID})
		out["DescribeKey "+name] = of(s, k, err)
	}
	for name, in := range map[string]*sdk.GenerateDataKeyInput{
		"AES_128": {KeySpec: types.DataKeySpecAes128}, "17 bytes": {NumberOfBytes: aws.Int32(17)}, "1024 bytes": {NumberOfBytes: aws.Int32(1024)},
		"1025 bytes": {NumberOfBytes: aws.Int32(1025)}, "another spec": {KeySpec: "AES_512"}, "no size": {},
		"two sizes": {KeySpec: types.DataKeySpecAes256, NumberOfBytes: aws.Int32(32)}, "no context": {KeySpec: types.DataKeySpecAes256},
	} {
		in.KeyId = aws.String(s.one)
		g, err := c.GenerateDataKey(ctx, in)
		out["GenerateDataKey "+name] = of(s, g, err)
	}
	changed := bytes.Clone(blob)
	changed[len(changed)-1] ^= 1
	for name, in := range map[string]*sdk.DecryptInput{
		"without a key id":  {CiphertextBlob: blob, EncryptionContext: ec},
		"another KEK":       {KeyId: aws.String(s.two), CiphertextBlob: blob, EncryptionContext: ec},
		"another alias":     {KeyId: aws.String(other), CiphertextBlob: blob, EncryptionContext: ec},
		"another context":   {KeyId: aws.String(s.one), CiphertextBlob: blob, EncryptionContext: map[string]string{"fieldveil:tenant": "b"}},
		"no context":        {KeyId: aws.String(s.one), CiphertextBlob: blob},
		"a changed byte":    {KeyId: aws.String(s.one), CiphertextBlob: changed, EncryptionContext: ec},
		"a cut blob":        {KeyId: aws.String(s.one), CiphertextBlob: blob[:20], EncryptionContext: ec},
		"a blob too short":  {KeyId: aws.String(s.one), CiphertextBlob: []byte("x"), EncryptionContext: ec},
		"an empty blob":     {KeyId: aws.String(s.one), CiphertextBlob: []byte{}, EncryptionContext: ec},
		"another algorithm": {KeyId: aws.String(s.one), CiphertextBlob: blob, EncryptionContext: ec, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"},
		"the algorithm":     {KeyId: aws.String(s.one), CiphertextBlob: blob, EncryptionContext: ec, EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault},
	} {
		d, err := c.Decrypt(ctx, in)
		out["Decrypt "+name] = of(s, d, err)
	}
	for name, in := range map[string]*sdk.ReEncryptInput{
		"from another KEK":     {SourceKeyId: aws.String(s.two), SourceEncryptionContext: ec},
		"from no key":          {SourceKeyId: aws.String("alias/none"), SourceEncryptionContext: ec},
		"from another context": {SourceKeyId: aws.String(s.one)},
		"without a source":     {SourceEncryptionContext: ec},
	} {
		in.DestinationKeyId, in.CiphertextBlob = aws.String(s.two), blob
		r, err := c.ReEncrypt(ctx, in)
		out["ReEncrypt "+name] = of(s, r, err)
	}
	return out
}

func TestTheFakeAgreesWithMoto(t *testing.T) {
	want, got := outcomes(t, moto(t)), outcomes(t, fake(t))
	// Where moto does less than AWS documents, the fake follows AWS. Each line
	// says what moto does.
	const (
		anyRegion = "it takes an ARN of any Region"
		oneCode   = "it answers AccessDeniedException where AWS has IncorrectKeyException"
		noState   = "it does not look at the state of a key"
		anySource = "it does not look at SourceKeyId"
	)
	differs := map[string]string{
		"GenerateDataKey ARN of another Region": anyRegion, "Decrypt ARN of another Region": anyRegion,
		"ReEncrypt to ARN of another Region": anyRegion, "DescribeKey ARN of another Region": anyRegion,
		"Decrypt another KEK": oneCode, "Decrypt another alias": oneCode, "Decrypt disabled": oneCode, "Decrypt pending": oneCode, "Decrypt multi": oneCode,
		"GenerateDataKey disabled": noState, "GenerateDataKey pending": noState, "ReEncrypt to disabled": noState, "ReEncrypt to pending": noState,
		"ReEncrypt from another KEK": anySource, "ReEncrypt from no key": anySource,
		"Decrypt an empty blob":     "it calls an empty blob a broken one, where AWS wants a byte at least",
		"Decrypt another algorithm": "it does not look at EncryptionAlgorithm",
	}
	// The names of the algorithms are in the answers of AWS and not in those of moto.
	algorithms := strings.NewReplacer("DestinationEncryptionAlgorithm=SYMMETRIC_DEFAULT ", "", "SourceEncryptionAlgorithm=SYMMETRIC_DEFAULT ", "", "EncryptionAlgorithm=SYMMETRIC_DEFAULT ", "")
	agree := 0
	for _, call := range slices.Sorted(maps.Keys(want)) {
		m, f := want[call], got[call]
		if strings.Contains(m.members, "EncryptionAlgorithm=") {
			t.Errorf("%s: moto names the algorithm by now", call)
		}
		f.members = algorithms.Replace(f.members)
		if m == f {
			agree++
		}
		reason, listed := differs[call]
		switch {
		case m == f && listed:
			t.Errorf("%s: they agree by now, but are listed as different: %s", call, reason)
		case m != f && !listed:
			t.Errorf("%s:\n moto %+v\n fake %+v", call, m, f)
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d calls and %d", len(want), len(got))
	}
	t.Logf("%d calls, %d of them with the same outcome", len(want), agree)
}
