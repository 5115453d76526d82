# Brings one interface, or all, down and up again.
set -u
one=${PARAM_INTERFACE:-}
if [ -n "$one" ] && [ ! -e "/sys/class/net/$one" ]; then
	echo "There is no interface $one. There are: $(ls /sys/class/net | tr '\n' ' ')"
	exit 1
fi
if command -v nmcli >/dev/null && nmcli -t -f RUNNING general 2>/dev/null | grep -q running; then
	if [ -n "$one" ]; then
		nmcli device disconnect "$one"
		nmcli device connect "$one"
	else
		# Whatever happens in between, the network comes back.
		trap 'nmcli networking on' EXIT INT TERM
		nmcli networking off
		sleep 2
	fi
elif command -v networkctl >/dev/null && systemctl is-active --quiet systemd-networkd; then
	if [ -n "$one" ]; then
		networkctl reconfigure "$one"
	else
		systemctl restart systemd-networkd
	fi
else
	echo "Neither NetworkManager nor systemd-networkd runs on this device."
	exit 1
fi
code=$?
echo "Done."
exit "$code"
