// The points of the map: what the server sends, and which of them is where.

const MAGIC = "SLKMAP01";
const HEADER = 16;
const PER_CELL = 4;

/** The parts of `GET map`, read without copying: xy from -1 to 1, ids ascending, groups. */
export function parsePoints(buffer) {
  const [view, magic] = [new DataView(buffer), String.fromCharCode(...new Uint8Array(buffer, 0, 8))];
  if (magic !== MAGIC) throw new Error("This map is of another release: load the page again.");
  const [version, count] = [view.getUint32(8, true), view.getUint32(12, true)];
  const [ids, groups] = [HEADER + 8 * count, HEADER + 12 * count];
  return {
    version, count,
    xy: new Float32Array(buffer, HEADER, 2 * count),
    ids: new Int32Array(buffer, ids, count),
    groups: new Uint8Array(buffer, groups, count),
  };
}

/** The row of a track's id, by halving; -1 where the map does not have it. */
export function rowOf(ids, id) {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle] < id) low = middle + 1;
    else high = middle;
  }
  return ids[low] === id ? low : -1;
}

/** A grid over the points that finds the one nearest to a position. */
export class Grid {
  constructor(xy) {
    const count = xy.length / 2;
    this.xy = xy;
    this.side = Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(count / PER_CELL))));
    // Rows sorted by cell: those of cell c are order[starts[c]] to order[starts[c + 1] - 1].
    this.starts = new Uint32Array(this.side ** 2 + 1);
    this.order = new Uint32Array(count);
    const cells = new Uint32Array(count);
    for (let row = 0; row < count; row++) {
      cells[row] = this.#cell(xy[2 * row]) + this.side * this.#cell(xy[2 * row + 1]);
      this.starts[cells[row] + 1]++;
    }
    for (let cell = 0; cell < this.side ** 2; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    for (let row = 0; row < count; row++) this.order[next[cells[row]]++] = row;
  }

  /** The row nearest to a position, at most `radius` away; -1 where there is none. */
  nearest(x, y, radius = Infinity) {
    let [best, least] = [-1, radius];
    const [column, line, width] = [this.#cell(x), this.#cell(y), 2 / this.side];
    // Rings of cells around the position, until none can hold a nearer point.
    for (let ring = 0; ring < this.side && (ring - 1) * width <= least; ring++) {
      for (let j = line - ring; j <= line + ring; j++) {
        const step = Math.abs(j - line) === ring ? 1 : Math.max(1, 2 * ring);
        for (let i = column - ring; i <= column + ring; i += step) {
          if (i < 0 || j < 0 || i >= this.side || j >= this.side) continue;
          for (let at = this.starts[i + this.side * j]; at < this.starts[i + this.side * j + 1]; at++) {
            const row = this.order[at];
            const apart = Math.hypot(this.xy[2 * row] - x, this.xy[2 * row + 1] - y);
            if (apart <= least) [best, least] = [row, apart];
          }
        }
      }
    }
    return best;
  }

  #cell(value) {
    return Math.max(0, Math.min(this.side - 1, Math.floor(((value + 1) / 2) * this.side)));
  }
}
