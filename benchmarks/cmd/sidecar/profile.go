package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
)

// obey takes and ends profiles as it is told, until there is nobody to tell.
func obey(in *bufio.Reader, out *json.Encoder, path string) error {
	var file *os.File
	for {
		word, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch word {
		case "begin\n":
			if file, err = os.Create(path); err == nil {
				err = pprof.StartCPUProfile(file)
			}
		case "end\n":
			pprof.StopCPUProfile()
			err = file.Close()
		default:
			err = fmt.Errorf("no such word: %q", word)
		}
		if err != nil {
			return err
		}
		if err := out.Encode(true); err != nil {
			return err
		}
	}
}
