package account_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"handrail/agent/internal/account"
)

func TestOwnAccount(t *testing.T) {
	a, err := account.ByUID(os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	name, err := exec.CommandContext(t.Context(), "id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != strings.TrimSpace(string(name)) || a.Home == "" || a.Shell == "" || !a.IsOwn() || a.Credential() != nil {
		t.Errorf("own account %+v, want that of %s without a change of account", a, name)
	}
	for _, want := range []string{"HOME=" + a.Home, "USER=" + a.Name, "SHELL=" + a.Shell} {
		if !slices.Contains(a.Env(), want) {
			t.Errorf("environment %q lacks %s", a.Env(), want)
		}
	}
}

// TestEnvIsNew: secrets of the agent's own environment are none of the user's business.
func TestEnvIsNew(t *testing.T) {
	t.Setenv("HANDRAIL_SECRET", "x")
	a := account.Account{Name: "ana", UID: 4711, Home: "/home/ana", Shell: "/bin/sh"}
	if s := strings.Join(a.Env(), " "); strings.Contains(s, "HANDRAIL") || strings.Contains(s, "sbin") {
		t.Errorf("environment %s", s)
	}
}

func TestWhoCannotBe(t *testing.T) {
	if _, err := account.ByUID(1 << 30); err == nil {
		t.Error("an account that does not exist is found")
	}
	no := account.Account{Name: "daemon", UID: os.Geteuid(), Shell: "/usr/sbin/nologin"}
	if err := no.Check(); err == nil || !strings.Contains(err.Error(), "nologin") {
		t.Errorf("an account without a shell: %v", err)
	}
	other := account.Account{Name: "ana", UID: os.Geteuid() + 1, GID: 7, Groups: []int{7, 8}, Shell: "/bin/sh"}
	err := other.Check()
	if want := os.Geteuid() != 0; want != errors.Is(err, account.ErrCannotBecome) {
		t.Errorf("somebody else: %v", err)
	}
	var want *syscall.Credential
	if c := other.Credential(); c == want || int(c.Uid) != other.UID || !slices.Equal(c.Groups, []uint32{7, 8}) {
		t.Errorf("credential %+v", c)
	}
}
