//go:build linux

package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"handrail/agent/internal/simdevice"
)

// workstationFiles is the device, in the form its first lines tell.
//
//go:embed workstation.txt
var workstationFiles string

// secureBootOn is the firmware's variable: four bytes of attributes, and the value.
const (
	secureBoot   = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	secureBootOn = "\x06\x00\x00\x00\x01"
)

// listsStamp is what apt touches when it has fetched its lists.
const listsStamp = "var/lib/apt/periodic/update-success-stamp"

// item is one path of the workstation.
type item struct {
	path    string
	mode    fs.FileMode
	link    string
	content strings.Builder
}

// parseWorkstation reads the form of workstation.txt.
func parseWorkstation(text string) ([]*item, error) {
	var items []*item
	s := bufio.NewScanner(strings.NewReader(text))
	for s.Scan() {
		head, is := strings.CutPrefix(s.Text(), "== ")
		switch {
		case !is && len(items) == 0: // the words before the first
		case !is:
			items[len(items)-1].content.WriteString(s.Text() + "\n")
		default:
			w := strings.Fields(head)
			it := &item{}
			switch {
			case len(w) == 3 && w[1] == "->":
				it.path, it.link = w[0], w[2]
			case len(w) == 2:
				mode, err := strconv.ParseUint(w[1], 8, 12)
				if err != nil {
					return nil, fmt.Errorf("mode of %s: %w", w[0], err)
				}
				it.path, it.mode = w[0], fileMode(uint32(mode))
			default:
				return nil, fmt.Errorf("%q is neither a file nor a link", head)
			}
			items = append(items, it)
		}
	}
	return items, s.Err()
}

// fileMode turns what chmod(1) takes into Go's bits.
func fileMode(octal uint32) fs.FileMode {
	m := fs.FileMode(octal & 0o777)
	if octal&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if octal&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// makeWorkstation makes the tree the demo device is, unless an earlier run has: policies and
// whoever looks around may have changed it since. What is new each day is renewed.
func makeWorkstation(root string) error {
	if _, err := os.Stat(filepath.Join(root, "etc/os-release")); errors.Is(err, fs.ErrNotExist) {
		if err := fillWorkstation(root); err != nil {
			return fmt.Errorf("the demo device's files: %w", err)
		}
	}
	for _, p := range []string{"proc/cpuinfo", "proc/meminfo", "proc/stat"} { // these it shares with the machine it is on
		if b, err := os.ReadFile("/" + p); err == nil {
			if err := putFile(root, p, 0o644, b); err != nil {
				return err
			}
		}
	}
	now := time.Now()
	return os.Chtimes(filepath.Join(root, listsStamp), now, now) // as apt's daily timer does
}

func fillWorkstation(root string) error {
	items, err := parseWorkstation(workstationFiles)
	if err != nil {
		return err
	}
	for _, it := range items {
		at := filepath.Join(root, it.path)
		switch {
		case it.link != "":
			if err = os.Symlink(it.link, at); errors.Is(err, fs.ErrExist) {
				err = nil
			}
		case strings.HasSuffix(it.path, "/"):
			if err = os.MkdirAll(at, 0o755); err == nil { //nolint:gosec // as on a system
				err = os.Chmod(at, it.mode)
			}
		case it.path == "etc/os-release": // last: it says that the rest is there
		default:
			err = putFile(root, it.path, it.mode, []byte(it.content.String()))
		}
		if err != nil {
			return err
		}
	}
	var packages bytes.Buffer
	simdevice.WriteStatus(&packages)
	if err := errors.Join(
		putFile(root, "var/lib/dpkg/status", 0o644, packages.Bytes()),
		putFile(root, secureBoot, 0o644, []byte(secureBootOn)),
		putFile(root, listsStamp, 0o644, nil),
	); err != nil {
		return err
	}
	for _, it := range items {
		if it.path == "etc/os-release" {
			return putFile(root, it.path, it.mode, []byte(it.content.String()))
		}
	}
	return errors.New("it has no etc/os-release")
}

func putFile(root, path string, mode fs.FileMode, content []byte) error {
	at := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { //nolint:gosec // as on a system
		return err
	}
	if err := os.WriteFile(at, content, 0o600); err != nil {
		return err
	}
	return os.Chmod(at, mode)
}
