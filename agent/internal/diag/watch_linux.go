package diag

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// WatchSystem calls changed whenever the kernel says that a network address or link came or
// went, or somebody signed in or out, until ctx ends. It holds two descriptors and wakes
// for nothing else.
func WatchSystem(ctx context.Context, changed func()) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watchNetwork(ctx, changed) })
	g.Go(func() error {
		if err := watchSignIns(ctx, changed); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	})
	return g.Wait()
}

// watchNetwork listens to rtnetlink(7). Only that something changed matters, so messages
// are not parsed.
func watchNetwork(ctx context.Context, changed func()) error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	const groups = 1<<(syscall.RTNLGRP_LINK-1) | 1<<(syscall.RTNLGRP_IPV4_IFADDR-1) | 1<<(syscall.RTNLGRP_IPV6_IFADDR-1)
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: groups}); err != nil {
		syscall.Close(fd)
		return fmt.Errorf("netlink: %w", err)
	}
	return readAll(ctx, fd, "netlink", changed)
}

// watchSignIns watches what logind or utmp keeps.
func watchSignIns(ctx context.Context, changed func()) error {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	const mask = syscall.IN_CLOSE_WRITE | syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_MOVED_TO
	found := false
	for _, p := range []string{"/run/systemd/sessions", "/run/utmp"} {
		if _, err := syscall.InotifyAddWatch(fd, p, mask); err == nil {
			found = true
		}
	}
	if !found {
		syscall.Close(fd)
		return os.ErrNotExist
	}
	return readAll(ctx, fd, "inotify", changed)
}

// readAll drains a descriptor through the runtime's poller and calls changed for each read.
func readAll(ctx context.Context, fd int, name string, changed func()) error {
	f := os.NewFile(uintptr(fd), name) //nolint:gosec // a descriptor is never negative here
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	buf := make([]byte, 16<<10)
	for {
		if _, err := f.Read(buf); err != nil {
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, syscall.ENOBUFS): // more happened than fits: that, too, is a change
			default:
				return err
			}
		}
		changed()
	}
}
