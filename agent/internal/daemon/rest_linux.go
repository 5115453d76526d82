package daemon

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dropProgramPages lets go of the pages of the program's and its libraries' files that were
// only needed to start. What is needed again comes back from the page cache. Only mappings
// that cannot be written and hold nothing of our own are touched: their pages are the
// file's.
func dropProgramPages() error {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	var errs []error
	var from, to uintptr
	isFile := false
	s := bufio.NewScanner(f)
	for s.Scan() {
		w := strings.Fields(s.Text())
		switch {
		case len(w) >= 5 && strings.Contains(w[0], "-") && len(w[1]) == 4:
			isFile = len(w) >= 6 && strings.HasPrefix(w[5], "/") && w[1][0] == 'r' && w[1][1] == '-' && w[1][3] == 'p'
			a, b, _ := strings.Cut(w[0], "-")
			x, err1 := strconv.ParseUint(a, 16, 64)
			y, err2 := strconv.ParseUint(b, 16, 64)
			isFile = isFile && err1 == nil && err2 == nil
			from, to = uintptr(x), uintptr(y)
		case len(w) >= 2 && (w[0] == "Anonymous:" || w[0] == "Private_Dirty:") && w[1] != "0":
			isFile = false // relocated when it was loaded
		case len(w) >= 1 && w[0] == "VmFlags:" && isFile:
			if _, _, n := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED); n != 0 {
				errs = append(errs, n)
			}
			isFile = false
		}
	}
	return errors.Join(append(errs, s.Err())...)
}
