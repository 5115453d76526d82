package overlay

import "io/fs"

func keepOwner(string, fs.FileInfo) error { return nil }
