# Which printers there are, how they are, and what waits.
set -u
command -v lpstat >/dev/null || { echo "CUPS is not on this device (package cups-client)."; exit 1; }
lpstat -r || { echo "The printing service does not run."; exit 1; }
echo
lpstat -p -d 2>&1
echo
waiting=$(lpstat -o 2>/dev/null)
if [ -z "$waiting" ]; then
	echo "Nothing waits to be printed."
else
	echo "Waiting:"
	echo "$waiting"
	if [ "$PARAM_CANCEL" = true ]; then
		cancel -a && echo "All of it was cancelled."
	fi
fi
