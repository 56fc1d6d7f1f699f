package deploycheck

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func yamlFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	if err := filepath.WalkDir(deploy, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			out = append(out, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(out) < 8 {
		t.Fatalf("only %q", out)
	}
	return out
}

func decode(t *testing.T, text []byte) appsv1.Deployment {
	t.Helper()
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// built returns what kustomize makes of a folder.
func built(t *testing.T, folder string) (appsv1.Deployment, corev1.ConfigMap) {
	t.Helper()
	out, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), deploy+"kustomize/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	var c corev1.ConfigMap
	for _, r := range out.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		switch r.GetKind() {
		case "Deployment":
			d = decode(t, text)
		case "ConfigMap":
			if err := yaml.UnmarshalStrict(text, &c); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("a %s", r.GetKind())
		}
	}
	return d, c
}

// sidecar checks what must hold for every way to deploy, and returns the sidecar.
func sidecar(t *testing.T, d appsv1.Deployment) corev1.Container {
	t.Helper()
	pod := d.Spec.Template.Spec
	if len(pod.InitContainers) != 1 || pod.InitContainers[0].Name != "fieldveil" {
		t.Fatalf("init containers %v", pod.InitContainers)
	}
	c := pod.InitContainers[0]
	if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("is no native sidecar")
	}
	for name, probe := range map[string]*corev1.Probe{"/startupz": c.StartupProbe, "/readyz": c.ReadinessProbe, "/livez": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name || probe.HTTPGet.Port.String() != "admin" {
			t.Errorf("probe %s: %v", name, probe)
		}
	}
	if len(c.Ports) != 1 || c.Ports[0].Name != "admin" || d.Spec.Template.Annotations["prometheus.io/port"] != "9191" || c.Ports[0].ContainerPort != 9191 {
		t.Errorf("ports %v", c.Ports)
	}
	s := c.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != 65532 ||
		s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
		s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 || s.Privileged != nil {
		t.Errorf("security %v", s)
	}
	p := pod.SecurityContext
	if p == nil || p.SeccompProfile == nil || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		p.FSGroup == nil || *p.FSGroup != *s.RunAsGroup || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("pod %v", p)
	}
	if pod.HostNetwork || pod.HostPID || pod.ShareProcessNamespace != nil {
		t.Error("the pod shares what it must not")
	}
	// 30 seconds of the application, 5 of the drain delay, 30 of the drain.
	if g := pod.TerminationGracePeriodSeconds; g == nil || *g < 30+5+30 || c.Lifecycle != nil {
		t.Errorf("grace period %v, lifecycle %v", g, c.Lifecycle)
	}
	limit, goLimit := c.Resources.Limits.Memory(), ""
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			goLimit = e.Value
		} else if e.Value != "" && e.ValueFrom == nil {
			t.Errorf("%s in the environment", e.Name)
		}
	}
	if want := map[string]string{"256Mi": "230MiB", "512Mi": "460MiB"}[limit.String()]; want == "" || goLimit != want || !c.Resources.Limits.Cpu().IsZero() {
		t.Errorf("memory %s and GOMEMLIMIT %s, cpu limit %s", limit, goLimit, c.Resources.Limits.Cpu())
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] || m.SubPath != "" {
			t.Errorf("mount %v", m)
		}
		if m.Name != "socket" && !m.ReadOnly {
			t.Errorf("%s can be written to", m.Name)
		}
	}
	return c
}

func TestTheSidecarStartsFirstStopsLastAndHasNoRights(t *testing.T) {
	tcp := decode(t, read(t, deploy+"kubernetes/native-sidecar.yaml"))
	sidecar(t, tcp)
	base, _ := built(t, "base")
	sidecar(t, base)
	// The base is the manifest without its comments, and with names for images.
	base.Spec.Template.Spec.InitContainers[0].Image = tcp.Spec.Template.Spec.InitContainers[0].Image
	want, err1 := yaml.Marshal(tcp)
	have, err2 := yaml.Marshal(base)
	if err1 != nil || err2 != nil || !bytes.Equal(want, have) {
		t.Errorf("the base differs\n%s\nfrom the manifest\n%s", have, want)
	}
}

func TestTheUnixSocketIsInMemoryAndShared(t *testing.T) {
	d := decode(t, read(t, deploy+"kubernetes/unix-socket.yaml"))
	c := sidecar(t, d)
	pod := d.Spec.Template.Spec
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == "socket" })
	if i < 0 || pod.Volumes[i].EmptyDir == nil || pod.Volumes[i].EmptyDir.Medium != corev1.StorageMediumMemory {
		t.Fatalf("volumes %v", pod.Volumes)
	}
	for _, mounts := range [][]corev1.VolumeMount{c.VolumeMounts, pod.Containers[0].VolumeMounts} {
		if !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool {
			return m.Name == "socket" && m.MountPath == "/run/fieldveil" && !m.ReadOnly
		}) {
			t.Errorf("mounts %v", mounts)
		}
	}
	if !slices.Contains(pod.SecurityContext.SupplementalGroups, *c.SecurityContext.RunAsGroup) {
		t.Error("the application may not open the socket")
	}
}

func TestTheOverlayChangesTheImageTheSizeAndTheConfiguration(t *testing.T) {
	d, c := built(t, "overlays/production")
	s := sidecar(t, d)
	if !strings.Contains(s.Image, "@sha256:") || *d.Spec.Replicas != 6 || d.Namespace != "orders" {
		t.Errorf("image %s, %d replicas in %s", s.Image, *d.Spec.Replicas, d.Namespace)
	}
	// A name with a hash would replace all pods for each change.
	if c.Name != "fieldveil" || c.Data["policy.yaml"] != string(read(t, deploy+"kustomize/base/policy.yaml")) ||
		c.Data["config.yaml"] != string(read(t, deploy+"kustomize/overlays/production/config.yaml")) {
		t.Errorf("%s %v", c.Name, c.Data)
	}
}

func TestNoSecretStandsInAFile(t *testing.T) {
	err := filepath.WalkDir(deploy, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, word := range []string{"{value:", "BEGIN ", "AKIA", "kind: Secret"} {
			if strings.Contains(string(text), word) && !strings.Contains(path, "rules_test") {
				t.Errorf("%s has %q", path, word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
