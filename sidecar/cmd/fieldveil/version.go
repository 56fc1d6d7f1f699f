package main

import (
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(t *terminal) error {
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintln(t.out, versionLine(info, fips140.Enabled()))
	return err
}

// versionLine says what was built from what. info is nil for a program that was
// built without modules.
func versionLine(info *debug.BuildInfo, fips bool) string {
	version, facts := "(unknown)", []string{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; revision != "" {
			commit := "commit " + revision
			if settings["vcs.modified"] == "true" {
				commit += " with changes"
			}
			facts = append(facts, commit)
		}
	}
	if fips {
		facts = append(facts, "FIPS 140-3 mode")
	}
	return "fieldveil " + version + " (" + strings.Join(facts, ", ") + ")"
}
