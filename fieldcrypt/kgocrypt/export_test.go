package kgocrypt

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
)

// NothingLeft tells whether a census takes a partition for read that stands at
// next of end.
func NothingLeft(ctx context.Context, opts []kgo.Opt, topic string, next, end int64) (bool, error) {
	client, err := kgo.NewClient(append(opts, kgo.MaxVersions(kversion.V2_7_0()))...)
	if err != nil {
		return false, err
	}
	defer client.Close()
	p := counted{Partition: keyops.Partition{Topic: topic, Next: next, End: end}}
	return p.nothingLeft(ctx, client, 0)
}
