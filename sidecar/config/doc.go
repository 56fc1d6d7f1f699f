// Package config reads the one file that configures the sidecar.
//
// Reading is strict: keys that are not known or come twice, values of another
// type, and all that makes a YAML text mean something else than it shows are
// errors, each with file, line and the path of its key. No text of an error holds
// a value, because any value can be a secret in the wrong place. Nothing in the
// file is expanded: a secret is named, by package secret, and read where it is
// used.
//
// The file consists of the sections of [Config], and of parts that other packages
// own: a [Part] gives its key and its defaults, and the package of the part keeps
// its struct and its checks. So this package knows of no other part of the
// sidecar, and the program that wires all of them lists them:
//
//	format := config.New(config.Part{Key: "kafka", Default: func() config.Section { … }})
//	cfg, err := format.Load("fieldveil.yaml")
//
// A variable of the environment stands above the file for every key that holds
// one value: FIELDVEIL_ADMIN_ADDR for admin.addr.
package config
