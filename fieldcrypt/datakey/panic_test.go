package datakey_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// panicky is a KMS and a store that panic with data in hand.
type panicky struct{}

func (panicky) Generate(context.Context, string, kms.EncryptionContext) (plain, wrapped []byte, err error) {
	panic("CANARY")
}

func (panicky) Unwrap(context.Context, string, []byte, kms.EncryptionContext) ([]byte, error) {
	panic("CANARY")
}

func (panicky) Put(context.Context, datakey.ID, []byte) error { panic("CANARY") }

func (panicky) Get(context.Context, datakey.ID) ([]byte, error) { panic("CANARY") }

func TestAPanicOfAProviderOrStoreIsAnErrorAndNothingMore(t *testing.T) {
	spec := datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:kek"}}
	for name, cache := range map[string]func() (*datakey.Cache, error){
		"KMS": func() (*datakey.Cache, error) { return datakey.New(panicky{}) },
		"store": func() (*datakey.Cache, error) {
			return datakey.New(kmstest.NewFake("fake:kek"), datakey.WithStore(panicky{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cache()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s, err := c.Scope(spec)
			if err != nil {
				t.Fatal(err)
			}
			err = s.NewSealer().Reserve(t.Context(), 1, 1)
			if !errors.Is(err, datakey.ErrUnavailable) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("sealing: %v", err)
			}
			_, err = s.Opener(t.Context(), datakey.ID{1}, nil)
			if err == nil || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("opening: %v", err)
			}
		})
	}
}
