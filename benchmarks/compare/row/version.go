package row

import (
	"path"
	"runtime/debug"
	"strings"
)

// Version returns the versions that this program was built with of the modules,
// so that no document names another than the one measured. Of several modules it
// names each by the end of its path.
func Version(modules ...string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	return version(info.Deps, modules)
}

const unknown = "unknown"

func version(deps []*debug.Module, modules []string) string {
	built := map[string]string{}
	for _, m := range deps {
		built[m.Path] = m.Version
	}
	var out []string
	for _, m := range modules {
		v := built[m]
		if v == "" {
			v = unknown
		}
		if len(modules) > 1 {
			v = name(m) + " " + v
		}
		out = append(out, v)
	}
	return strings.Join(out, ", ")
}

// name is a path's last two parts, less a major version.
func name(module string) string {
	dir, last := path.Split(module)
	if len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		dir, last = path.Split(strings.TrimSuffix(dir, "/"))
	}
	return path.Join(path.Base(dir), last)
}
