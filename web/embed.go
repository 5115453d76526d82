//go:build console

package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS returns the console's files and true: this program was built with the console.
// index.html is at the root; what is below assets/ carries a hash of its content in its
// name and never changes. Beside each compressible file lie its .br and .gz forms.
func FS() (fs.FS, bool) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // "dist" is a valid path: see fs.ValidPath
	}
	return files, true
}
