# How full each volume is, and which directories take the room.
set -u
[ -d "$PARAM_PATH" ] || { echo "There is no directory $PARAM_PATH."; exit 1; }
echo "Volumes:"
df -h -x tmpfs -x devtmpfs -x overlay 2>/dev/null || df -h
echo
echo "The largest directories below $PARAM_PATH, on its own volume:"
du -x -h -d "$PARAM_DEPTH" -- "$PARAM_PATH" 2>/dev/null | sort -rh | head -n "$PARAM_COUNT"
