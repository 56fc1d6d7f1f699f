package envelope

import (
	"encoding/base64"
	"testing"
)

func BenchmarkText(b *testing.B) {
	src := make([]byte, 80)
	dst := make([]byte, 0, 200)
	b.Run("impl=table", func(b *testing.B) {
		for b.Loop() {
			dst = AppendBase64(dst[:0], src)
		}
	})
	b.Run("impl=encoding", func(b *testing.B) {
		for b.Loop() {
			dst = base64.RawURLEncoding.AppendEncode(dst[:0], src)
		}
	})
	text := AppendText(nil, src)
	b.Run("impl=table-decode", func(b *testing.B) {
		for b.Loop() {
			var err error
			if dst, err = ParseText(dst[:0], text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
