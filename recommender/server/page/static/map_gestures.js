// Pointer, wheel and keys of the map, as calls: pan, zoom, point at, click, play.

const CLICK_PX = 6;
const STEP = 0.12;
const KEY_ZOOM = 1.4;
const LINE_PX = 16;

/**
 * Listen at an element until `signal` aborts. `on`: pan(right, down), zoom(factor, left, top),
 * point(left, top) or point(null) when the pointer is gone, click(left, top), reset(),
 * playCentre(), keys() after each key that moved the map.
 */
export function listen(element, on, signal) {
  const pointers = new Map();
  let moved = 0;
  const add = (kind, run, options = {}) => element.addEventListener(kind, run, { signal, ...options });

  add("pointerdown", (event) => {
    if (event.button) return;
    if (!pointers.size) moved = 0;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, position(element, event));
  });

  add("pointermove", (event) => {
    const now = position(element, event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      on.point(...now);
      return;
    }
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    pointers.set(event.pointerId, now);
    if (!other) {
      if (moved >= CLICK_PX) on.pan(now[0] - before[0], now[1] - before[1]);
      return;
    }
    const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
    on.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    on.zoom(distance(now, other) / Math.max(1, distance(before, other)), ...middle);
  });

  const end = (event) => {
    const held = pointers.delete(event.pointerId);
    if (held && event.type === "pointerup" && !pointers.size && moved < CLICK_PX) on.click(...position(element, event));
  };
  add("pointerup", end);
  add("pointercancel", end);
  add("pointerleave", () => on.point(null));

  add("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1);
    on.zoom(Math.exp(-pixels / 400), ...position(element, event));
  }, { passive: false });

  add("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEP * Math.min(element.clientWidth, element.clientHeight);
    const run = {
      ArrowLeft: () => on.pan(step, 0),
      ArrowRight: () => on.pan(-step, 0),
      ArrowUp: () => on.pan(0, step),
      ArrowDown: () => on.pan(0, -step),
      "+": () => on.zoom(KEY_ZOOM),
      "=": () => on.zoom(KEY_ZOOM),
      "-": () => on.zoom(1 / KEY_ZOOM),
      Home: () => on.reset(),
      Enter: () => on.playCentre(),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    run();
    if (event.key !== "Enter") on.keys();
  });
}

function position(element, event) {
  const box = element.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

const distance = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
