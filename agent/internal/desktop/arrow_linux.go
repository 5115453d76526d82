package desktop

import (
	"encoding/binary"
	"strings"
)

// arrow stands in for a shape the server will not show: X.Org answers BadAccess for a
// cursor whose maker has disconnected, such as one xsetroot has set. '#' is black, '.'
// white.
const arrow = `
#
##
#.#
#..#
#...#
#....#
#.....#
#......#
#.......#
#........#
#.....#####
#..#..#
#.# #..#
##  #..#
#    #..#
     #..#
      ##`

// arrowCursor returns the arrow as if the server had told it.
func arrowCursor() (Cursor, error) {
	rows := strings.Split(arrow, "\n")[1:]
	width := 0
	for _, r := range rows {
		width = max(width, len(r))
	}
	b := make([]byte, 32+4*width*len(rows))
	binary.LittleEndian.PutUint16(b[12:], uint16(width))     //nolint:gosec // 11
	binary.LittleEndian.PutUint16(b[14:], uint16(len(rows))) //nolint:gosec // 17
	for y, row := range rows {
		for x, c := range row {
			v := uint32(0)
			switch c {
			case '#':
				v = 0xff000000
			case '.':
				v = 0xffffffff
			}
			binary.LittleEndian.PutUint32(b[32+4*(y*width+x):], v)
		}
	}
	return parseCursor(b)
}
