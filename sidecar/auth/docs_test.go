package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/sidecar/audit"
)

func TestTheConfigurationsOfThePageAreRead(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "access.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for i, part := range strings.Split(string(page), "```") {
		text, ok := strings.CutPrefix(part, "yaml\n")
		if i%2 == 0 || !ok {
			continue
		}
		blocks++
		var c struct {
			Auth  Config       `yaml:"auth"`
			Audit audit.Config `yaml:"audit"`
		}
		d := yaml.NewDecoder(strings.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := c.Auth.Validate(); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if err := c.Audit.Validate(); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if blocks != 4 {
		t.Errorf("%d configurations", blocks)
	}
	for op := range operations {
		if !strings.Contains(string(page), "| `"+op.String()+"` | ") {
			t.Errorf("the page does not say what %v is", op)
		}
	}
}
