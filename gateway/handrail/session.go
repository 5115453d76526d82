package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// sessionFile is a kept sign-in.
type sessionFile struct {
	URL     string   `json:"url"`
	Email   string   `json:"email"`
	CA      string   `json:"ca,omitempty"` // PEM
	Cookies []cookie `json:"cookies,omitempty"`
	Token   string   `json:"token,omitempty"` // an API token instead
}

type cookie struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sessionPath is where the sign-in is kept.
func (c *commands) sessionPath() (string, error) {
	if c.Session != "" {
		return c.Session, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place to keep the sign-in: %w; give --session FILE", err)
	}
	return filepath.Join(dir, "handrail", "session.json"), nil
}

// kept reads the sign-in; the zero value when there is none.
func (c *commands) kept() (sessionFile, error) {
	var f sessionFile
	path, err := c.sessionPath()
	if err != nil {
		return f, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	// Windows has no such modes; there the profile's access list is what counts.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return f, fmt.Errorf("%s may be read by others (mode %04o): chmod 600 it, then sign in again", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return sessionFile{}, fmt.Errorf("%s is no sign-in: %w; sign in again: handrail login", path, err)
	}
	return f, nil
}

// keep writes the sign-in, readable by its owner only.
func (c *commands) keep(f sessionFile) (string, error) {
	path, err := c.sessionPath()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".session-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(tmp.Name(), path)
}

// connect returns a client with the kept sign-in. A cookie is only sent to the gateway it is of.
func (c *commands) connect() (*client, error) {
	kept, err := c.kept()
	if err != nil {
		return nil, err
	}
	address, ca := c.URL, []byte(kept.CA)
	if address == "" {
		address = kept.URL
	}
	if c.CAFile != "" {
		if ca, err = os.ReadFile(c.CAFile); err != nil {
			return nil, err
		}
	}
	api, err := newClient(address, ca)
	if err != nil {
		return nil, err
	}
	if c.APIToken != "" {
		api.token = strings.TrimSpace(c.APIToken)
		return api, nil
	}
	if kept.URL == api.base.String() {
		api.token = kept.Token
		for _, k := range kept.Cookies {
			api.cookies = append(api.cookies, &http.Cookie{Name: k.Name, Value: k.Value})
		}
	}
	return api, nil
}

type loginCmd struct {
	Email         string `short:"e" help:"The operator's e-mail address." env:"HANDRAIL_EMAIL"`
	PasswordStdin bool   `help:"Read the password from standard input. Without it: HANDRAIL_PASSWORD, or a question."`
}

// Run signs in and keeps the cookie.
func (l *loginCmd) Run(ctx context.Context, c *commands, s streams, env environment) error {
	kept, err := c.kept()
	if err != nil {
		kept = sessionFile{} // it is replaced
	}
	if c.URL == "" {
		c.URL = kept.URL
	}
	ca := []byte(nil)
	if c.CAFile != "" {
		if ca, err = os.ReadFile(c.CAFile); err != nil {
			return err
		}
	} else if kept.URL == strings.TrimSuffix(c.URL, "/") {
		ca = []byte(kept.CA)
	}
	api, err := newClient(c.URL, ca)
	if err != nil {
		return err
	}
	if c.APIToken != "" && l.Email == "" {
		return c.loginWithToken(ctx, s, api, ca)
	}
	in := bufio.NewReader(s.in)
	if l.Email == "" && !l.PasswordStdin {
		if l.Email, err = ask(s, in, "E-mail: ", false); err != nil {
			return err
		}
	}
	if l.Email == "" {
		return errors.New("whose sign-in? Give --email")
	}
	password := env.or("HANDRAIL_PASSWORD", "")
	switch {
	case l.PasswordStdin:
		if password, err = in.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		password = strings.TrimRight(password, "\r\n")
	case password == "":
		if password, err = ask(s, in, "Password: ", true); err != nil {
			return err
		}
	}
	var who me
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/sign-in", in: map[string]string{"email": l.Email, "password": password}}, &who); err != nil {
		return err
	}
	f := sessionFile{URL: api.base.String(), Email: who.Email, CA: string(ca)}
	for _, k := range api.cookies {
		f.Cookies = append(f.Cookies, cookie{Name: k.Name, Value: k.Value})
	}
	path, err := c.keep(f)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Signed in to %s as %s (kept in %s).\n", api.base, clean(who.Name, 100), path)
	return nil
}

// ask asks the person at the terminal.
func ask(s streams, in *bufio.Reader, question string, hidden bool) (string, error) {
	fmt.Fprint(s.err, question)
	if f, ok := s.in.(*os.File); ok && hidden && term.IsTerminal(int(f.Fd())) {
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.err)
		return string(b), err
	}
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		fmt.Fprintln(s.err)
		return "", errors.New("nobody answers: give --email and --password-stdin, or HANDRAIL_EMAIL and HANDRAIL_PASSWORD")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type logoutCmd struct{}

// Run ends the sign-in at the gateway and forgets it here, even when the gateway is away.
func (logoutCmd) Run(ctx context.Context, c *commands, s streams) error {
	path, err := c.sessionPath()
	if err != nil {
		return err
	}
	api, err := c.connect()
	if err == nil && api.token == "" {
		err = api.do(ctx, request{method: http.MethodPost, path: "/api/sign-out"}, nil)
	}
	if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
		return e
	}
	var p *problem
	if err != nil && !errors.As(err, &p) {
		return fmt.Errorf("forgotten here, but the gateway was not told: %w", err)
	}
	if api != nil && api.token != "" {
		fmt.Fprintln(s.err, "Forgotten here. The token stays good until it expires or is revoked: handrail api-token revoke")
		return nil
	}
	fmt.Fprintln(s.err, "Signed out.")
	return nil
}

// me is who is signed in.
type me struct {
	Name         string   `json:"name"`
	Email        string   `json:"email"`
	Organisation string   `json:"organisation"`
	Version      string   `json:"version"`
	Permissions  []string `json:"permissions"`
	Grants       []struct {
		Role      string `json:"role_name"`
		GroupName string `json:"group_name"`
	} `json:"grants"`
}

type whoamiCmd struct{}

// Run shows who is signed in.
func (whoamiCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := api.do(ctx, request{method: http.MethodGet, path: "/api/me"}, &raw); err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	var who me
	if err := json.Unmarshal(raw, &who); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s <%s> at %s (%s, version %s)\n", clean(who.Name, 100), clean(who.Email, 254), clean(who.Organisation, 120), api.base, clean(who.Version, 40))
	for _, g := range who.Grants {
		fmt.Fprintf(s.out, "  %s of %s\n", clean(g.Role, 60), clean(g.GroupName, 80))
	}
	return nil
}
