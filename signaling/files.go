package signaling

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Messages of the tool "files": what is on the device's disks, and moving it. They go over the tool's
// channel as envelopes in text frames; the content of files goes in between, as blocks in binary
// frames (see signaling/file). A channel begins with FilesOpen and FilesHello. Each thing asked for is
// a job, numbered by the viewer; every answer names its job, and the last one is FilesDone or
// FilesFailed. Of get and put, a channel carries one at a time.
//
//	list    viewer FilesList,  helper FilesPage, viewer FilesMore, helper FilesPage … until its Last
//	get     viewer FilesGet,   helper FilesMeta, blocks; viewer FilesAck as they are kept; helper FilesDone with the sum
//	put     viewer FilesPut,   helper FilesReady; viewer blocks; helper FilesAck as they are kept; viewer FilesEnd; helper FilesDone
//	others  viewer FilesMake, FilesMove, FilesDelete or FilesSet; helper FilesProgress as often as need be, FilesDone
const (
	TypeFilesOpen     Type = "files.open"
	TypeFilesHello    Type = "files.hello"
	TypeFilesList     Type = "files.list"
	TypeFilesMore     Type = "files.more"
	TypeFilesPage     Type = "files.page"
	TypeFilesMake     Type = "files.make"
	TypeFilesMove     Type = "files.move"
	TypeFilesDelete   Type = "files.delete"
	TypeFilesSet      Type = "files.set"
	TypeFilesGet      Type = "files.get"
	TypeFilesMeta     Type = "files.meta"
	TypeFilesPut      Type = "files.put"
	TypeFilesReady    Type = "files.ready"
	TypeFilesAck      Type = "files.ack"
	TypeFilesEnd      Type = "files.end"
	TypeFilesProgress Type = "files.progress"
	TypeFilesDone     Type = "files.done"
	TypeFilesFailed   Type = "files.failed"
	TypeFilesCancel   Type = "files.cancel"
)

// ToolFiles names the tool.
const ToolFiles = "files"

// Limits of names, in bytes, as Linux has them.
const (
	MaxFileName = 255
	MaxFilePath = 4095
)

// FileName is a name or a path of a device, whose bytes may be any but NUL: they need not be text.
type FileName struct {
	Text string `json:"text"`          // to be shown; what cannot be is written as \x1b or \u202e
	Raw  []byte `json:"raw,omitempty"` // the bytes, where Text is not just them
}

// NameFile returns the name whose bytes are b.
func NameFile(b string) FileName {
	text := PrintableName(b)
	if text == b {
		return FileName{Text: b}
	}
	return FileName{Text: text, Raw: []byte(b)}
}

// Bytes returns the name as the device has it.
func (n FileName) Bytes() string {
	if len(n.Raw) > 0 {
		return string(n.Raw)
	}
	return n.Text
}

// PrintableName returns a name as it can be shown and logged: control characters, those that turn
// the direction of writing, and what is no UTF-8 are written out.
func PrintableName(b string) string {
	var out strings.Builder
	for at := 0; at < len(b); {
		r, n := utf8.DecodeRuneInString(b[at:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x80 && !unicode.IsPrint(r):
			fmt.Fprintf(&out, `\x%02x`, b[at])
		case unicode.IsPrint(r), r == 0x200c, r == 0x200d: // joiners are part of words and of emoji
			out.WriteString(b[at : at+n])
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		at += n
	}
	return out.String()
}

// check bounds a name; what may be in it is the device's to say.
func (n FileName) check(field string, limit int) error {
	if len(n.Raw) > limit || len(n.Bytes()) == 0 {
		return fmt.Errorf("%s is %d bytes, want 1 to %d", field, len(n.Bytes()), limit)
	}
	if strings.ContainsRune(n.Bytes(), 0) {
		return fmt.Errorf("%s holds a NUL", field)
	}
	return checkText(field, n.Text, 4*limit)
}

func (n FileName) checkPath(field string) error { return n.check(field, MaxFilePath) }

// FileKind says what a name stands for.
type FileKind string

// The kinds. Only files are ever opened, and folders listed.
const (
	FileRegular FileKind = "file"
	FileFolder  FileKind = "folder"
	FileLink    FileKind = "link"
	FileDevice  FileKind = "device"
	FileSocket  FileKind = "socket"
	FileFIFO    FileKind = "fifo"
	FileGone    FileKind = "gone"  // a link to nowhere, or vanished while it was looked at
	FileOther   FileKind = "other" // something this system alone has
)

// FileEntry is what stands at a name.
type FileEntry struct {
	Name       FileName  `json:"name"`
	Kind       FileKind  `json:"kind"`
	Size       int64     `json:"size"`        // bytes of content
	ModifiedMS int64     `json:"modified_ms"` // the device's clock, Unix
	Mode       uint32    `json:"mode"`        // the twelve permission bits
	Owner      string    `json:"owner"`       // account, or its number
	Group      string    `json:"group"`
	Target     *FileName `json:"target,omitempty"`      // where a link points, as it is written
	TargetKind FileKind  `json:"target_kind,omitempty"` // what is there
}

func (e FileEntry) check() error {
	return firstError(e.Name.check("name", MaxFileName), checkText("kind", string(e.Kind), 16), checkText("owner", e.Owner, 256),
		checkText("group", e.Group, 256), checkText("target_kind", string(e.TargetKind), 16), e.checkTarget())
}

func (e FileEntry) checkTarget() error {
	if e.Target == nil {
		return nil
	}
	return e.Target.checkPath("target")
}

// FilesOpen begins: as the person signed in, or as administrator where the session holds root.
type FilesOpen struct {
	Admin bool `json:"admin"`
}

// FilesHello says as whom, and where to begin.
type FilesHello struct {
	User   string      `json:"user"` // account whose rights hold
	Admin  bool        `json:"admin"`
	Home   FileName    `json:"home"`
	Places []FilePlace `json:"places"`
}

// FilePlace is a place worth a click.
type FilePlace struct {
	Kind  string   `json:"kind"` // home, desktop, downloads, documents, root or disk
	Path  FileName `json:"path"`
	Bytes int64    `json:"bytes"` // of its file system; 0 where unknown
	Free  int64    `json:"free"`  // that this user may fill
}

const maxPlaces = 64

func (h FilesHello) validate() error {
	if len(h.Places) > maxPlaces {
		return fmt.Errorf("%d places, at most %d", len(h.Places), maxPlaces)
	}
	for _, p := range h.Places {
		if err := firstError(checkText("place", p.Kind, 32), p.Path.checkPath("place")); err != nil {
			return err
		}
	}
	return firstError(checkText("user", h.User, 256), h.Home.checkPath("home"))
}

// FilesList asks what is in a folder. Links on the way are followed: FilesPage says where that led.
type FilesList struct {
	Job   uint32   `json:"job"`
	Path  FileName `json:"path"`
	Match string   `json:"match,omitempty"` // only names that hold this, whatever the case
}

func (l FilesList) validate() error {
	return firstError(l.Path.checkPath("path"), checkText("match", l.Match, 4*MaxFileName))
}

// FilesMore asks for the next page of a list.
type FilesMore struct {
	Job uint32 `json:"job"`
}

// FilesPage is part of a list. Folders come first and names in order, where Sorted says so: a folder
// too large to be held in memory comes in the order it has on disk.
type FilesPage struct {
	Job      uint32      `json:"job"`
	Path     FileName    `json:"path"` // without links
	Entries  []FileEntry `json:"entries"`
	Sorted   bool        `json:"sorted"`
	Last     bool        `json:"last"`
	Writable bool        `json:"writable"` // this user may put something here
	Bytes    int64       `json:"bytes"`    // of the file system
	Free     int64       `json:"free"`
}

// MaxFilePage is how many entries one page has at most.
const MaxFilePage = 512

func (p FilesPage) validate() error {
	if len(p.Entries) > MaxFilePage {
		return fmt.Errorf("%d entries, at most %d", len(p.Entries), MaxFilePage)
	}
	for _, e := range p.Entries {
		if err := e.check(); err != nil {
			return err
		}
	}
	return p.Path.checkPath("path")
}

// FilesMake makes a folder, and those above it that are missing.
type FilesMake struct {
	Job  uint32   `json:"job"`
	Path FileName `json:"path"`
}

func (m FilesMake) validate() error { return m.Path.checkPath("path") }

// FilesMove gives something another name or place, on the same file system.
type FilesMove struct {
	Job     uint32   `json:"job"`
	From    FileName `json:"from"`
	To      FileName `json:"to"`
	Replace bool     `json:"replace"` // what is there, unless it is a folder
}

func (m FilesMove) validate() error {
	return firstError(m.From.checkPath("from"), m.To.checkPath("to"))
}

// FilesDelete deletes for good, folders with all that is in them. Links are deleted, not followed.
type FilesDelete struct {
	Job   uint32     `json:"job"`
	Paths []FileName `json:"paths"`
}

const maxPaths = 256

func (d FilesDelete) validate() error { return checkPaths(d.Paths) }

func checkPaths(list []FileName) error {
	if len(list) == 0 || len(list) > maxPaths {
		return fmt.Errorf("%d paths, want 1 to %d", len(list), maxPaths)
	}
	for _, p := range list {
		if err := p.checkPath("path"); err != nil {
			return err
		}
	}
	return nil
}

// FilesSet changes permissions and owner. Of folders it may reach what is in them.
type FilesSet struct {
	Job    uint32     `json:"job"`
	Paths  []FileName `json:"paths"`
	Mode   *uint32    `json:"mode,omitempty"`  // the twelve permission bits
	Owner  string     `json:"owner,omitempty"` // account or number; only an administrator may
	Group  string     `json:"group,omitempty"`
	Within bool       `json:"within"` // folders with all that is in them
}

func (s FilesSet) validate() error {
	if s.Mode != nil && *s.Mode > 0o7777 {
		return fmt.Errorf("mode %o", *s.Mode)
	}
	return firstError(checkPaths(s.Paths), checkText("owner", s.Owner, 256), checkText("group", s.Group, 256))
}

// FilesGet asks for a file's content, or for folders and files as one ZIP archive.
type FilesGet struct {
	Job     uint32     `json:"job"`
	Path    FileName   `json:"path"`              // of an archive: the folder that its Names are in
	Offset  int64      `json:"offset"`            // what the viewer has already
	Limit   int64      `json:"limit"`             // bytes to send at most; 0 is all
	Version string     `json:"version,omitempty"` // as FilesMeta had it: another one is FaultChanged
	Follow  bool       `json:"follow"`            // the path is a link, and what it points to is meant
	Names   []FileName `json:"names,omitempty"`   // archive: what to take; 1 to 256
}

func (g FilesGet) validate() error {
	if len(g.Names) > 0 {
		if err := checkPaths(g.Names); err != nil {
			return err
		}
	}
	return firstError(g.Path.checkPath("path"), atLeast("offset", g.Offset, 0), atLeast("limit", g.Limit, 0), checkText("version", g.Version, 128))
}

// FilesMeta comes before the blocks of a get.
type FilesMeta struct {
	Job     uint32    `json:"job"`
	Entry   FileEntry `json:"entry"`
	Path    FileName  `json:"path"`
	Version string    `json:"version"` // changes with the content
	Size    int64     `json:"size"`    // of the whole; -1 where it shows only at the end
	Offset  int64     `json:"offset"`  // of the first block
}

func (m FilesMeta) validate() error {
	return firstError(m.Entry.check(), m.Path.checkPath("path"), checkText("version", m.Version, 128))
}

// FileConflict says what to do where there is something of the name already.
type FileConflict string

// The choices. To skip is the viewer's own.
const (
	ConflictAsk     FileConflict = "ask"     // FaultExists, and the viewer asks its operator
	ConflictReplace FileConflict = "replace" // keeps mode and owner
	ConflictKeep    FileConflict = "keep"    // both: the new one is called "name (2)"
)

// FilesPut begins to write a file. Its blocks go to a hidden file beside it, which takes the name
// once it is whole. The same put after a cut goes on where that ends.
type FilesPut struct {
	Job        uint32       `json:"job"`
	Folder     FileName     `json:"folder"`
	Name       FileName     `json:"name"`
	Size       int64        `json:"size"`
	ModifiedMS int64        `json:"modified_ms"` // 0 leaves it to the device
	Conflict   FileConflict `json:"conflict"`
	Version    string       `json:"version,omitempty"` // with replace: only while the file is this one, otherwise FaultChanged
	Fresh      bool         `json:"fresh"`             // what came before a cut is dropped
}

func (p FilesPut) validate() error {
	switch p.Conflict {
	case ConflictAsk, ConflictReplace, ConflictKeep:
	default:
		return fmt.Errorf("conflict %q", trim(string(p.Conflict), 32))
	}
	return firstError(p.Folder.checkPath("folder"), p.Name.check("name", MaxFileName), atLeast("size", p.Size, 0), checkText("version", p.Version, 128))
}

// FilesReady says where the blocks of a put are to begin.
type FilesReady struct {
	Job    uint32 `json:"job"`
	Offset int64  `json:"offset"`
}

// FilesAck says up to where the receiver of blocks has kept them.
type FilesAck struct {
	Job    uint32 `json:"job"`
	Offset int64  `json:"offset"`
}

func (a FilesAck) validate() error { return atLeast("offset", a.Offset, 0) }

// FilesEnd ends the blocks of a put.
type FilesEnd struct {
	Job    uint32 `json:"job"`
	SHA256 string `json:"sha256"` // of the whole file, in hexadecimal digits
}

func (e FilesEnd) validate() error { return checkText("sha256", e.SHA256, 64) }

// FilesProgress says how far a job is.
type FilesProgress struct {
	Job   uint32 `json:"job"`
	Count int64  `json:"count"` // things done
	Bytes int64  `json:"bytes"`
}

// FilesDone ends a job well.
type FilesDone struct {
	Job    uint32     `json:"job"`
	Count  int64      `json:"count"`
	Bytes  int64      `json:"bytes"`
	SHA256 string     `json:"sha256,omitempty"` // of a whole file that was moved
	Entry  *FileEntry `json:"entry,omitempty"`  // what is there now
}

func (d FilesDone) validate() error {
	if d.Entry != nil {
		if err := d.Entry.check(); err != nil {
			return err
		}
	}
	return checkText("sha256", d.SHA256, 64)
}

// FileFault says why a job failed, for what the viewer does next.
type FileFault string

// The faults.
const (
	FaultExists    FileFault = "exists"    // Entry is what is there
	FaultMissing   FileFault = "missing"   // nothing of that name, or no more
	FaultDenied    FileFault = "denied"    // this user may not
	FaultChanged   FileFault = "changed"   // since the viewer looked
	FaultFull      FileFault = "full"      // the disk, or the user's share of it; Kept and Free say how it stands
	FaultKind      FileFault = "kind"      // a device, a socket, a link: not opened
	FaultName      FileFault = "name"      // not a name or a path that this device can have
	FaultSum       FileFault = "sum"       // what came is not what was sent
	FaultCancelled FileFault = "cancelled" //
	FaultFailed    FileFault = "failed"    // the device's own words are in Message
)

// FilesFailed ends a job that did not work out, or only in part.
type FilesFailed struct {
	Job     uint32     `json:"job"`
	Fault   FileFault  `json:"fault"`
	Message string     `json:"message"`
	Count   int64      `json:"count"` // what was done before
	Kept    int64      `json:"kept"`  // put: bytes that are there, for another try
	Free    int64      `json:"free"`  // full: bytes left
	Entry   *FileEntry `json:"entry,omitempty"`
}

func (f FilesFailed) validate() error {
	if f.Entry != nil {
		if err := f.Entry.check(); err != nil {
			return err
		}
	}
	return firstError(checkText("fault", string(f.Fault), 32), checkText("message", f.Message, MaxText))
}

// FilesCancel ends a job. What a put has written goes, unless it is to be kept for later.
type FilesCancel struct {
	Job  uint32 `json:"job"`
	Keep bool   `json:"keep"`
}
