package main

import (
	"fmt"
	"net"
	"os"

	"handrail/agent/internal/helper"
)

type desktopCmd struct {
	logFlags `embed:""`
}

// Run is the desktop helper until the daemon that started it hangs up.
func (c *desktopCmd) Run(t *terminal) error {
	f := os.NewFile(helper.ConnFile, "daemon")
	conn, err := net.FileConn(f)
	if err != nil {
		return fmt.Errorf("the agent starts its desktop helper by itself: %w", err)
	}
	f.Close()
	return helper.Serve(t.ctx, conn, "", c.logger(t.stderr))
}
