package signaling

import (
	"fmt"
	"strings"
)

// Messages of the tool "space": the device's file systems, and what fills them. SpaceAsk is answered by
// SpaceVolumes. SpaceWalk walks below a directory and tells the largest it has found so far, about twice
// a second, each time the whole of it; the last says Done. One walk runs at a time: another, or SpaceStop, ends it.
const (
	TypeSpaceAsk     Type = "space.ask"
	TypeSpaceVolumes Type = "space.volumes"
	TypeSpaceWalk    Type = "space.walk"
	TypeSpaceTree    Type = "space.tree"
	TypeSpaceStop    Type = "space.stop"
)

// ToolSpace names the tool.
const ToolSpace = "space"

// SpaceAsk asks for the file systems.
type SpaceAsk struct{}

// SpaceStop ends the walk.
type SpaceStop struct{}

// SpaceVolume is a mounted file system.
type SpaceVolume struct {
	Mount     string `json:"mount"`
	Device    string `json:"device"`
	Kind      string `json:"kind"`  // as ext4
	Bytes     int64  `json:"bytes"` // for users: without what is kept for root
	Used      int64  `json:"used"`
	Files     int64  `json:"files"` // it has room for; 0 where there is no limit
	FilesUsed int64  `json:"files_used"`
	ReadOnly  bool   `json:"read_only"`
	Remote    bool   `json:"remote"` // on another machine
	Memory    bool   `json:"memory"` // keeps its files in memory
	Stuck     bool   `json:"stuck"`  // it does not answer; its figures are 0
}

// SpaceVolumes answers SpaceAsk.
type SpaceVolumes struct {
	Volumes []SpaceVolume `json:"volumes"`
	Message string        `json:"message"`
}

// SpaceWalk looks for what fills a directory, without leaving its file system.
type SpaceWalk struct {
	Path    string `json:"path"`    // absolute
	Seconds int64  `json:"seconds"` // it may take; 1 to 600
}

func (w SpaceWalk) validate() error {
	if !strings.HasPrefix(w.Path, "/") || strings.ContainsRune(w.Path, 0) {
		return fmt.Errorf("path %q is not absolute", trim(w.Path, 64))
	}
	return firstError(checkRange("seconds", w.Seconds, 1, 600), checkText("path", w.Path, 4096))
}

// SpaceNode is a directory or file among the largest.
type SpaceNode struct {
	Parent int64  `json:"parent"` // its place in Nodes; -1 is of the first, which is what was walked
	Name   string `json:"name"`   // "" stands for everything smaller of its parent
	Bytes  int64  `json:"bytes"`  // on the disk, all below together; what has several names counts once
	Files  int64  `json:"files"`
	Dir    bool   `json:"dir"`
}

// SpaceTree is what was found so far, parents before their children.
type SpaceTree struct {
	Path       string      `json:"path"`
	Done       bool        `json:"done"`
	Whole      bool        `json:"whole"`      // with Done: everything was seen
	Entries    int64       `json:"entries"`    // seen
	Unreadable int64       `json:"unreadable"` // directories that could not be read
	Message    string      `json:"message"`    // why it is not whole
	Nodes      []SpaceNode `json:"nodes"`
}
