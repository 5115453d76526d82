package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"handrail/agent/internal/daemon"
	"handrail/agent/internal/prompt"
	"handrail/agent/internal/state"
	"handrail/signaling/client"
)

type statusCmd struct {
	State  string `help:"State directory." default:"${state}" env:"HANDRAIL_STATE"`
	Socket string `help:"Local socket of the agent, where it was given one." env:"HANDRAIL_SOCKET"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// report is what status knows.
type report struct {
	Enrolled   bool             `json:"enrolled"`
	Running    bool             `json:"running"`
	Online     bool             `json:"online"`
	Enrollment state.Enrollment `json:"enrollment"`
	Status     state.Status     `json:"status"` // of the running agent, or its last words
	Problem    string           `json:"problem,omitempty"`
}

const notEnrolled = "not enrolled: run handrail-agent enroll with a token from the console"

// Run says how the agent is; it fails unless the link is up.
func (c *statusCmd) Run(t *terminal) error {
	r := report{Problem: notEnrolled}
	if _, err := os.Stat(c.State); err == nil { // a look makes no directory
		dir, err := state.Open(c.State)
		if err != nil {
			return err
		}
		r = c.look(t.ctx, dir)
	}
	if c.JSON {
		enc := json.NewEncoder(t.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		r.print(t.stdout, time.Now())
	}
	if !r.Online {
		return errSaid
	}
	return nil
}

func (c *statusCmd) look(ctx context.Context, dir *state.Dir) report {
	var r report
	e, err := dir.Enrollment()
	switch {
	case errors.Is(err, state.ErrNotEnrolled):
		r.Problem = notEnrolled
		return r
	case err != nil:
		r.Problem = err.Error()
		return r
	}
	r.Enrolled, r.Enrollment = true, e
	r.Enrollment.CAPEM = ""
	socket := c.Socket
	if socket == "" {
		socket = dir.Path(daemon.SocketFile)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if r.Status, err = prompt.FetchStatus(ctx, socket); err == nil {
		r.Running = true
		r.Online = r.Status.Link == string(client.Online)
		r.Problem = r.Status.Problem
		return r
	}
	r.Problem = "the agent is not running: start it with handrail-agent run"
	if errors.Is(err, fs.ErrPermission) {
		r.Problem = "the agent's local socket may not be opened by this account"
	}
	if r.Status, err = dir.Status(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Problem += "; " + err.Error()
	}
	return r
}

func (r report) print(w io.Writer, now time.Time) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	if !r.Enrolled {
		row("Problem", "%s", r.Problem)
		return
	}
	e, s := r.Enrollment, r.Status
	row("Device", "%s (%s) of %s", e.DeviceName, e.Device, e.Organisation)
	row("Gateway", "%s", e.Gateway)
	if r.Running {
		row("Agent", "%s, running as process %d", s.Version, s.PID)
	}
	since := "since " + when(s.SinceUS, now)
	switch {
	case r.Online:
		row("Link", "online %s", since)
	case r.Running && s.Link == string(client.Stopped):
		row("Link", "refused %s", since)
	case r.Running && s.OnlineUS > 0:
		row("Link", "down; it was last up %s", when(s.OnlineUS, now))
	case r.Running:
		row("Link", "down; it has not been up since the agent started")
	case s.WrittenUS > 0:
		row("Link", "off %s", since)
	}
	if r.Problem != "" {
		row("Problem", "%s", r.Problem)
	}
	if skew := time.Duration(s.SkewMS) * time.Millisecond; r.Running && skew.Abs() > time.Minute {
		way := "behind"
		if skew < 0 {
			way = "ahead of"
		}
		row("Clock", "wrong: this device is %s %s the gateway", skew.Abs().Round(time.Second), way)
	}
	if !r.Running {
		return
	}
	row("Sessions", "%d", s.Sessions)
	if s.Display != "" {
		row("Display", "%s", s.Display)
	}
	if s.Companion != "" {
		row("Companion", "%s", s.Companion)
	}
}

// when says a time the way people do.
func when(us int64, now time.Time) string {
	t := time.UnixMicro(us)
	return fmt.Sprintf("%s (%s ago)", t.Format(time.DateTime), now.Sub(t).Round(time.Second))
}
