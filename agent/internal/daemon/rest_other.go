//go:build !linux

package daemon

func dropProgramPages() error { return nil }
