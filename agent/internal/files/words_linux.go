package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

// fault is a failure whose answer is known already.
type fault struct {
	code  signaling.FileFault
	words string
	entry *signaling.FileEntry
}

func (f *fault) Error() string { return f.words }

func faultf(code signaling.FileFault, format string, args ...any) error {
	return &fault{code: code, words: fmt.Sprintf(format, args...)}
}

// kinds says what errors of the system mean to the viewer, and how they read.
var kinds = []struct {
	err   error
	code  signaling.FileFault
	words string
}{
	{context.Canceled, signaling.FaultCancelled, "it was cancelled"},
	{unix.ENOENT, signaling.FaultMissing, "there is nothing of that name, or no longer"},
	{unix.EACCES, signaling.FaultDenied, "this user may not do that here"},
	{unix.EPERM, signaling.FaultDenied, "this user may not do that here"},
	{unix.EROFS, signaling.FaultDenied, "the file system can only be read"},
	{unix.EEXIST, signaling.FaultExists, "something of that name is there already"},
	{unix.ENOTEMPTY, signaling.FaultExists, "a folder of that name is there, and it is not empty"},
	{unix.EISDIR, signaling.FaultExists, "a folder of that name is there"},
	{unix.ENOTDIR, signaling.FaultMissing, "a part of the path is no folder"},
	{unix.ENOSPC, signaling.FaultFull, "the disk is full"},
	{unix.EDQUOT, signaling.FaultFull, "this user's share of the disk is used up"},
	{unix.EFBIG, signaling.FaultFull, "the file system takes no file of that size"},
	{unix.ENAMETOOLONG, signaling.FaultName, "the name is too long for this file system"},
	{unix.EINVAL, signaling.FaultName, "the file system does not take that"},
	{unix.EILSEQ, signaling.FaultName, "the file system does not take that name"},
	{unix.ELOOP, signaling.FaultKind, "links lead in a circle, or one stands in the way"},
	{unix.EXDEV, signaling.FaultFailed, "that is on another disk: copy it there, then delete it here"},
	{unix.EBUSY, signaling.FaultFailed, "the system uses it, as the place of another disk"},
	{unix.EIO, signaling.FaultFailed, "the disk does not work as it should (input/output error)"},
	{unix.EMFILE, signaling.FaultFailed, "folders lie too deep in one another"},
	{unix.ESTALE, signaling.FaultMissing, "it is gone from its server"},
	{errName, signaling.FaultName, ""},
	{errRoot, signaling.FaultName, ""},
	{errLink, signaling.FaultKind, ""},
	{errKind, signaling.FaultKind, ""},
	{errDeep, signaling.FaultFailed, ""},
	{fs.ErrClosed, signaling.FaultCancelled, "it was cancelled"},
}

// failed puts an error into words for the viewer.
func failed(job uint32, err error) signaling.FilesFailed {
	out := signaling.FilesFailed{Job: job, Fault: signaling.FaultFailed, Message: signaling.PrintableName(err.Error())}
	var f *fault
	if errors.As(err, &f) {
		out.Fault, out.Message, out.Entry = f.code, f.words, f.entry
		return out
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			out.Fault = k.code
			if k.words != "" {
				out.Message = k.words
			}
			break
		}
	}
	return out
}

// quoted is a path as the timeline has it.
func quoted(p string) string { return "“" + signaling.PrintableName(p) + "”" }

// sized is a number of bytes for people.
func sized(n int64) string {
	const unit = 1000
	if n < unit {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	v, suffix := float64(n)/unit, "kB"
	for _, next := range []string{"MB", "GB", "TB"} {
		if v < unit {
			break
		}
		v, suffix = v/unit, next
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + suffix
}

// counted is a number of things for people.
func counted(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.FormatInt(n, 10) + " entries"
}
