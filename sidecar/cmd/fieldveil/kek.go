package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/engine"
)

// kekCmd groups the commands for KEK files.
type kekCmd struct {
	Create kekCreateCmd `cmd:"" help:"Create a KEK file and print the URI that a policy names it by."`
	Rotate kekRotateCmd `cmd:"" help:"Add a new version to a KEK file. The old ones stay and go on opening."`
	Domain kekDomainCmd `cmd:"" help:"Make a version of a domain key, for what keeps equal values equal, and print what a policy holds of it."`
}

type kekCreateCmd struct {
	Path string `arg:"" help:"The file to create. It must not exist: a KEK file is never overwritten."`
}

// Help is the second paragraph of the help text.
func (kekCreateCmd) Help() string {
	return "The file gets one random key and mode 0600, and is refused once others may read it. " +
		"It is for development and tests: in production, name a KEK of a key management service in the policy. " +
		"Whoever loses the file loses every value that was encrypted under it."
}

// Run creates the file. The URI goes to standard output, for scripts.
func (c kekCreateCmd) Run(t *terminal) error {
	if err := localkms.Create(c.Path); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(t.err, "Created %s, for development and tests. Keep it out of version control.\n", c.Path); err != nil {
		return err
	}
	// Cleaned, because a path that begins with two slashes makes no URI.
	_, err := fmt.Fprintf(t.out, "%s:%s\n", localkms.Scheme, filepath.Clean(c.Path))
	return err
}

type kekRotateCmd struct {
	Path string `arg:"" help:"The KEK file that gets a new version."`
}

// Help is the second paragraph of the help text.
func (kekRotateCmd) Help() string {
	return "New data keys are wrapped by the new version from the next call on, without a restart. " +
		"The file changes at once or not at all, and keeps its owner."
}

// Run adds the version.
func (c kekRotateCmd) Run(t *terminal) error {
	if err := localkms.AddVersion(c.Path); err != nil {
		return err
	}
	versions, err := localkms.Versions(c.Path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "%s now has %d versions. %s wraps, all of them open.\n",
		c.Path, len(versions), versions[len(versions)-1].ID)
	return err
}

type kekDomainCmd struct {
	URI    string `arg:"" name:"kek" help:"The URI of the KEK that wraps the key, such as local:./dev.kek or vault:transit/keys/pii."`
	Tenant string `placeholder:"NAME" help:"The tenant whose key it is, for policies with tenants."`
	Clear  bool   `name:"cleartext-keyset" help:"Allow a KEK that is a Tink keyset file in clear, tink:PATH. For development."`
}

// Help is the second paragraph of the help text.
func (kekDomainCmd) Help() string {
	return "A domain key is the same for every process, so it is made once, by a person. What is printed is the key as the KEK " +
		"wraps it: it goes under versions of the key in domain_keys of the policy, behind the versions that stand there. " +
		"The last version is used, all of them are read. From the moment that a new version encrypts, equal values " +
		"are not equal to those from before, so every producer has to get it at the same time. Whoever loses a version " +
		"loses every value that was encrypted under it."
}

// Run makes the version. It goes to standard output, for scripts.
func (c kekDomainCmd) Run(t *terminal) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	services, err := engine.Services(c.Clear, c.URI)
	if err != nil {
		return err
	}
	block, err := datakey.CreateDomainBlock(ctx, services, c.URI, c.Tenant)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, base64.StdEncoding.EncodeToString(block))
	return err
}
