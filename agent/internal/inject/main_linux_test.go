package inject

import (
	"handrail/agent/internal/x11/x11test"
	"testing"
)

func TestMain(m *testing.M) { x11test.Main(m) }
