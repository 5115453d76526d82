# Services that failed, with the last lines of their logs.
set -u
[ -d /run/systemd/system ] || { echo "systemd does not run on this device."; exit 1; }
failed=$(systemctl list-units --type=service --state=failed --plain --no-legend --no-pager --full | awk '{ print $1 }')
if [ -z "$failed" ]; then
	echo "No service has failed."
	exit 0
fi
code=0
for unit in $failed; do
	echo "== $unit"
	if [ "$PARAM_LINES" -gt 0 ]; then
		journalctl --no-pager -q -n "$PARAM_LINES" -u "$unit"
	fi
	if [ "$PARAM_RETRY" = true ]; then
		systemctl restart -- "$unit" && echo "It runs again." || { echo "It failed again."; code=1; }
	fi
done
exit "$code"
