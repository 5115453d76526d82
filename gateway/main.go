// Command handrail-gateway is the gateway: the one program that operators' browsers and the
// devices connect to. It holds the API, the console, the database and the relay.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"handrail/gateway/internal/config"
	"handrail/gateway/internal/server"
	"handrail/mdm"
)

// version is set by the linker.
var version = "dev"

type commands struct {
	Config  string           `help:"YAML file with the flags' names as keys." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version."`

	Run   runCmd `cmd:"" default:"withargs" help:"Run the gateway (the default)."`
	Audit struct {
		Verify verifyCmd `cmd:"" help:"Check the chain of the audit log."`
	} `cmd:"" help:"Work on the audit log."`
	EnrollToken struct {
		Create tokenCmd `cmd:"" help:"Make an enrollment token and print it."`
	} `cmd:"" help:"Work on enrollment tokens, straight in the database."`
	DemoToken demoCmd    `cmd:"" help:"Make the group Demo, whose devices let sessions in unasked and are under the sample policy, and print a token for one device."`
	VersionOf versionCmd `cmd:"" name:"version" help:"Print the version."`
}

type runCmd struct{ config.Gateway }

type verifyCmd struct{ config.Place }

type tokenCmd struct {
	config.Place
	Group mdm.GroupID   `help:"Group of the devices that use it." default:"grp_root"`
	Uses  int64         `help:"How many devices may use it." default:"1"`
	TTL   time.Duration `name:"ttl" help:"How long it is good for." default:"24h"`
	Note  string        `help:"What it is for."`
}

type demoCmd struct{ config.Place }

type versionCmd struct{}

// gcPercent trades some collector time, of which a gateway that mostly waits has plenty, for
// memory: with 5,000 idle agents it is 32 KiB an agent at 30 and 49 KiB at Go's 100
// (measured 2026-11-23, make bench NAME=idle_agent_kb).
const gcPercent = 35

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run is the program as a value: it returns the exit status.
func run(args []string, env func(string) (string, bool), out, errs io.Writer) int {
	fail := func(err error) int {
		lines := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
		fmt.Fprintf(errs, "handrail-gateway: %s\n", lines)
		return 1
	}
	opts, err := config.Options(env, config.FileFlag(args, env))
	if err != nil {
		return fail(err)
	}
	var c commands
	exited := -1
	parser, err := kong.New(&c, append(opts,
		kong.Name("handrail-gateway"),
		kong.Description("Remote support gateway. Every flag can also be given as HANDRAIL_… in the environment, or in the file of --config."),
		kong.Vars{"version": version}, kong.Writers(out, errs), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)...)
	if err != nil {
		return fail(err)
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help or --version
	}
	if err != nil {
		return fail(fmt.Errorf("%w; see handrail-gateway --help", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(streams{out, errs})
	if err := command.Run(); err != nil {
		return fail(err)
	}
	return 0
}

// streams are standard output and error.
type streams struct{ out, err io.Writer }

// Run runs the gateway until it is told to stop.
func (r *runCmd) Run(ctx context.Context, s streams) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(r.LogLevel)); err != nil {
		return err
	}
	var h slog.Handler = slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level})
	if r.LogFormat == "json" {
		h = slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: level})
	}
	g, err := server.Open(ctx, r.Gateway, version, slog.New(h))
	if err != nil {
		return err
	}
	line, err := g.Greeting(ctx)
	if err != nil {
		g.Close()
		return err
	}
	fmt.Fprintln(s.out, line)
	return g.Run(ctx)
}

// Run checks the audit log.
func (v *verifyCmd) Run(ctx context.Context, s streams) error {
	return server.VerifyAudit(ctx, v.Place, s.out)
}

// Run makes a token.
func (t *tokenCmd) Run(ctx context.Context, s streams) error {
	token, err := server.CreateToken(ctx, t.Place, server.TokenWanted{Group: t.Group, Uses: t.Uses, TTL: t.TTL, Note: t.Note})
	if err == nil {
		fmt.Fprintln(s.out, token)
	}
	return err
}

// Run makes the demo's group and token.
func (d *demoCmd) Run(ctx context.Context, s streams) error {
	token, err := server.DemoToken(ctx, d.Place)
	if err == nil {
		fmt.Fprintln(s.out, token)
	}
	return err
}

// Run prints the version.
func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, version)
	return err
}
