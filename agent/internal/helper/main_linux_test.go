package helper_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"

	"handrail/agent/internal/helper"
	"handrail/agent/internal/x11/x11test"
)

// asHelper in the environment makes the test binary the helper, as the agent's is in its other role.
const asHelper = "HANDRAIL_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(asHelper) {
	case "":
		x11test.Main(m)
	case "deaf": // never reads
		<-context.Background().Done()
	default:
		conn, err := net.FileConn(os.NewFile(helper.ConnFile, "daemon"))
		if err == nil {
			err = helper.Serve(context.Background(), conn, "", slog.New(slog.NewTextHandler(os.Stderr, nil)))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
