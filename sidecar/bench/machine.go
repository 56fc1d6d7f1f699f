package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// ThisMachine tells where a run takes place, and which commit it is of, where the
// program knows.
func ThisMachine() report.Machine {
	return report.Machine{
		GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		CPU: cpuModel(), MemoryMiB: memoryMiB(), Commit: revision(), Load: loadAverage(),
	}
}

// cpuModel returns the name of the processor, where the system tells it. The name
// of a virtual one says little, so its family and model are behind it.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	facts := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			break // the end of the first processor
		}
		facts[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	name := facts["model name"]
	if name == "" || facts["cpu family"] == "" {
		return name
	}
	return name + " (family " + facts["cpu family"] + ", model " + facts["model"] + ")"
}

func memoryMiB() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 || fields[0] != "MemTotal:" {
		return 0
	}
	kib, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return kib >> 10
}

// loadAverage returns that of the last minute, or -1.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return load
}

// revision names the commit that the program was built from, where known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			commit = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + modified
}
