package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// cluster is the broker of the demo: one in this process, or a real one.
type cluster struct {
	name    string
	seeds   []string
	fake    *kfake.Cluster // nil for a real one
	dataDir string         // of the fake
	created bool           // the demo made the topic
}

func openCluster(ctx context.Context, seeds []string, dataDir, topic string) (*cluster, error) {
	c := &cluster{seeds: seeds, name: strings.Join(seeds, ","), dataDir: dataDir}
	if len(seeds) == 0 {
		// On disk, so that the scan reads what a thief of the disk would.
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dataDir))
		if err != nil {
			return nil, fmt.Errorf("embedded broker: %w", err)
		}
		c.fake, c.seeds, c.name = fake, fake.ListenAddrs(), "an embedded broker"
	}
	if err := c.createTopic(ctx, topic); err != nil {
		_ = c.close(true)
		return nil, err
	}
	return c, nil
}

func (c *cluster) opts() []kgo.Opt { return []kgo.Opt{kgo.SeedBrokers(c.seeds...)} }

func (c *cluster) admin(f func(*kadm.Client) error) error {
	client, err := kgo.NewClient(c.opts()...)
	if err != nil {
		return err
	}
	defer client.Close()
	return f(kadm.NewClient(client))
}

func (c *cluster) createTopic(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return c.admin(func(adm *kadm.Client) error {
		res, err := adm.CreateTopic(ctx, 3, -1, nil, topic)
		if errors.Is(err, kerr.TopicAlreadyExists) || errors.Is(res.Err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("topic %s exists already: name a new one with --topic", topic)
		}
		if err != nil {
			return fmt.Errorf("create topic %s on %s: %w", topic, c.name, err)
		}
		c.created = true
		return nil
	})
}

// close ends the embedded broker, or deletes the demo's topics.
func (c *cluster) close(keep bool, topics ...string) error {
	if c.fake != nil {
		c.fake.Close()
		return nil
	}
	if keep || !c.created {
		return nil
	}
	// The demo may have been interrupted, so its context is over.
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return c.admin(func(adm *kadm.Client) error {
		_, err := adm.DeleteTopics(ctx, topics...)
		return err
	})
}

// files calls f with the content of every file that the embedded broker wrote.
func (c *cluster) files(f func(name string, content []byte)) error {
	return filepath.WalkDir(c.dataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f(path, b)
		return nil
	})
}

// countingKMS counts the calls to a KMS.
type countingKMS struct {
	kms.Wrapper
	calls atomic.Int64
}

func (c *countingKMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	c.calls.Add(1)
	return c.Wrapper.Generate(ctx, kek, ec)
}

func (c *countingKMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	c.calls.Add(1)
	return c.Wrapper.Unwrap(ctx, kek, wrapped, ec)
}
