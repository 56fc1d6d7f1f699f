// Command awsesdk compares this project with the AWS Encryption SDK for Go: its
// default suite without signatures, under a raw AES keyring, so without a call
// of a KMS.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	mpl "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygenerated"
	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	esdk "github.com/aws/aws-encryption-sdk/releases/go/encryption-sdk/awscryptographyencryptionsdksmithygenerated"
	esdktypes "github.com/aws/aws-encryption-sdk/releases/go/encryption-sdk/awscryptographyencryptionsdksmithygeneratedtypes"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() { row.Main(program()) }

func program() row.Program {
	return row.Program{
		Rival: "aws/aws-encryption-sdk for Go", Version: row.Version("github.com/aws/aws-encryption-sdk/releases/go/encryption-sdk"),
		Rounds: 101, Slice: 20 * time.Millisecond, Run: run,
	}
}

func run(ctx context.Context, d *row.Document, o ratio.Options) error {
	c := workload.Avro20()
	us, err := product.Lane(c)
	if err != nil {
		return err
	}
	floor, err := product.Floor(c)
	if err != nil {
		return err
	}
	signed, err := newRival(ctx, mpltypes.ESDKAlgorithmSuiteIdAlgAes256GcmHkdfSha512CommitKeyEcdsaP384)
	if err != nil {
		return err
	}
	plain, err := newRival(ctx, mpltypes.ESDKAlgorithmSuiteIdAlgAes256GcmHkdfSha512CommitKey)
	if err != nil {
		return err
	}
	for _, r := range []*rival{signed, plain} {
		for _, v := range append([][]byte{c.Record}, c.Tagged...) {
			if err := r.check(ctx, v, c.Tagged); err != nil {
				return err
			}
		}
	}
	perField := row.NewLane("each of the five values a message, with key commitment", plain.encrypt(ctx, c.Tagged))
	perRecord := row.NewLane("the record as one message, with key commitment", plain.encrypt(ctx, [][]byte{c.Record}))
	perRecordSigned := row.NewLane("the record as one message, default suite: committed and signed", signed.encrypt(ctx, [][]byte{c.Record}))
	d.Measure(o, floor, us, perField, perRecord, perRecordSigned)
	d.Times("five values, a message each", 0, us, perField, floor)
	d.Times("the whole record as one message, against our five fields", 0, us, perRecord, floor)
	d.Times("the same with the default suite, which signs", 0, us, perRecordSigned, floor)
	var out int
	for _, v := range c.Tagged {
		sealed, err := plain.seal(ctx, v)
		if err != nil {
			return err
		}
		out += len(sealed)
	}
	d.Notef("Each message carries its own wrapped data key: the five values, %d bytes, become %d bytes.", total(c.Tagged), out)
	d.Notef("The keyring wraps with a local AES key, so no figure contains a call of a KMS. With a KMS keyring each message takes one: five a record, or one.")
	d.Notef("The SDK for Go has no cache of data keys; its hierarchical keyring, which caches a branch key, needs DynamoDB and still makes a data key for each message.")
	d.Notef("One message for the whole record hides every field, so nobody can read the others without the key. It is shown because it is the fastest way to use the SDK.")
	return nil
}

type rival struct {
	client  *esdk.Client
	keyring mpltypes.IKeyring
	suite   mpltypes.ESDKAlgorithmSuiteId
}

func newRival(ctx context.Context, suite mpltypes.ESDKAlgorithmSuiteId) (*rival, error) {
	providers, err := mpl.NewClient(mpltypes.MaterialProvidersConfig{})
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	keyring, err := providers.CreateRawAesKeyring(ctx, mpltypes.CreateRawAesKeyringInput{
		KeyName: "bench", KeyNamespace: "local", WrappingAlg: mpltypes.AesWrappingAlgAlgAes256GcmIv12Tag16, WrappingKey: key,
	})
	if err != nil {
		return nil, err
	}
	client, err := esdk.NewClient(esdktypes.AwsEncryptionSdkConfig{})
	if err != nil {
		return nil, err
	}
	return &rival{client, keyring, suite}, nil
}

func (r *rival) seal(ctx context.Context, plaintext []byte) ([]byte, error) {
	out, err := r.client.Encrypt(ctx, esdktypes.EncryptInput{
		Plaintext: plaintext, Keyring: r.keyring, AlgorithmSuiteId: &r.suite,
		EncryptionContext: map[string]string{"purpose": "bench"},
	})
	if err != nil {
		return nil, err
	}
	return out.Ciphertext, nil
}

func (r *rival) encrypt(ctx context.Context, values [][]byte) func(n int) {
	return func(n int) {
		for range n {
			for _, v := range values {
				if _, err := r.seal(ctx, v); err != nil {
					panic(err)
				}
			}
		}
	}
}

func (r *rival) open(ctx context.Context, sealed []byte) (*esdktypes.DecryptOutput, error) {
	return r.client.Decrypt(ctx, esdktypes.DecryptInput{Ciphertext: sealed, Keyring: r.keyring})
}

// check tells whether the message hides the values and opens to the plaintext.
func (r *rival) check(ctx context.Context, plaintext []byte, values [][]byte) error {
	sealed, err := r.seal(ctx, plaintext)
	if err != nil {
		return err
	}
	if err := product.Hidden(sealed, values); err != nil {
		return err
	}
	out, err := r.open(ctx, sealed)
	if err != nil {
		return err
	}
	if !bytes.Equal(out.Plaintext, plaintext) {
		return fmt.Errorf("a message of %v opens to something else", r.suite)
	}
	if out.AlgorithmSuiteId != r.suite {
		return fmt.Errorf("a message was made with %v and not with %v", out.AlgorithmSuiteId, r.suite)
	}
	return nil
}

func total(values [][]byte) int {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	return n
}
