// Points in WebGL2: positions in one buffer, how they look in another, one draw call a frame.

export const GROUPS = 9;
const DIM = 16;
const LIT = 32;

const VERTEX = `#version 300 es
in vec2 xy;
in uint look;
uniform vec2 centre, scale;
uniform float size;
uniform vec3 colours[${GROUPS}];
out vec4 colour;
void main() {
  bool dim = (look & ${DIM}u) != 0u, lit = (look & ${LIT}u) != 0u;
  // What is lit lies in front, whatever is drawn first.
  gl_Position = vec4((xy - centre) * scale, lit ? 0.0 : 0.5, 1.0);
  gl_PointSize = lit ? max(size * 1.8, size + 4.0) : size;
  colour = vec4(colours[look & 15u], dim ? 0.16 : 0.9);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour;
out vec4 pixel;
void main() {
  float away = length(gl_PointCoord - 0.5);
  float alpha = colour.a * (1.0 - smoothstep(0.38, 0.5, away));
  if (alpha < 0.02) discard;
  pixel = vec4(colour.rgb * alpha, alpha);
}`;

/** What draws points on a canvas; null where the browser has no WebGL2. */
export function makeRenderer(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
  if (!gl) return null;
  const program = link(gl);
  const [positions, looks] = [gl.createBuffer(), gl.createBuffer()];
  const uniform = (name) => gl.getUniformLocation(program, name);
  const [centre, scale, size, colours] = ["centre", "scale", "size", "colours"].map(uniform);
  let count = 0;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.enable(gl.DEPTH_TEST);
  gl.depthFunc(gl.LEQUAL);
  attribute(gl, program, "xy", positions, (at) => gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0));
  attribute(gl, program, "look", looks, (at) => gl.vertexAttribIPointer(at, 1, gl.UNSIGNED_BYTE, 0, 0));
  return {
    setPoints(xy) {
      count = xy.length / 2;
      fill(gl, positions, xy);
    },
    setLooks: (bytes) => fill(gl, looks, bytes),
    setColours: (rgb) => gl.uniform3fv(colours, rgb),
    draw({ x, y, scaleX, scaleY, pointSize }) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniform2f(centre, x, y);
      gl.uniform2f(scale, scaleX, scaleY);
      gl.uniform1f(size, pointSize);
      gl.drawArrays(gl.POINTS, 0, count);
    },
    release: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}

/** How each point looks: its group, and whether others are lit (a row set) and it is not. */
export function looksOf(groups, lit) {
  return Uint8Array.from(groups, (group, row) =>
    Math.min(group, GROUPS - 1) | (lit.size ? (lit.has(row) ? LIT : DIM) : 0));
}

function attribute(gl, program, name, buffer, describe) {
  const at = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(at);
  describe(at);
}

function fill(gl, buffer, data) {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
}

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`The map cannot be drawn: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
