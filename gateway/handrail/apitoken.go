package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type apiTokenCmds struct {
	List   apiTokenListCmd   `cmd:"" help:"Your API tokens, newest first."`
	Create apiTokenCreateCmd `cmd:"" help:"Make a token for a program that acts for you, and print it; it is shown this once."`
	Revoke apiTokenRevokeCmd `cmd:"" help:"Make a token useless."`
}

type apiTokenListCmd struct{}

// Run lists one's own tokens.
func (apiTokenListCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, "/api/me/tokens", nil, 0, column{"ID", "id"}, column{"NAME", "name"}, column{"ROLE", "role"}, column{"GROUP", "group_name"},
		column{"EXPIRES", "expires_at"}, column{"USED", "used_at"})
}

type apiTokenCreateCmd struct {
	Name  string        `arg:"" help:"What it is for, as \"policies from git\"."`
	Role  string        `short:"r" help:"The most it may do; a role you hold: admin, technician, helpdesk, auditor." required:""`
	Group string        `short:"g" help:"On which devices: group by name, path or id, and those below." default:"grp_root"`
	TTL   time.Duration `name:"ttl" help:"How long it is good for, a year at most." default:"2160h"`
}

// Run makes a token. The token alone goes to standard output, what to do with it to the other.
func (t *apiTokenCreateCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	group, err := (&places{api: api}).group(ctx, t.Group)
	if err != nil {
		return err
	}
	in := map[string]any{"name": t.Name, "role": t.Role, "group_id": group, "ttl_seconds": int64(t.TTL.Seconds())}
	var raw json.RawMessage
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/me/tokens", in: in}, &raw); err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	var made struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(raw, &made); err != nil {
		return err
	}
	fmt.Fprintln(s.out, clean(made.Token, 256))
	fmt.Fprintf(s.err, "Good until %s. A program gives it as HANDRAIL_TOKEN.\n", made.ExpiresAt.Local().Format("2006-01-02 15:04"))
	return nil
}

type apiTokenRevokeCmd struct {
	Token string `arg:"" help:"The token's name or id."`
}

// Run revokes one of one's own tokens.
func (t *apiTokenRevokeCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	id := t.Token
	if !strings.HasPrefix(id, "apt_") {
		if id, err = apiTokenNamed(ctx, api, t.Token); err != nil {
			return err
		}
	}
	if err := api.do(ctx, request{method: http.MethodDelete, path: "/api/me/tokens/" + url.PathEscape(id)}, nil); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "Revoked.")
	return nil
}

// apiTokenNamed finds the one token of a name.
func apiTokenNamed(ctx context.Context, api *client, name string) (string, error) {
	var found []string
	_, err := api.each(ctx, "/api/me/tokens", nil, 0, func(raw json.RawMessage) error {
		var one struct{ ID, Name string }
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		if strings.EqualFold(one.Name, name) {
			found = append(found, one.ID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("you have no API token %q; handrail api-token list shows those you have", name)
	case len(found) > 1:
		return "", fmt.Errorf("you have %d API tokens %q: %s", len(found), name, strings.Join(found, ", "))
	}
	return found[0], nil
}

// loginWithToken keeps a token as the sign-in, once the gateway has taken it.
func (c *commands) loginWithToken(ctx context.Context, s streams, api *client, ca []byte) error {
	api.token = strings.TrimSpace(c.APIToken)
	var who me
	if err := api.do(ctx, request{method: http.MethodGet, path: "/api/me"}, &who); err != nil {
		var p *problem
		if errors.As(err, &p) && p.Status == http.StatusUnauthorized {
			return errors.New("the gateway does not take this token: it is not one of its own, was revoked, or has expired")
		}
		return err
	}
	path, err := c.keep(sessionFile{URL: api.base.String(), Email: who.Email, CA: string(ca), Token: api.token})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Signed in to %s with a token of %s (kept in %s).\n", api.base, clean(who.Name, 100), path)
	return nil
}
