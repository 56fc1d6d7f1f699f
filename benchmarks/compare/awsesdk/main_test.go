package main

import (
	"testing"

	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
)

func TestTheEncryptionSDKIsMeasured(t *testing.T) {
	if d := rowtest.Run(t, program()); len(d.Rows) != 3 {
		t.Errorf("%d rows", len(d.Rows))
	}
}

func TestAMessageOpensToItsPlaintextAndNotUnderAnotherKey(t *testing.T) {
	suite := mpltypes.ESDKAlgorithmSuiteIdAlgAes256GcmHkdfSha512CommitKey
	one, err := newRival(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.check(t.Context(), []byte("plain text"), [][]byte{[]byte("plain text")}); err != nil {
		t.Error(err)
	}
	other, err := newRival(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	mixed := &rival{client: one.client, keyring: other.keyring, suite: suite}
	sealed, err := one.seal(t.Context(), []byte("plain text"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mixed.open(t.Context(), sealed); err == nil {
		t.Error("another key opens the message")
	}
}
