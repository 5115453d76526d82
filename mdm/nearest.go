package mdm

import "strings"

// Nearest returns the name that was probably meant by one that was mistyped; "" for none.
func Nearest(typed string, names []string) string {
	best, bestAt := "", 1+len(typed)/3
	for _, n := range names {
		if d := distance(strings.ToLower(typed), strings.ToLower(n), bestAt); d < bestAt {
			best, bestAt = n, d
		}
	}
	return best
}

// distance is how many letters must change to make b of a; at least limit when it is over it.
func distance(a, b string, limit int) int {
	if len(a) > 64 || len(b) > 64 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
