package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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
	created []string       // topics to delete in the end
}

func openCluster(seeds []string, dataDir string) (*cluster, error) {
	c := &cluster{seeds: seeds, name: strings.Join(seeds, ","), dataDir: dataDir}
	if len(seeds) == 0 {
		// On disk, so that the scan reads what a thief of the disk would.
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dataDir))
		if err != nil {
			return nil, fmt.Errorf("embedded broker: %w", err)
		}
		c.fake, c.seeds, c.name = fake, fake.ListenAddrs(), "an embedded broker"
	}
	return c, nil
}

// opts are what every client of the demo is made with. Nothing is compressed:
// the scan would not see a plaintext in compressed bytes.
func (c *cluster) opts() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(c.seeds...),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordDeliveryTimeout(patience),
	}
}

// patience is how long the demo waits for a broker that gives no answer.
const patience = 30 * time.Second

func (c *cluster) admin(f func(*kadm.Client) error) error {
	client, err := kgo.NewClient(c.opts()...)
	if err != nil {
		return err
	}
	defer client.Close()
	return f(kadm.NewClient(client))
}

// createTopic makes the topic of the records, and refuses one that others use.
func (c *cluster) createTopic(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.admin(func(adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, partitions, -1, nil, topic)
		switch {
		case errors.Is(err, kerr.TopicAlreadyExists):
			return fmt.Errorf("topic %s exists already: name a new one with --topic", topic)
		case err != nil:
			return fmt.Errorf("create topic %s on %s: %w", topic, c.name, err)
		}
		c.created = append(c.created, topic)
		return nil
	})
}

// partitions of the topic of the records.
const partitions = 3

// close ends the embedded broker, or deletes the demo's topics.
func (c *cluster) close(keep bool) error {
	if c.fake != nil {
		c.fake.Close()
		return nil
	}
	if keep || len(c.created) == 0 {
		return nil
	}
	// The demo may have been interrupted, so its context is over.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := c.admin(func(adm *kadm.Client) error {
		res, err := adm.DeleteTopics(ctx, c.created...)
		for _, r := range res {
			if r.Err != nil && !errors.Is(r.Err, kerr.UnknownTopicOrPartition) {
				err = errors.Join(err, fmt.Errorf("topic %s: %w", r.Topic, r.Err))
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errLeft, err)
	}
	return nil
}

// ends returns where the partitions of the topics end now, without the empty
// ones, by topic and number.
func (c *cluster) ends(ctx context.Context, topics ...string) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ends := make(map[string]int64)
	err := c.admin(func(adm *kadm.Client) error {
		all, err := adm.ListEndOffsets(ctx, topics...)
		if err == nil {
			err = all.Error()
		}
		all.Each(func(o kadm.ListedOffset) {
			if o.Offset > 0 {
				ends[o.Topic+"-"+strconv.Itoa(int(o.Partition))] = o.Offset
			}
		})
		return err
	})
	return ends, err
}

// errLeft means that topics of the demo may be left on a real cluster.
var errLeft = errors.New("delete the demo's topics")

// files calls f with the content of every file that the embedded broker wrote,
// and with its path below the broker's directory.
func (c *cluster) files(f func(name string, content []byte)) error {
	return filepath.WalkDir(c.dataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.dataDir, path)
		if err != nil {
			return err
		}
		f(name, b)
		return nil
	})
}

// countingKMS counts the calls to a KMS.
type countingKMS struct {
	kms.Wrapper
	made, unwrapped atomic.Int64
}

func (c *countingKMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	c.made.Add(1)
	return c.Wrapper.Generate(ctx, kek, ec)
}

func (c *countingKMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	c.unwrapped.Add(1)
	return c.Wrapper.Unwrap(ctx, kek, wrapped, ec)
}
