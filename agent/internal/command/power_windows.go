package command

// The programs of this system.
var (
	bootProgram  = []string{"wmic", "os", "get", "lastbootuptime"}
	restartArgs  = []string{"/r", "/t", "0"}
	shutdownArgs = []string{"/s", "/t", "0"}
)
