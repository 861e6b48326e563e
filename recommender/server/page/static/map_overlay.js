// What lies over the points: names of groups, lines to neighbours, rings around single tracks.

const GAP = 6;
/** A name stands so far above the point that it belongs to, which it would hide. */
const ABOVE = 18;

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.readTheme();
  }

  /** Read the typeface and colours that hold where the canvas is; map.css says which is which. */
  readTheme() {
    const style = getComputedStyle(this.canvas);
    Object.assign(this, {
      family: style.fontFamily, ink: style.color, accent: style.outlineColor, ground: style.textDecorationColor,
    });
  }

  /** Draw anew, in CSS pixels: `names` [{name, at}], `lines` [[from, to]], `rings` [{at, radius, strong}]. */
  draw({ names, lines, rings, ratio }) {
    const { context, canvas } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = this.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [from, to] of lines) {
      context.moveTo(...from);
      context.lineTo(...to);
    }
    context.stroke();
    for (const { at, radius, strong } of rings) {
      context.beginPath();
      context.arc(...at, radius, 0, 2 * Math.PI);
      context.strokeStyle = strong ? this.accent : this.ink;
      context.lineWidth = strong ? 3 : 2;
      context.stroke();
    }
    this.#write(names, canvas.width / ratio, canvas.height / ratio);
  }

  #write(names, width, height) {
    const { context } = this;
    const taken = [];
    Object.assign(context, { font: `650 13px ${this.family}`, textAlign: "center", textBaseline: "middle", lineJoin: "round" });
    for (const { name, at: [x, at] } of names) {
      const y = at - ABOVE;
      const half = context.measureText(name).width / 2;
      const box = [x - half - GAP, y - 8 - GAP, x + half + GAP, y + 8 + GAP];
      const hidden = taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
      if (hidden || box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
      taken.push(box);
      Object.assign(context, { strokeStyle: this.ground, lineWidth: 4, fillStyle: this.ink });
      context.strokeText(name, x, y);
      context.fillText(name, x, y);
    }
  }
}
