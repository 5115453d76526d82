package diag

import (
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// ownerOf returns who owns a file; -1 where the file system does not say.
func ownerOf(info fs.FileInfo) (uid, gid int64) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int64(st.Uid), int64(st.Gid)
}

// openAt opens /name to read. A pipe does not hold it up, and a link at the end of the
// name is not followed.
func openAt(name string) (fs.File, error) {
	return os.OpenFile("/"+name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
}

// clockUnsynced asks the kernel whether its clock is steered (adjtimex(2)).
func clockUnsynced() (bool, error) {
	const staUnsync, timeError = 0x40, 5
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	return t.Status&staUnsync != 0 || state == timeError, err
}

// nvmeCommand is struct nvme_admin_cmd of linux/nvme_ioctl.h.
type nvmeCommand struct {
	opcode, flags    uint8
	_                uint16
	nsid             uint32
	_, _             uint32
	_                uint64
	addr             uint64
	_                uint32
	dataLen          uint32
	cdw10, cdw11     uint32
	_, _, _, _       uint32
	timeoutMS, reply uint32
}

// readNVMeLog reads log page 2 of a disk ("nvme0n1"), which only root may.
func readNVMeLog(disk string) ([]byte, error) {
	const (
		ioctlAdmin  = 0xC0484E41 // NVME_IOCTL_ADMIN_CMD
		getLogPage  = 0x02
		healthPage  = 0x02
		pageDoubles = smartLogSize/4 - 1
	)
	f, err := os.OpenFile("/dev/"+disk, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page := make([]byte, smartLogSize)
	cmd := nvmeCommand{
		opcode: getLogPage, nsid: 0xffffffff, addr: uint64(uintptr(unsafe.Pointer(&page[0]))), dataLen: smartLogSize,
		cdw10: healthPage | pageDoubles<<16, timeoutMS: 2000,
	}
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctlAdmin, uintptr(unsafe.Pointer(&cmd)))
	runtime.KeepAlive(page) // the kernel writes to it
	if errno != 0 {
		return nil, errno
	}
	return page, nil
}
