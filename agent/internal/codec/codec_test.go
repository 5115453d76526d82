//go:build cgo

package codec_test

import (
	"testing"

	"handrail/agent/internal/codec"
	"handrail/agent/internal/codec/codectest"
)

func TestVP8(t *testing.T) { codectest.RunEncoder(t, codec.New) }
