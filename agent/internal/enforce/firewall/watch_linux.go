package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"handrail/agent/internal/enforce"
)

// nfnlgrpNftables is the netlink group that hears of changes of rules (linux/netfilter/nfnetlink.h).
const nfnlgrpNftables = 7

// Watch implements enforce.Watcher: the kernel says when somebody changes our table.
func (*Enforcer) Watch(ctx context.Context, sys *enforce.System, changed func()) error {
	if !sys.HasKernel() {
		return nil
	}
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: 1 << (nfnlgrpNftables - 1)}); err != nil {
		syscall.Close(fd)
		return fmt.Errorf("netlink: %w", err)
	}
	f := os.NewFile(uintptr(fd), "netlink")
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	defer f.Close()
	b := make([]byte, 16<<10)
	for {
		n, err := f.Read(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil { // too many changes at once: one of them may have been ours
			changed()
			if n, ok := errno(err); !ok || n != syscall.ENOBUFS {
				return err
			}
			continue
		}
		if bytes.Contains(b[:n], []byte("handrail\x00")) {
			changed()
		}
	}
}

func errno(err error) (syscall.Errno, bool) {
	var n syscall.Errno
	ok := errors.As(err, &n)
	return n, ok
}
