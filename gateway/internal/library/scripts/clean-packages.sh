# Removes downloaded packages and says how much room that made.
set -eu
room() { df -Pk /var | awk 'NR == 2 { print $4 }'; }
before=$(room)
if command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o DPkg::Lock::Timeout=120 clean
	if [ "$PARAM_AUTOREMOVE" = true ]; then
		apt-get -q -y -o DPkg::Lock::Timeout=120 autoremove
	fi
elif command -v dnf >/dev/null; then
	dnf -q -y clean packages
	if [ "$PARAM_AUTOREMOVE" = true ]; then
		dnf -y autoremove
	fi
else
	echo "Neither apt nor dnf is on this device."
	exit 1
fi
echo "$(( ($(room) - before) / 1024 )) MiB more are free."
