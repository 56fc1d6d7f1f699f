package telemetry

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	oneTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	broker  = kgo.BrokerMetadata{NodeID: 1}
	e2e     = kgo.BrokerE2E{BytesWritten: 1, TimeToWrite: time.Millisecond}
	batch   = kgo.ProduceBatchMetrics{NumRecords: 1, CompressedBytes: 1}
)
