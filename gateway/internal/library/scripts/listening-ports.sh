# Which programs listen for connections, and on which addresses.
set -u
command -v ss >/dev/null || { echo "The program ss is missing: install the package iproute2."; exit 1; }
ss -H -tulpn | awk -v outside="$PARAM_OUTSIDE_ONLY" '
	BEGIN { printf "%-5s %-45s %s\n", "", "Address", "Program" }
	{
		address = $5
		if (outside == "true" && address ~ /^(127\.|\[::1\]|\[::ffff:127\.)/) next
		program = "(not told)"
		if (match($0, /users:\(\("[^"]*"/)) program = substr($0, RSTART + 9, RLENGTH - 10)
		line = sprintf("%-5s %-45s %s", $1, address, program)
		if (!seen[line]++) print line
	}'
