# Empties the caches of names that are on the device.
set -u
did=no
if command -v resolvectl >/dev/null && resolvectl flush-caches 2>/dev/null; then
	echo "systemd-resolved: emptied."
	did=yes
fi
if command -v nscd >/dev/null && nscd --invalidate=hosts 2>/dev/null; then
	echo "nscd: emptied."
	did=yes
fi
if command -v pidof >/dev/null && pid=$(pidof dnsmasq) && kill -HUP $pid; then
	echo "dnsmasq: emptied."
	did=yes
fi
[ "$did" = yes ] || echo "No cache of names runs on this device: nothing to empty."
if [ -n "${PARAM_NAME:-}" ]; then
	echo
	if ! getent ahosts "$PARAM_NAME"; then
		echo "$PARAM_NAME was not found."
		exit 1
	fi
fi
