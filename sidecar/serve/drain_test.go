package serve

import (
	"context"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// A shutdown that left nothing behind must not look like another: alerts count
// those.
func TestADrainIsCountedByHowItEnded(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	forced, force := context.WithCancelCause(t.Context())
	force(sidecar.ErrForced)
	below, done := context.WithCancel(forced)
	defer done()
	for name, tt := range map[string]struct {
		ctx     context.Context
		unknown int
		want    string
	}{
		"all has its answer": {t.Context(), 0, "completed"},
		"records are left":   {t.Context(), 3, "timeout"},
		"the time is over":   {over, 0, "timeout"},
		"a second signal":    {below, 2, "forced"},
	} {
		o := telemetry.NewObserver(telemetry.Options{})
		o.Drained(drainCause(tt.ctx, tt.unknown), tt.unknown, 0)
		families, err := o.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "fieldveil_drains_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				cause := m.GetLabel()[0].GetValue()
				if counted := m.GetCounter().GetValue() > 0; counted != (cause == tt.want) {
					t.Errorf("%s: %s is counted %v", name, cause, m.GetCounter().GetValue())
				}
			}
			if !strings.Contains(f.String(), tt.want) {
				t.Errorf("%s: %v", name, f)
			}
		}
	}
}
