//go:build !console

package web

import (
	"embed"
	"io/fs"
)

//go:embed placeholder
var placeholder embed.FS

// FS returns one page that says how to build the console, and false: this program was
// built without it.
func FS() (fs.FS, bool) {
	files, err := fs.Sub(placeholder, "placeholder")
	if err != nil {
		panic(err) // "placeholder" is a valid path: see fs.ValidPath
	}
	return files, false
}
