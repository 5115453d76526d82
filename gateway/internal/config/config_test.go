package config_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"handrail/gateway/internal/config"
)

// parse reads a command line with an environment and a file.
func parse(t *testing.T, file string, env map[string]string, args ...string) (config.Gateway, error) {
	t.Helper()
	var c struct {
		Config string
		config.Gateway
	}
	lookup := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	if file != "" {
		path := filepath.Join(t.TempDir(), "handrail.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	opts, err := config.Options(lookup, config.FileFlag(args, lookup))
	if err != nil {
		return c.Gateway, err
	}
	p, err := kong.New(&c, append(opts, kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard))...)
	if err != nil {
		return c.Gateway, err
	}
	_, err = p.Parse(args)
	return c.Gateway, err
}

func TestDefaults(t *testing.T) {
	c, err := parse(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.Data != "./data" || c.Heartbeat != 15*time.Second || c.AnswerWithin != time.Minute ||
		c.ConsentWindow != 15*time.Minute || c.TLS != "auto" || c.SecretFile() != filepath.Join("data", "secret.key") {
		t.Errorf("defaults = %+v", c)
	}
}

func TestFlagsBeatEnvironmentBeatsFile(t *testing.T) {
	file := "listen: file:1\nheartbeat: 3s\norigins: [https://a.test, https://b.test]\ndata: fromfile\nbehind-proxy: true\n"
	env := map[string]string{"HANDRAIL_LISTEN": "env:1", "HANDRAIL_DATA": "fromenv"}
	c, err := parse(t, file, env, "--listen", "flag:1")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "flag:1" || c.Data != "fromenv" || c.Heartbeat != 3*time.Second || strings.Join(c.Origins, " ") != "https://a.test https://b.test" || !c.BehindProxy {
		t.Errorf("configuration = %+v", c)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	tests := []struct {
		name, file string
		env        map[string]string
		args       []string
		want       string
	}{
		{"unknown key", "lissten: x\n", nil, nil, `unknown key "lissten"`},
		{"not YAML", "a: [\n", nil, nil, "configuration"},
		{"a map for a value", "listen: {host: x}\n", nil, nil, "listen is not a single value"},
		{"no such file", "", nil, []string{"--config", "/nowhere/at/all.yaml"}, "no such file"},
		{"unknown flag", "", nil, []string{"--lissten", "x"}, "unknown flag"},
		{"duration", "", map[string]string{"HANDRAIL_HEARTBEAT": "soon"}, nil, "--heartbeat"},
		{"enum", "", nil, []string{"--tls", "none"}, "--tls"},
		{"too short", "", nil, []string{"--heartbeat", "0s"}, "--heartbeat"},
		{"public URL", "", nil, []string{"--public-url", "gw.example.test"}, "--public-url"},
		{"origin", "", nil, []string{"--origins", "https://a.test/path"}, "--origins"},
		{"peers", "", nil, []string{"--turn-allow-peers", "10.0.0.0"}, "--turn-allow-peers"},
		{"ports", "", nil, []string{"--turn-ports", "9-1"}, "--turn-ports"},
		{"relay address", "", nil, []string{"--turn-relay-ip", "gw"}, "--turn-relay-ip"},
		{"cluster", "", nil, []string{"--cluster-peers", "a:1"}, "--cluster-listen"},
		{"two buses", "", nil, []string{"--bus-url", "tls://a:1", "--cluster-listen", "a:1"}, "--bus-url"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.file, tt.env, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func FuzzFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\norigins: [a, b]\n")
	f.Add("heartbeat: 3s\n? [a]: b\n")
	f.Fuzz(func(t *testing.T, file string) {
		if len(file) > 4096 {
			return
		}
		_, _ = parse(t, file+"\n", nil)
	})
}
