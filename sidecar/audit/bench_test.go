package audit

import (
	"path/filepath"
	"testing"
)

// BenchmarkWrite has many callers wait for lines on a disk: they share syncs.
func BenchmarkWrite(b *testing.B) {
	l := openFile(b, Config{Path: filepath.Join(b.TempDir(), "audit")})
	const callers = 64
	b.SetParallelism(callers)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Write(b.Context(), reveal(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	s := l.Stats()
	b.ReportMetric(float64(s.Lines)/float64(s.Commits), "lines/sync")
}
