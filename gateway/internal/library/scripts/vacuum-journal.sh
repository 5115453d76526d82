# Starts a new file of the journal and removes old ones beyond a size or an age.
set -eu
command -v journalctl >/dev/null || { echo "This device keeps no journal of systemd."; exit 1; }
journalctl --rotate
set -- --vacuum-size="${PARAM_SIZE_MIB}M"
if [ "$PARAM_DAYS" -gt 0 ]; then
	set -- "$@" --vacuum-time="${PARAM_DAYS}d"
fi
journalctl "$@"
journalctl --disk-usage
