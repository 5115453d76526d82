package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sure asks before what cannot be taken back; --yes answers.
func sure(s streams, yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(s.err)
		return errors.New("nobody answers: give --yes to do it unasked")
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		return errors.New("left as it was")
	}
	return nil
}

type tokenCmds struct {
	List   tokenListCmd   `cmd:"" help:"Enrollment tokens, newest first."`
	Create tokenCreateCmd `cmd:"" help:"Make a token and print it; it is shown this once."`
	Revoke tokenRevokeCmd `cmd:"" help:"Make a token useless; devices that came with it stay."`
}

type tokenListCmd struct {
	Limit int `help:"At most so many; 0 is all." default:"200"`
}

// Run lists tokens.
func (t *tokenListCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, "/api/enrollment-tokens", nil, t.Limit, column{"ID", "id"}, column{"STATE", "state"}, column{"USED", "uses_spent"},
		column{"OF", "uses_allowed"}, column{"EXPIRES", "expires_at"}, column{"NOTE", "note"})
}

type tokenCreateCmd struct {
	Group string        `short:"g" help:"Group of the devices that use it: name, path or id." default:"grp_root"`
	Uses  int64         `help:"How many devices may use it." default:"1"`
	TTL   time.Duration `name:"ttl" help:"How long it is good for." default:"24h"`
	Note  string        `help:"What it is for."`
}

// Run makes a token. The token alone goes to standard output, what to do with it to the other.
func (t *tokenCreateCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	group, err := (&places{api: api}).group(ctx, t.Group)
	if err != nil {
		return err
	}
	in := map[string]any{"group_id": group, "uses": t.Uses, "ttl_seconds": int64(t.TTL.Seconds()), "note": t.Note}
	var raw json.RawMessage
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/enrollment-tokens", in: in}, &raw); err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	var made struct{ Token, Command string }
	if err := json.Unmarshal(raw, &made); err != nil {
		return err
	}
	fmt.Fprintln(s.out, clean(made.Token, 4096))
	fmt.Fprintf(s.err, "Run on the device, as its administrator:\n  %s\n", clean(made.Command, 8192))
	return nil
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's id, as tok_…"`
}

// Run revokes a token.
func (t *tokenRevokeCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	if err := api.do(ctx, request{method: http.MethodDelete, path: "/api/enrollment-tokens/" + url.PathEscape(t.ID)}, nil); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "Revoked.")
	return nil
}

type auditCmds struct {
	List   auditListCmd   `cmd:"" default:"withargs" help:"What was done, newest first (the default)."`
	Verify auditVerifyCmd `cmd:"" help:"Check the log's chain."`
}

type auditListCmd struct {
	Query  string `short:"q" help:"Words that must occur."`
	Actor  string `help:"Only what this operator or device did: id."`
	Action string `help:"Only this action, as device.revoke; device. is all about devices."`
	Limit  int    `help:"At most so many; 0 is all." default:"50"`
}

// Run lists the audit log.
func (a *auditListCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, "/api/audit", values("q", a.Query, "actor", a.Actor, "action", a.Action), a.Limit,
		column{"NO", "seq"}, column{"AT", "at"}, column{"WHO", "actor.name"}, column{"ACTION", "action"}, column{"WHAT", "target.name"}, column{"FROM", "address"}, column{"DETAIL", "detail"})
}

type auditVerifyCmd struct{}

// Run checks the audit log's chain; a broken one is a failure.
func (auditVerifyCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/audit/verify", nil)
	if err != nil {
		return err
	}
	var v struct {
		OK      bool
		Entries int64
		Broken  int64
		Reason  string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	switch {
	case c.Output == "json":
		if err := printJSON(s.out, raw); err != nil {
			return err
		}
	case v.OK:
		fmt.Fprintf(s.out, "The audit log is whole: %d entries.\n", v.Entries)
	}
	if !v.OK {
		return fmt.Errorf("the audit log is broken at entry %d: %s", v.Broken, v.Reason)
	}
	return nil
}

type apiCmd struct {
	Method string `arg:"" help:"GET, POST, PUT, PATCH or DELETE."`
	Path   string `arg:"" help:"As /api/devices?limit=5; see /api/docs of the gateway."`
	Data   string `short:"d" help:"The body: JSON, or @FILE (@- is standard input)."`
	Match  int64  `help:"The revision a change builds on (If-Match)."`
}

// Run calls one operation and prints what it answers.
func (a *apiCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	u, err := url.Parse(a.Path)
	if err != nil || !strings.HasPrefix(u.Path, "/api/") || u.Host != "" {
		return fmt.Errorf("%q is no path of the API; they begin with /api/", clean(a.Path, 200))
	}
	r := request{method: strings.ToUpper(a.Method), path: u.Path, query: u.Query(), match: a.Match}
	if a.Data != "" {
		b := []byte(a.Data)
		if name, ok := strings.CutPrefix(a.Data, "@"); ok {
			if b, err = readFile(s, name); err != nil {
				return err
			}
		}
		if !json.Valid(b) {
			return errors.New("the body is no JSON")
		}
		r.in = json.RawMessage(b)
	}
	b, header, err := api.raw(ctx, r)
	if err != nil || len(b) == 0 {
		return err
	}
	if strings.Contains(header.Get("Content-Type"), "json") {
		return printJSON(s.out, b)
	}
	_, err = s.out.Write(b)
	return err
}
