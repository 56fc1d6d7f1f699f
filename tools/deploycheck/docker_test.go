package deploycheck

import (
	"bytes"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// words returns the words of an instruction.
func words(n *parser.Node) []string {
	var out []string
	for n = n.Next; n != nil; n = n.Next {
		out = append(out, n.Value)
	}
	return out
}

func TestTheImageHoldsABinaryAndNoRights(t *testing.T) {
	file, err := parser.Parse(bytes.NewReader(read(t, deploy+"docker/Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Warnings) > 0 {
		t.Errorf("%v", file.Warnings)
	}
	var stages [][]*parser.Node
	for _, n := range file.AST.Children {
		if strings.EqualFold(n.Value, "FROM") {
			stages = append(stages, nil)
		}
		if len(stages) > 0 {
			stages[len(stages)-1] = append(stages[len(stages)-1], n)
		}
	}
	if len(stages) != 2 || words(stages[1][0])[0] != "scratch" {
		t.Fatalf("%d stages", len(stages))
	}
	build := file.AST.Dump()
	for _, want := range []string{"CGO_ENABLED", "GOTOOLCHAIN", "-trimpath", "-buildid=", "GOFIPS140"} {
		if !strings.Contains(build, want) {
			t.Errorf("the build lacks %s", want)
		}
	}
	last := map[string][]string{}
	for _, n := range stages[1] {
		name := strings.ToUpper(n.Value)
		switch name {
		case "FROM", "ARG", "LABEL", "USER", "EXPOSE", "ENTRYPOINT", "CMD":
		case "COPY":
			if len(n.Flags) != 1 || n.Flags[0] != "--from=build" {
				t.Errorf("line %d copies %v", n.StartLine, words(n))
			}
		default:
			t.Errorf("line %d: %s in an image without a shell", n.StartLine, name)
		}
		last[name] = append(last[name], words(n)...)
	}
	if got := strings.Join(last["USER"], " "); got != "65532:65532" {
		t.Errorf("user %s", got)
	}
	if got := strings.Join(last["COPY"], " "); !strings.Contains(got, "/etc/ssl/certs/ca-certificates.crt") || !strings.Contains(got, "/out/fieldveil /fieldveil") || !strings.Contains(got, "LICENSE") {
		t.Errorf("copies %s", got)
	}
	if got := last["ENTRYPOINT"]; len(got) != 1 || got[0] != "/fieldveil" {
		t.Errorf("entry point %q", got)
	}
	labels := strings.Join(last["LABEL"], " ")
	for _, l := range []string{"title", "source", "licenses", "version", "revision", "created"} {
		if !strings.Contains(labels, "org.opencontainers.image."+l) {
			t.Errorf("no label %s", l)
		}
	}
}
