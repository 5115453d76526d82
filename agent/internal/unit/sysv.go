package unit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/signaling"
)

// initDir is where scripts of services lie (Linux Standard Base, "Init Script Actions").
const initDir = "/etc/init.d"

// What scripts may take, and how many are asked at a time.
const (
	statusWithin = 5 * time.Second
	statusAtOnce = 2
	maxScripts   = 300
)

// sysv is a directory of scripts.
type sysv struct {
	sys  *enforce.System
	mu   sync.Mutex
	said map[string][]string // last words of each script, which is all the log there is
}

func (*sysv) kind() signaling.ServiceManager { return signaling.ManagerSysV }

// pace: each look runs every script.
func (*sysv) pace() time.Duration { return 30 * time.Second }

// header is what a script says of itself.
type header struct {
	short    string
	requires []string
	status   bool // it can be asked for its state
}

// scripts lists the scripts, in order.
func (s *sysv) scripts() ([]string, error) {
	found, err := os.ReadDir(s.sys.Abs(initDir))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range found {
		name := e.Name()
		info, err := e.Info()
		if err != nil || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "~ ") || strings.Contains(name, ".dpkg-") || name == "README" || name == "skeleton" || name == "functions" {
			continue
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 || info.Mode()&os.ModeSymlink != 0 {
			out = append(out, name)
		}
	}
	return out[:min(len(out), maxScripts)], nil
}

// header reads the comment that begins a script.
func (s *sysv) header(name string) (h header, err error) {
	b, err := s.sys.ReadFile(initDir+"/"+name, 1<<20)
	if err != nil {
		return h, errNoService
	}
	lines := bufio.NewScanner(strings.NewReader(string(b)))
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, "status") && !strings.HasPrefix(line, "#") {
			h.status = true
		}
		rest, ok := strings.CutPrefix(line, "# ")
		if !ok {
			continue
		}
		key, value, _ := strings.Cut(rest, ":")
		switch key {
		case "Short-Description":
			h.short = mdm.Clean(value, 200)
		case "Required-Start":
			for _, need := range strings.Fields(value) {
				if len(h.requires) < 20 {
					h.requires = append(h.requires, mdm.Clean(need, 100))
				}
			}
		}
	}
	return h, nil
}

// enabled looks for the links that start a service in the usual runlevels.
func (s *sysv) enabled(name string) string {
	for _, level := range []string{"2", "3", "5", "S"} {
		for _, dir := range []string{"/etc/rc" + level + ".d", "/etc/rc.d/rc" + level + ".d"} {
			if found, _ := filepath.Glob(filepath.Join(s.sys.Abs(dir), "S[0-9][0-9]"+name)); len(found) > 0 {
				return "enabled"
			}
		}
	}
	return "disabled"
}

func (s *sysv) list(ctx context.Context, quick bool) ([]signaling.ServiceRow, error) {
	names, err := s.scripts()
	if err != nil {
		return nil, err
	}
	rows := make([]signaling.ServiceRow, len(names))
	var g errgroup.Group
	g.SetLimit(statusAtOnce)
	for i, name := range names {
		g.Go(func() error {
			rows[i] = s.rowOf(ctx, name, quick)
			return nil
		})
	}
	_ = g.Wait()
	return slices.DeleteFunc(rows, func(r signaling.ServiceRow) bool { return r.Name == "" }), ctx.Err()
}

func (s *sysv) rowOf(ctx context.Context, name string, quick bool) signaling.ServiceRow {
	h, err := s.header(name)
	if err != nil {
		return signaling.ServiceRow{} // a link to nothing
	}
	r := signaling.ServiceRow{Name: mdm.Clean(name, 256), Description: h.short, State: unknown, Enabled: s.enabled(name)}
	if !quick && h.status {
		r.State, r.Sub = s.state(ctx, name)
	}
	return r
}

// state asks a script; its exit status says (Linux Standard Base, "status").
func (s *sysv) state(ctx context.Context, name string) (state, sub string) {
	r, err := s.sys.Run(ctx, enforce.Program{Path: s.sys.Abs(initDir + "/" + name), Args: []string{"status"}, Within: statusWithin, MaxKeep: 16 << 10})
	var exit *enforce.ExitError
	switch {
	case err == nil:
		return "active", "running"
	case !errors.As(err, &exit):
		return unknown, "does not answer"
	}
	switch r.Code {
	case 1, 2:
		return "failed", "dead, and its PID file is left"
	case 3:
		return "inactive", "dead"
	}
	return unknown, ""
}

func (s *sysv) row(ctx context.Context, name string) (signaling.ServiceRow, error) {
	name = strings.TrimSuffix(name, ".service")
	names, err := s.scripts()
	if err != nil {
		return signaling.ServiceRow{}, err
	}
	if !slices.Contains(names, name) {
		return signaling.ServiceRow{}, errNoService
	}
	r := s.rowOf(ctx, name, false)
	if r.Name == "" {
		return r, errNoService
	}
	return r, nil
}

func (s *sysv) details(ctx context.Context, name string) signaling.ServiceDetails {
	d := signaling.ServiceDetails{Memory: -1, Tasks: -1}
	r, err := s.row(ctx, name)
	d.Row = r
	if err != nil {
		d.Row.Name, d.Row.State, d.Message = name, unknown, mdm.Clean(fmt.Sprintf("%s: %s.", name, err), 1000)
		return d
	}
	h, _ := s.header(r.Name) // it was read a moment ago
	d.Needs, d.File = h.requires, initDir+"/"+r.Name
	if !h.status {
		d.Message = "Its script cannot be asked whether it runs."
	}
	return d
}

func (s *sysv) act(ctx context.Context, name string, what signaling.ServiceVerb) (string, error) {
	r, err := s.row(ctx, name)
	if err != nil {
		return "", err
	}
	p := enforce.Program{Path: s.sys.Abs(initDir + "/" + r.Name), Args: []string{string(what)}, Within: actWithin, MaxKeep: 64 << 10}
	if what == signaling.ServiceEnable || what == signaling.ServiceDisable {
		if p.Path, err = s.sys.Tool("update-rc.d", "init-system-helpers"); err == nil {
			p.Args = []string{r.Name, "defaults"}
			if what == signaling.ServiceDisable {
				p.Args = []string{r.Name, "disable"}
			}
		} else if p.Path, err = s.sys.Tool("chkconfig", "chkconfig"); err == nil {
			p.Args = []string{r.Name, map[signaling.ServiceVerb]string{signaling.ServiceEnable: "on", signaling.ServiceDisable: "off"}[what]}
		} else {
			return "", err
		}
	}
	if what == signaling.ServiceEnable && strings.HasSuffix(p.Path, "update-rc.d") {
		if _, err := s.sys.Run(ctx, p); err != nil { // gives it links where it has none
			return "", err
		}
		p.Args = []string{r.Name, "enable"} // and turns those around that say "not"
	}
	res, err := s.sys.Run(ctx, p)
	words := tail(res.Out + "\n" + res.Err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == nil {
		s.said = map[string][]string{}
	}
	s.said[r.Name] = words
	return res.Words(), err
}

// log gives what the script said last: what the service itself writes lies where it chose.
func (s *sysv) log(_ context.Context, name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said[strings.TrimSuffix(name, ".service")])
}
