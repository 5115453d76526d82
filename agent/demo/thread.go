//go:build linux

package main

import (
	"os/exec"
	"runtime"
	"sync"
)

// starter is the one OS thread that starts every process: the kernel delivers Pdeathsig
// when the starting *thread* ends, and Go ends threads as it likes unless one is locked.
type starter struct {
	once sync.Once
	jobs chan func()
}

var mainThread starter

func (s *starter) do(f func() error) error {
	s.once.Do(func() {
		s.jobs = make(chan func())
		go func() {
			runtime.LockOSThread()
			for job := range s.jobs {
				job()
			}
		}()
	})
	result := make(chan error, 1)
	s.jobs <- func() { result <- f() }
	return <-result
}

func startLocked(cmd *exec.Cmd) error { return mainThread.do(cmd.Start) }
