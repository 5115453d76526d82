package gatewaytest_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// postgresServer is a PostgreSQL of a test's own, for tests that kill it. Unlike the one of
// HANDRAIL_TEST_POSTGRES it keeps what it has confirmed when it is killed.
type postgresServer struct {
	url string // of its empty database

	tb   testing.TB
	bin  string
	data string
	port string
	as   []string
}

// startPostgres starts a server that ends with the test.
func startPostgres(tb testing.TB) *postgresServer {
	tb.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		tb.Fatal("PostgreSQL's server is missing: apt-get install postgresql")
	}
	slices.Sort(found)
	dir, err := os.MkdirTemp("", "handrail-pg-*") //nolint:usetesting // nobody must be able to reach it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &postgresServer{tb: tb, bin: filepath.Dir(found[len(found)-1]), data: filepath.Join(dir, "data")}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			tb.Fatal(err)
		}
		s.as = []string{"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		tb.Fatal(err)
	}
	s.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	s.run("initdb", "-D", s.data, "-U", "handrail", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
	s.url = (&url.URL{Scheme: "postgres", User: url.User("handrail"), Host: "127.0.0.1:" + s.port, Path: "/postgres", RawQuery: "sslmode=disable"}).String()
	s.start()
	tb.Cleanup(func() { _ = s.command("pg_ctl", "-D", s.data, "-m", "immediate", "-w", "stop").Run() })
	return s
}

// start starts the server, again after kill.
func (s *postgresServer) start() {
	s.tb.Helper()
	s.run("pg_ctl", "-D", s.data, "-w", "-t", "120", "-l", filepath.Join(filepath.Dir(s.data), "log"),
		"-o", fmt.Sprintf("-p %s -h 127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=100", s.port), "start")
}

// kill ends the server at once, as a power cut does to it; what it had confirmed is there
// again after start.
func (s *postgresServer) kill() {
	s.tb.Helper()
	s.run("pg_ctl", "-D", s.data, "-m", "immediate", "-w", "-t", "120", "stop")
}

func (s *postgresServer) command(name string, args ...string) *exec.Cmd {
	argv := append(slices.Clone(s.as), append([]string{filepath.Join(s.bin, name)}, args...)...)
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx,gosec // used when the test's context has ended; the test's own words
	cmd.Dir = "/"
	return cmd
}

func (s *postgresServer) run(name string, args ...string) {
	s.tb.Helper()
	cmd := s.command(name, args...)
	out, err := os.Create(filepath.Join(s.tb.TempDir(), "out")) // a server that stays would keep a pipe open
	if err != nil {
		s.tb.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		b, _ := os.ReadFile(out.Name())
		s.tb.Fatalf("%s: %v\n%s", name, err, b)
	}
}
