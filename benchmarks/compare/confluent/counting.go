//go:build cgo

package main

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rules/encryption"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rules/encryption/localkms"
	"github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// countedKMS is the type of KMS that rules name to have calls counted.
const countedKMS = "counted-kms"

// driver gives Confluent's local KMS, and counts what it is asked.
type driver struct{ calls atomic.Int64 }

var (
	counted  driver
	register = sync.OnceFunc(func() { encryption.RegisterKMSDriver(&counted) })
)

// GetKeyURLPrefix implements encryption.KMSDriver.
func (*driver) GetKeyURLPrefix() string { return countedKMS + "://" }

// NewKMSClient implements encryption.KMSDriver.
func (d *driver) NewKMSClient(config map[string]string, _ *string) (registry.KMSClient, error) {
	inner, err := localkms.NewLocalClient("local-kms://", config["secret"])
	return &countingClient{inner, d}, err
}

type countingClient struct {
	inner registry.KMSClient
	d     *driver
}

// Supported implements registry.KMSClient.
func (*countingClient) Supported(uri string) bool { return strings.HasPrefix(uri, countedKMS+"://") }

// GetAEAD implements registry.KMSClient.
func (c *countingClient) GetAEAD(uri string) (tink.AEAD, error) {
	a, err := c.inner.GetAEAD("local-kms://" + strings.TrimPrefix(uri, countedKMS+"://"))
	return &countingAEAD{a, c.d}, err
}

type countingAEAD struct {
	inner tink.AEAD
	d     *driver
}

// Encrypt implements tink.AEAD: a KMS wraps a data key.
func (a *countingAEAD) Encrypt(plaintext, aad []byte) ([]byte, error) {
	a.d.calls.Add(1)
	return a.inner.Encrypt(plaintext, aad)
}

// Decrypt implements tink.AEAD: a KMS unwraps a data key.
func (a *countingAEAD) Decrypt(ciphertext, aad []byte) ([]byte, error) {
	a.d.calls.Add(1)
	return a.inner.Decrypt(ciphertext, aad)
}
