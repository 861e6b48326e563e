// What part of the map is seen: a centre, a zoom, and the size of the view in CSS pixels.

const MARGIN = 1.08;
const MOST = 400;

export class Camera {
  constructor() {
    Object.assign(this, { x: 0, y: 0, zoom: 1, width: 1, height: 1, wide: 1, high: 1 });
  }

  /** Fit the rectangle around points at zoom 1. */
  fit(xy) {
    let [wide, high] = [1e-3, 1e-3];
    for (let at = 0; at < xy.length; at += 2) {
      wide = Math.max(wide, Math.abs(xy[at]));
      high = Math.max(high, Math.abs(xy[at + 1]));
    }
    Object.assign(this, { wide, high });
  }

  /** CSS pixels of a unit of the map. */
  get unit() {
    return this.zoom * Math.min(this.width / (2 * MARGIN * this.wide), this.height / (2 * MARGIN * this.high));
  }

  toView(x, y) {
    return [this.width / 2 + (x - this.x) * this.unit, this.height / 2 - (y - this.y) * this.unit];
  }

  toMap(left, top) {
    return [this.x + (left - this.width / 2) / this.unit, this.y - (top - this.height / 2) / this.unit];
  }

  /** Move by pixels, not beyond the map. */
  pan(right, down) {
    this.x = clamp(this.x - right / this.unit, -this.wide, this.wide);
    this.y = clamp(this.y + down / this.unit, -this.high, this.high);
  }

  /** Zoom so that what is at a position of the view stays there. */
  zoomAt(factor, left = this.width / 2, top = this.height / 2) {
    const [x, y] = this.toMap(left, top);
    this.zoom = clamp(this.zoom * factor, 1, MOST);
    const [nowX, nowY] = this.toMap(left, top);
    this.pan((nowX - x) * this.unit, (y - nowY) * this.unit);
  }

  reset() {
    Object.assign(this, { x: 0, y: 0, zoom: 1 });
  }
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
