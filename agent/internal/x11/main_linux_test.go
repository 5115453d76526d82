package x11_test

import (
	"testing"

	"handrail/agent/internal/x11/x11test"
)

func TestMain(m *testing.M) { x11test.Main(m) }
