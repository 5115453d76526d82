package secret_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"handrail/gateway/internal/secret"
)

func TestLoadMakesAndKeepsTheKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "secret.key")
	first, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := secret.Load(path)
	if err != nil || first != second {
		t.Fatalf("second Load differs or fails: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600 (%v)", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".secret-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, file := range map[string]struct {
		mode os.FileMode
		data string
	}{
		"readable by others": {0o644, "0123456789abcdef0123456789abcdef"},
		"short":              {0o600, "short"},
		"long":               {0o600, "0123456789abcdef0123456789abcdef0"},
	} {
		path := filepath.Join(t.TempDir(), "secret.key")
		if err := os.WriteFile(path, []byte(file.data), file.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.Load(path); err == nil {
			t.Errorf("Load of a key file %s succeeded", name)
		}
	}
}

func TestSeal(t *testing.T) {
	k := secret.New()
	sealed := k.Seal("identity", []byte("plain"))
	got, err := k.Open("identity", sealed)
	if err != nil || string(got) != "plain" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"other label": func() ([]byte, error) { return k.Open("other", sealed) },
		"other key":   func() ([]byte, error) { return secret.New().Open("identity", sealed) },
		"altered":     func() ([]byte, error) { return k.Open("identity", sealed[:len(sealed)-2]+"AA") },
		"truncated":   func() ([]byte, error) { return k.Open("identity", sealed[:8]) },
		"empty":       func() ([]byte, error) { return k.Open("identity", "") },
	} {
		if _, err := open(); !errors.Is(err, secret.ErrSealBroken) {
			t.Errorf("%s: %v, want ErrSealBroken", name, err)
		}
	}
}
