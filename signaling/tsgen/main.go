// Command tsgen writes what the viewer must know of the wire as TypeScript: the messages of
// signaling with their comments, codes and limits (wire.gen.ts), and the frame numbers and key
// codes of signaling/input (keys.gen.ts). The files are committed; a test fails when they have
// drifted. Run it from the module's root: go run ./signaling/tsgen
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// outputs maps a generated file, from the module's root, to what writes it.
var outputs = map[string]func(root string) ([]byte, error){
	"viewer/src/session/wire.gen.ts": wire,
	"viewer/src/session/keys.gen.ts": keys,
}

func main() {
	root := flag.String("root", ".", "root of the module")
	check := flag.Bool("check", false, "write nothing; fail when a file differs")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "tsgen:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	for name, write := range outputs {
		want, err := write(root)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		path := filepath.Join(root, filepath.FromSlash(name))
		if check {
			got, err := os.ReadFile(path) //nolint:gosec // a path of this repository
			if err != nil {
				return err
			}
			if !bytes.Equal(got, want) {
				return fmt.Errorf("%s has drifted from the Go types: run go run ./signaling/tsgen", name)
			}
			continue
		}
		if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // source code, for everybody to read
			return err
		}
	}
	return nil
}
