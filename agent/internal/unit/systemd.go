package unit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/signaling"
)

// unknown is the state of what cannot be asked.
const unknown = "unknown"

// systemd is spoken to by systemctl, whose words are the same over all versions there are.
type systemd struct {
	sys   *enforce.System
	path  string
	files map[string]string // what is enabled; used by the list alone
	asked time.Time         // when that was
}

// filesEvery is how often unit files are looked at: they change seldom, and it takes systemd long.
const filesEvery = 20 * time.Second

func (*systemd) kind() signaling.ServiceManager { return signaling.ManagerSystemd }

func (*systemd) pace() time.Duration { return 2 * time.Second }

func (s *systemd) run(ctx context.Context, args ...string) (string, error) {
	r, err := s.sys.Run(ctx, enforce.Program{Path: s.path, Args: append([]string{"--no-ask-password", "--no-pager"}, args...), Env: []string{"TZ=UTC"}, Within: actWithin, MaxKeep: 4 << 20})
	return r.Out, err
}

func (s *systemd) list(ctx context.Context, quick bool) ([]signaling.ServiceRow, error) {
	units, err := s.run(ctx, "list-units", "--type=service", "--all", "--plain", "--no-legend", "--full")
	if err != nil {
		return nil, err
	}
	if quick || time.Since(s.asked) > filesEvery {
		files, err := s.run(ctx, "list-unit-files", "--type=service", "--plain", "--no-legend", "--full")
		if err != nil {
			return nil, err
		}
		s.files, s.asked = parseFiles(files), time.Now()
	}
	return parseUnits(units, s.files), nil
}

// parseFiles reads "UNIT STATE PRESET".
func parseFiles(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && strings.HasSuffix(f[0], ".service") && len(out) < maxServices {
			out[f[0]] = f[1]
		}
	}
	return out
}

// parseUnits reads "UNIT LOAD ACTIVE SUB DESCRIPTION". What has a file and is not loaded is
// inactive; templates, which cannot be started themselves, are left out.
func parseUnits(text string, files map[string]string) []signaling.ServiceRow {
	var out []signaling.ServiceRow
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "●"))
		if len(f) < 4 || !strings.HasSuffix(f[0], ".service") || f[1] == "not-found" || len(out) == maxServices {
			continue
		}
		seen[f[0]] = true
		enabled := files[f[0]]
		if enabled == "" && f[1] == "masked" {
			enabled = "masked"
		}
		if at := strings.IndexByte(f[0], '@'); enabled == "" && at > 0 {
			enabled = files[f[0][:at]+"@.service"]
		}
		out = append(out, signaling.ServiceRow{
			Name: mdm.Clean(f[0], 256), Description: mdm.Clean(strings.Join(f[4:], " "), 200), State: mdm.Clean(f[2], 32), Sub: mdm.Clean(f[3], 32), Enabled: mdm.Clean(enabled, 32),
		})
	}
	for name, state := range files {
		if !seen[name] && !strings.Contains(name, "@.") && len(out) < maxServices {
			out = append(out, signaling.ServiceRow{Name: mdm.Clean(name, 256), State: "inactive", Sub: "dead", Enabled: mdm.Clean(state, 32)})
		}
	}
	slices.SortFunc(out, func(a, b signaling.ServiceRow) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// properties are those that are shown of one service.
const properties = "Id,LoadState,Description,ActiveState,SubState,UnitFileState,MainPID,MemoryCurrent,TasksCurrent,Result,ExecMainStatus,NRestarts,StateChangeTimestamp,FragmentPath,Requires,BindsTo"

func (s *systemd) show(ctx context.Context, name string) (map[string]string, error) {
	out, err := s.run(ctx, "show", "--property="+properties, "--", full(name))
	if err != nil {
		return nil, err
	}
	p := parseShow(out)
	if p["LoadState"] == "not-found" || p["LoadState"] == "" {
		return nil, errNoService
	}
	return p, nil
}

// full is the name with its kind, which systemctl assumes too.
func full(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return name + ".service"
}

func parseShow(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			out[k] = v
		}
	}
	return out
}

func rowOf(p map[string]string) signaling.ServiceRow {
	return signaling.ServiceRow{
		Name: mdm.Clean(p["Id"], 256), Description: mdm.Clean(p["Description"], 200), State: mdm.Clean(p["ActiveState"], 32), Sub: mdm.Clean(p["SubState"], 32),
		Enabled: mdm.Clean(p["UnitFileState"], 32),
	}
}

func (s *systemd) row(ctx context.Context, name string) (signaling.ServiceRow, error) {
	p, err := s.show(ctx, name)
	return rowOf(p), err
}

func (s *systemd) details(ctx context.Context, name string) signaling.ServiceDetails {
	p, err := s.show(ctx, name)
	d := detailsOf(p)
	if err != nil {
		d.Row.Name, d.Row.State, d.Message = name, unknown, mdm.Clean(fmt.Sprintf("%s: %s.", name, err), 1000)
	}
	return d
}

func detailsOf(p map[string]string) signaling.ServiceDetails {
	count := func(key string) int64 { // "[not set]", and the largest number there is, are none
		n, err := strconv.ParseInt(p[key], 10, 64)
		if err != nil || n < 0 {
			return -1
		}
		return n
	}
	d := signaling.ServiceDetails{
		Row: rowOf(p), PID: max(count("MainPID"), 0), Memory: count("MemoryCurrent"), Tasks: count("TasksCurrent"), Result: mdm.Clean(p["Result"], 64),
		Exit: max(count("ExecMainStatus"), 0), Starts: max(count("NRestarts"), 0), File: mdm.Clean(p["FragmentPath"], 1024), Needs: []string{},
	}
	if at, err := time.Parse("Mon 2006-01-02 15:04:05 MST", p["StateChangeTimestamp"]); err == nil {
		d.SinceMS = at.UnixMilli()
	}
	for _, need := range strings.Fields(p["Requires"] + " " + p["BindsTo"]) {
		if len(d.Needs) < 50 {
			d.Needs = append(d.Needs, mdm.Clean(need, 256))
		}
	}
	return d
}

func (s *systemd) act(ctx context.Context, name string, what signaling.ServiceVerb) (string, error) {
	_, err := s.run(ctx, "--quiet", string(what), "--", full(name))
	var exit *enforce.ExitError
	if errors.As(err, &exit) { // what systemctl says then is how to look at the log, which comes with the answer
		if words := exit.Result.Words(); strings.Contains(words, "See \"systemctl status") {
			err = errors.New("systemd says that it failed; its last lines say why")
		}
	}
	return "", err
}

func (s *systemd) log(ctx context.Context, name string) []string {
	path, err := s.sys.Tool("journalctl", "systemd")
	if err != nil {
		return nil
	}
	r, err := s.sys.Run(ctx, enforce.Program{Path: path, Args: []string{"--no-pager", "--quiet", "--output=short-iso", "--lines=" + strconv.Itoa(maxLog), "--unit=" + full(name)}, Within: 10 * time.Second})
	if err != nil {
		return nil
	}
	return tail(r.Out)
}
