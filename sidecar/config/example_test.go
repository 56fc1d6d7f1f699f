package config_test

import (
	"fmt"
	"os"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// What is wrong is named by file, line and key, and never by its value.
func ExampleFormat_Parse() {
	_, err := config.New().Parse("fieldveil.yaml", []byte("version: 1\nadmin:\n  addr: 9191\n  port: 1\n"), os.Environ())
	fmt.Println(err)
	// Output:
	// fieldveil.yaml:3: admin.addr: expected text; put it in quotes
	// fieldveil.yaml:4: admin: unknown key "port" (known: addr, allowed_hosts, pprof)
}

// A change that protects less is found before anything follows it.
func ExampleFormat_Weakens() {
	format := config.New()
	running, err := format.Parse("fieldveil.yaml", []byte("version: 1\npolicy: {fips: true}\n"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	next, err := format.Parse("fieldveil.yaml", []byte("version: 1\n"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range format.Weakens(running, next) {
		fmt.Println(f)
	}
	// Output:
	// error [fips-off] policy.fips: approved algorithms only before, any now
}
