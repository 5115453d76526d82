package service

import (
	"context"
	"errors"
	"strings"

	"handrail/agent/internal/enforce"
)

// offline changes the unit files of a tree that nobody runs.
type offline struct {
	sys  *enforce.System
	tool string
}

func newOffline(sys *enforce.System) (manager, error) {
	tool, err := sys.Tool("systemctl", "systemd")
	return &offline{sys, tool}, err
}

func (o *offline) close() {}

func (o *offline) run(ctx context.Context, args ...string) (enforce.Result, error) {
	return o.sys.Run(ctx, enforce.Program{Path: o.tool, Args: append([]string{"--root=" + o.sys.Root, "--quiet"}, args...)})
}

func (o *offline) change(ctx context.Context, verb, name string) error {
	_, err := o.run(ctx, verb, "--", name)
	return err
}

// state implements manager. systemctl ends badly for what is not enabled, and says so.
func (o *offline) state(ctx context.Context, name string) (state, error) {
	r, err := o.sys.Run(ctx, enforce.Program{Path: o.tool, Args: []string{"--root=" + o.sys.Root, "is-enabled", "--", name}})
	word := strings.TrimSpace(r.Out)
	var exit *enforce.ExitError
	switch {
	case err == nil:
		return state{File: word}, nil
	case !errors.As(err, &exit):
		return state{}, err
	case word == "not-found" || word == "" && (strings.Contains(r.Err, "No such file") || strings.Contains(r.Err, "not found") || strings.Contains(r.Err, "does not exist")):
		return state{}, nil
	case word != "":
		return state{File: word}, nil
	}
	return state{}, err
}

func (o *offline) enable(ctx context.Context, name string) error {
	return o.change(ctx, "enable", name)
}

func (o *offline) disable(ctx context.Context, name string) error {
	return o.change(ctx, "disable", name)
}

func (o *offline) mask(ctx context.Context, name string) error { return o.change(ctx, "mask", name) }

func (o *offline) unmask(ctx context.Context, name string) error {
	return o.change(ctx, "unmask", name)
}

func (o *offline) start(context.Context, string) error { return nil }

func (o *offline) stop(context.Context, string) error { return nil }
