/** Rectangles whose areas are amounts, close to squares (Bruls, Huizing and van Wijk's squarified tree maps). */

/** A place in the unit square. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Returns a place for each amount, in their order, which must be from the largest to the smallest. */
export function squarify(amounts: readonly number[], within: Place): readonly Place[] {
  const total = amounts.reduce((a, b) => a + Math.max(0, b), 0);
  const places: Place[] = [];
  if (total <= 0) return amounts.map(() => ({ x: within.x, y: within.y, width: 0, height: 0 }));
  const scale = (within.width * within.height) / total;
  let left = { ...within };
  let row: number[] = [];
  for (let i = 0; i < amounts.length; ) {
    const area = Math.max(0, amounts[i] ?? 0) * scale;
    const side = Math.min(left.width, left.height);
    if (row.length === 0 || worst([...row, area], side) <= worst(row, side)) {
      row.push(area);
      i++;
      continue;
    }
    left = lay(row, left, places);
    row = [];
  }
  if (row.length > 0) lay(row, left, places);
  return places;
}

/** How far from square the worst of a row is. */
function worst(row: readonly number[], side: number): number {
  const sum = row.reduce((a, b) => a + b, 0);
  if (sum <= 0 || side <= 0) return Number.POSITIVE_INFINITY;
  const most = Math.max(...row);
  const least = Math.min(...row);
  const squared = side * side;
  return Math.max(
    (squared * most) / (sum * sum),
    (sum * sum) / (squared * Math.max(least, Number.MIN_VALUE)),
  );
}

/** Lays a row along the shorter side and returns what is left. */
function lay(row: readonly number[], left: Place, places: Place[]): Place {
  const sum = row.reduce((a, b) => a + b, 0);
  const down = left.width >= left.height;
  const side = down ? left.height : left.width;
  const depth = side > 0 ? sum / side : 0;
  let at = 0;
  for (const area of row) {
    const length = depth > 0 ? area / depth : 0;
    places.push(
      down
        ? { x: left.x, y: left.y + at, width: depth, height: length }
        : { x: left.x + at, y: left.y, width: length, height: depth },
    );
    at += length;
  }
  return down
    ? { x: left.x + depth, y: left.y, width: Math.max(0, left.width - depth), height: left.height }
    : { x: left.x, y: left.y + depth, width: left.width, height: Math.max(0, left.height - depth) };
}
