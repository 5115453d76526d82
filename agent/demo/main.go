//go:build linux

// Command demo is what `make run` starts: a gateway, and one device to look at. The device
// is a real desktop (Xvfb, a window manager, a few programs) with a real agent on it; it
// enrolls like any other, with a token good for one use. Everything is kept below the
// data directory, so the next start finds the same gateway and the same device. It is for
// Linux: the desktop is an X server without a screen.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	data := flag.String("data", "./data", "directory that keeps the gateway's and the device's data")
	fleet := flag.Int("fleet", 0, "how many simulated devices there are beside the desktop")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, *data, *fleet); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "handrail: %v\n", err)
		os.Exit(1)
	}
}

// say prints one line of progress.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, "==> "+format+"\n", args...) }

func run(ctx context.Context, data string, fleet int) error {
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	logs := filepath.Join(data, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return fmt.Errorf("cannot write to %s: %w. Choose another directory: make run DATA=DIR", data, err)
	}
	bin, err := siblings("handrail-gateway", "handrail-agent")
	if err != nil {
		return err
	}
	say("starting the gateway (log: %s)", filepath.Join(logs, "gateway.log"))
	gw, line, err := startGateway(ctx, bin["handrail-gateway"], data, logs)
	if err != nil {
		return err
	}
	defer gw.stop()
	err = demo(ctx, bin, data, logs, line, fleet, gw)
	if ctx.Err() != nil {
		say("stopping")
		return nil
	}
	return err
}

// siblings finds the programs built beside this one.
func siblings(names ...string) (map[string]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, n := range names {
		p := filepath.Join(filepath.Dir(self), n)
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("%s is not built: run make build", n)
		}
		found[n] = p
	}
	return found, nil
}

// startGateway runs the gateway until it prints the line that says where it listens, and
// returns that line. A gateway that ends instead has said why on standard error; its
// words are the error.
func startGateway(ctx context.Context, bin, data, logs string) (*process, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	run := &runner{logs: logs}
	gw, err := run.start("gateway", []string{bin, "run", "--data", data}, func(c *exec.Cmd) { c.Stdout = w })
	w.Close()
	if err != nil {
		return nil, "", err
	}
	ready := make(chan string, 1)
	go func() {
		s := bufio.NewScanner(r)
		for s.Scan() {
			if strings.Contains(s.Text(), "http") {
				select {
				case ready <- s.Text():
				default:
				}
			}
		}
	}()
	select {
	case line := <-ready:
		return gw, line, nil
	case <-gw.done:
		return nil, "", fmt.Errorf("the gateway did not start: %s", lastWords(filepath.Join(logs, "gateway.log")))
	case <-ctx.Done():
		gw.stop()
		return nil, "", ctx.Err()
	}
}

// lastWords returns the last line of a log that a person can read.
func lastWords(log string) string {
	f, err := os.Open(log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > 16<<10 {
		_, _ = f.Seek(-16<<10, io.SeekEnd)
	}
	last := "see " + log
	s := bufio.NewScanner(f)
	for s.Scan() {
		if t := strings.TrimSpace(s.Text()); t != "" {
			last = t
		}
	}
	return strings.TrimPrefix(last, "handrail-gateway: ")
}

// demo runs the device until ctx ends, and prints the closing line once it is online.
func demo(ctx context.Context, bin map[string]string, data, logs, line string, fleet int, gw *process) error {
	home := filepath.Join(data, "demo")
	state := filepath.Join(home, "agent")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	root := filepath.Join(state, "root")
	if err := makeWorkstation(root); err != nil {
		return err
	}
	d := &desktop{run: &runner{logs: logs}, home: filepath.Join(home, "home")}
	say("starting the demo desktop")
	defer d.close()
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := enroll(ctx, bin, data, state, address(line)); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.keep(ctx) })
	g.Go(func() error {
		return d.run.supervise(ctx, "agent", []string{bin["handrail-agent"], "run", "--state", state, "--root", root})
	})
	g.Go(func() error {
		select {
		case <-gw.done:
			return fmt.Errorf("the gateway ended: %s", lastWords(filepath.Join(logs, "gateway.log")))
		case <-ctx.Done():
			return nil
		}
	})
	if fleet > 0 {
		argv, err := simulation(ctx, bin, data, address(line), fleet)
		if err != nil {
			return err
		}
		g.Go(func() error { return d.run.supervise(ctx, "fleet", argv) })
	}
	awaitOnline(ctx, bin["handrail-agent"], state)
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stdout, line)
	}
	return g.Wait()
}

// address returns the gateway's address from its closing line, which may end in a setup link.
func address(line string) string {
	for _, w := range strings.Fields(line) {
		if u, err := url.Parse(w); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			return u.Scheme + "://" + u.Host
		}
	}
	return "http://localhost:8080"
}

// enroll makes the desktop a device, unless an earlier run already has.
func enroll(ctx context.Context, bin map[string]string, data, state, gateway string) error {
	if _, err := os.Stat(filepath.Join(state, "enrollment.json")); err == nil {
		return nil
	}
	say("enrolling the demo device")
	token, err := output(ctx, bin["handrail-gateway"], "demo-token", "--data", data)
	if err != nil {
		return err
	}
	_, err = output(ctx, bin["handrail-agent"], "enroll", "--gateway", gateway, "--token", strings.TrimSpace(token),
		"--state", state, "--name", "demo-desktop")
	return err
}

// simulation is the command line of a fleet of simulated devices. They are the same ones at each
// start, and what they are changes now and then, as devices do.
func simulation(ctx context.Context, bin map[string]string, data, gateway string, count int) ([]string, error) {
	say("simulating %d devices", count)
	token, err := output(ctx, bin["handrail-gateway"], "enroll-token", "create", "--data", data, "--uses", strconv.Itoa(4*count), "--ttl", "24h", "--note", "simulated devices")
	if err != nil {
		return nil, err
	}
	return []string{
		bin["handrail-agent"], "simulate", "--gateway", gateway, "--token", strings.TrimSpace(token), "--count", strconv.Itoa(count),
		"--drift", "2h", "--flap", "12h", "--fail", "0.01", "--apply", "3s", "--every", "1m",
	}, nil
}

// awaitOnline waits up to 15 s for the agent to say that it is connected. Where it is not, the
// console says so too, so this is no error.
func awaitOnline(ctx context.Context, agent, state string) {
	for range 75 {
		if _, err := output(ctx, agent, "status", "--state", state); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	say("the demo device is not online yet; its log is beside the gateway's")
}

// output runs a command to its end and returns what it printed; its complaint is the error.
func output(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %s", filepath.Base(argv[0]), argv[1], strings.TrimSpace(complaint.String()))
	}
	return string(b), nil
}
