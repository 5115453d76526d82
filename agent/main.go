// The runtime would wake an idle agent every few seconds to look for a change of the
// processors it may use.
//
//go:debug updatemaxprocs=0

// Command handrail-agent connects a device to its gateway: enroll it once, run it as a
// service, and ask it how it is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker; a plain go build leaves it to the build's own record.
var version = ""

// cli is the command line.
type cli struct {
	Enroll    enrollCmd    `cmd:"" help:"Enroll this device with a gateway, once."`
	Run       runCmd       `cmd:"" help:"Run the agent until it is stopped."`
	Status    statusCmd    `cmd:"" help:"Say in words how the agent is; exit 0 only while it is connected."`
	Install   installCmd   `cmd:"" help:"Make the agent a service of this system, or update it."`
	Uninstall uninstallCmd `cmd:"" help:"Stop the service and remove what install put there."`
	Inventory inventoryCmd `cmd:"" help:"Print what this device tells its gateway about itself."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
	Desktop   desktopCmd   `cmd:"" hidden:"" help:"The desktop helper; the agent starts it."`
	Files     filesCmd     `cmd:"" hidden:"" help:"Serve the files of the account it runs as, over a pipe; the agent starts it."`
	Simulate  simulateCmd  `cmd:"" hidden:"" help:"Connect many simulated devices, for tests and measurements."`
}

// terminal is what a command works with.
type terminal struct {
	ctx    context.Context //nolint:containedctx // of the process: ends on the first signal
	stdout io.Writer
	stderr io.Writer
}

// gcPercent makes the collector run often: the agent's heap is a few MiB and changes little,
// so a collection costs next to nothing, and every MiB is one the device's owner keeps.
const gcPercent = 20

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errSaid says that a command has said what is wrong and only the exit code is left.
var errSaid = errors.New("said")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c, kong.Name("handrail-agent"), kong.Description("Handrail's agent on a device."), kong.UsageOnError(),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }),
		kong.Vars{"state": defaultState()}, kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintf(stderr, "handrail-agent: %v\n", err)
		return 1
	}
	k, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		parser.FatalIfErrorf(err)
		return 2
	}
	err = k.Run(&terminal{ctx: ctx, stdout: stdout, stderr: stderr})
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintf(stderr, "handrail-agent: %v\n", err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// defaultState is where a service keeps its state, or a user who tries things out.
func defaultState() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "Handrail", "agent")
	}
	if os.Geteuid() == 0 {
		return "/var/lib/handrail-agent"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "handrail-agent")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "handrail-agent"
	}
	return filepath.Join(home, ".local", "state", "handrail-agent")
}

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(t *terminal) error {
	fmt.Fprintf(t.stdout, "handrail-agent %s %s/%s %s\n", versionText(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return nil
}

// logFlags choose what is logged.
type logFlags struct {
	LogFormat string `help:"text or json, on standard error." enum:"text,json" default:"text" env:"HANDRAIL_LOG_FORMAT"`
	Verbose   bool   `help:"Log more." short:"v"`
}

func (f logFlags) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{}
	if f.Verbose {
		opts.Level = slog.LevelDebug
	}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
