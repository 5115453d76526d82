package diag

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// WatchSystem calls changed whenever the system says that something in the inventory may have
// changed, until ctx ends: network addresses and links, sign-ins, mounts, what package
// managers write, accounts, and the configuration that compliance looks at. It holds some
// descriptors and wakes for nothing else. What nothing tells of (free space, ports, states of
// services) is looked at by the clock. changed is called from several goroutines.
func WatchSystem(ctx context.Context, changed func()) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watchNetwork(ctx, changed) })
	g.Go(func() error { return watchMounts(ctx, changed) })
	g.Go(func() error {
		if err := watchFiles(ctx, "", changed); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	})
	return g.Wait()
}

// WatchTree is WatchSystem for a tree of NewTreeCollector.
func WatchTree(ctx context.Context, root string, changed func()) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watchNetwork(ctx, changed) })
	g.Go(func() error { return watchFiles(ctx, root, changed) })
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

// watched are the places whose changes change the inventory. Directories are watched, where
// there is a choice, since files are replaced rather than written to.
var watched = []string{
	"/run/systemd/sessions", "/run/utmp", "/var/log/wtmp",
	"/var/lib/dpkg", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/flatpak", "/var/lib/snapd/snaps", "/var/lib/apt/periodic", "/opt",
	"/etc", "/etc/ssh", "/etc/ssh/sshd_config.d", "/etc/sudoers.d", "/etc/pam.d", "/etc/security", "/etc/security/pwquality.conf.d", "/etc/modprobe.d", "/etc/ufw",
	"/etc/firewalld", "/etc/dconf/profile", "/etc/dconf/db", "/etc/apt", "/etc/apt/apt.conf.d", "/etc/apt/sources.list.d", "/etc/systemd/system", "/etc/gdm3", "/etc/lightdm",
	"/etc/sysctl.d", "/etc/audit", "/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors", "/etc/NetworkManager/system-connections",
}

// watchFiles watches what is there of them below root.
func watchFiles(ctx context.Context, root string, changed func()) error {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	const mask = syscall.IN_CLOSE_WRITE | syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_MOVED_TO | syscall.IN_MOVED_FROM | syscall.IN_ATTRIB
	found := false
	for _, p := range watched {
		if _, err := syscall.InotifyAddWatch(fd, root+p, mask); err == nil {
			found = true
		}
	}
	if !found {
		syscall.Close(fd)
		return os.ErrNotExist
	}
	return readAll(ctx, fd, "inotify", changed)
}

// watchMounts is told by the kernel when the table of mounts changes: /proc/self/mounts has
// something urgent then (proc(5)). The descriptor waits in an epoll of its own, which
// the runtime's poller can wait for in turn: no thread is held.
func watchMounts(ctx context.Context, changed func()) error {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	defer mounts.Close()
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	if err = syscall.SetNonblock(epoll, true); err == nil {
		event := syscall.EpollEvent{Events: syscall.EPOLLPRI}
		err = syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(mounts.Fd()), &event)
	}
	if err != nil {
		syscall.Close(epoll)
		return fmt.Errorf("mounts: %w", err)
	}
	f := os.NewFile(uintptr(epoll), "mounts") //nolint:gosec // a descriptor is never negative here
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	conn, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	var events [1]syscall.EpollEvent
	_, _ = syscall.EpollWait(epoll, events[:], 0) // the table as it is
	for {
		// Whoever asks for the event takes it, the poller first: that it woke is the news.
		woken := false
		err := conn.Read(func(fd uintptr) bool {
			_, _ = syscall.EpollWait(int(fd), events[:], 0)
			was := woken
			woken = true
			return was
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("mounts: %w", err)
		}
		changed()
	}
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
