package serve

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// What is in the folder deploy is what people begin with.
func TestTheConfigurationsToDeployAreValidAndFitTheManifests(t *testing.T) {
	const folder = "../../deploy/"
	manifests, err := filepath.Glob(folder + "kubernetes/*.yaml")
	if err != nil || len(manifests) < 2 {
		t.Fatalf("%q, %v", manifests, err)
	}
	for _, name := range []string{"base", "overlays/production"} {
		t.Run(name, func(t *testing.T) {
			// The overlay has the policy of the base, in the same ConfigMap.
			dir := t.TempDir()
			for _, f := range []string{"kustomize/base/policy.yaml", "kustomize/" + name + "/config.yaml"} {
				b, err := os.ReadFile(folder + f)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := Format().LoadWith(filepath.Join(dir, "config.yaml"), config.Environment(nil))
			if err != nil {
				t.Fatal(err)
			}
			usual := Format().Defaults()
			if c.Listen != usual.Listen || port(t, c.Admin.Addr) != port(t, usual.Admin.Addr) {
				t.Errorf("listeners %+v and %s are not the usual ones", c.Listen, c.Admin.Addr)
			}
			for _, m := range append(manifests, folder+"kustomize/base/deployment.yaml") {
				b, err := os.ReadFile(m)
				if err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"containerPort: " + port(t, c.Admin.Addr) + "}", `prometheus.io/port: "` + port(t, c.Admin.Addr) + `"`} {
					if !strings.Contains(string(b), want) {
						t.Errorf("%s lacks %s", m, want)
					}
				}
			}
		})
	}
	image, err := os.ReadFile(folder + "docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	usual := Format().Defaults()
	want := "\nEXPOSE " + port(t, usual.Listen.REST) + " " + port(t, usual.Listen.GRPC) + " " + port(t, usual.Admin.Addr) + "\n"
	if !strings.Contains(string(image), want) {
		t.Errorf("the image lacks %q", want)
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
