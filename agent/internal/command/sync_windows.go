package command

// syncDir does nothing: NTFS journals a rename by itself.
func syncDir(string) error { return nil }
