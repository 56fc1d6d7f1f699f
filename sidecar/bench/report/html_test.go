package report

import (
	"bytes"
	"testing"
)

// pages are all the samples as pages, by name.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	add := func(name string, r *Report, c *Comparison) {
		var b bytes.Buffer
		if err := WriteHTML(&b, r, c); err != nil {
			t.Fatal(err)
		}
		out[name] = b.Bytes()
	}
	add("small", small(), nil)
	old, now := rich(1, 1), rich(90, 1.15)
	c := Compare(old, now)
	add("rich", now, &c)
	for name, r := range poor() {
		add(name, r, nil)
	}
	foreign := Compare(poor()["one case"], now)
	add("other runs", now, &foreign)
	hostile := Compare(poor()["hostile"], poor()["hostile"])
	add("hostile compared", poor()["hostile"], &hostile)
	return out
}
