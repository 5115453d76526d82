// Command handrail is the administrators' command line: everything it does it asks of a
// gateway's API, as the console does, with the rights of whoever signed in. Policies can be
// kept as files beside it, in git.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"

	"handrail/gateway/handrail/policyfile"
)

// version is set by the linker.
var version = "dev"

// commands is the command line.
type commands struct {
	URL     string `name:"url" short:"u" help:"The gateway's address, as https://gateway.example.org. Without it: that of the last sign-in." env:"HANDRAIL_URL" placeholder:"URL"`
	CAFile  string `name:"ca-file" help:"Trust this certificate authority (PEM), that of a gateway that made its own." env:"HANDRAIL_CA_FILE" type:"path" placeholder:"FILE"`
	Session string `help:"Where the sign-in is kept (mode 0600)." env:"HANDRAIL_SESSION" type:"path" placeholder:"FILE"`
	// APIToken stands in for a sign-in.
	APIToken string           `name:"token" help:"API token to use instead of a sign-in. Others on this machine see arguments: prefer the variable." env:"HANDRAIL_TOKEN" placeholder:"TOKEN"`
	Output   string           `short:"o" help:"How to show things: ${enum}." enum:"table,json" default:"table"`
	Version  kong.VersionFlag `help:"Print the version."`

	Login      loginCmd       `cmd:"" help:"Sign in and keep the sign-in."`
	Logout     logoutCmd      `cmd:"" help:"End the sign-in."`
	Whoami     whoamiCmd      `cmd:"" help:"Who is signed in, and what they may do."`
	Device     deviceCmds     `cmd:"" aliases:"devices" help:"Find and look at devices."`
	Policy     policyCmds     `cmd:"" aliases:"policies" help:"Policies, also as files: plan, apply, export."`
	Command    commandCmds    `cmd:"" help:"Tell devices to do something once."`
	Compliance complianceCmds `cmd:"" help:"Which rules devices keep."`
	Token      tokenCmds      `cmd:"" help:"Enrollment tokens."`
	Tokens     apiTokenCmds   `cmd:"" name:"api-token" aliases:"api-tokens" help:"API tokens: for programs that act for you."`
	Audit      auditCmds      `cmd:"" help:"The audit log."`
	API        apiCmd         `cmd:"" name:"api" help:"Call any operation of the API and print the answer."`

	Completion kongplete.InstallCompletions `cmd:"" name:"completion" help:"Print what makes bash, zsh or fish complete handrail's commands: put it into the shell's start file."`
}

// streams are where the program reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// statusError ends the program with a status of its own and without a word.
type statusError int

// Error is for kong; nobody reads it.
func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

func main() {
	os.Exit(run(os.Args[1:], os.LookupEnv, streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run is the program as a value: it returns the exit status. 0 is done, 1 a failure, 2 that a
// plan found changes and was asked to say so.
func run(args []string, env func(string) (string, bool), s streams) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("handrail"), kong.Description("Work with a Handrail gateway from a shell. Sign in first: handrail login --url https://gateway.example.org"),
		kong.Vars{"version": version}, kong.Writers(s.out, s.err), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.UsageOnError(),
	)
	if err != nil {
		return fail(s, err)
	}
	kongplete.Complete(parser)
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		return fail(s, fmt.Errorf("%w; see handrail --help", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(s, environment(env), &c)
	err = command.Run()
	var status statusError
	switch {
	case errors.As(err, &status):
		return int(status)
	case err != nil:
		return fail(s, err)
	}
	return 0
}

// environment looks up a variable of the environment.
type environment func(string) (string, bool)

func (e environment) or(name, other string) string {
	if v, ok := e(name); ok && v != "" {
		return v
	}
	return other
}

// fail prints an error, a problem of the API with all its fields.
func fail(s streams, err error) int {
	var lines policyfile.Errors
	if errors.As(err, &lines) {
		for _, line := range lines {
			fmt.Fprintf(s.err, "handrail: %s\n", clean(line, 2000))
		}
		return 1
	}
	fmt.Fprintf(s.err, "handrail: %s\n", clean(strings.ReplaceAll(err.Error(), "\n", " "), 2000))
	var p *problem
	if errors.As(err, &p) {
		for _, f := range p.Errors {
			fmt.Fprintf(s.err, "  %s: %s\n", clean(f.Location, 200), clean(f.Message, 500))
		}
	}
	return 1
}
