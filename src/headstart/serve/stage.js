// Draws a picture with its classes over it, from one answer of the server. Switching classes, changing
// the opacity and moving the crosshair send no request.

const MIN_WIDTH = 1100; // a narrower canvas is enlarged by a whole factor ...
const MAX_PIXELS = 4_000_000; // ... up to this many pixels; a larger picture is shown with fewer

const IGNORED = 255; // in a map of true classes: pixels that are ignored
export const IGNORED_COLOUR = [150, 150, 150];

const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

async function inflated(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function pictureOf(blob) {
  return createImageBitmap(blob, { imageOrientation: "from-image" });
}

/** The answer with unpacked bytes, and its picture. */
export async function unpacked(answer, picture) {
  const { height, width, probabilities } = answer;
  return {
    height,
    width,
    areas: answer.areas,
    dice: answer.dice,
    ignored: answer.ignored,
    mask: new Blob([bytesOf(answer.mask)], { type: "image/png" }),
    prediction: await inflated(answer.map),
    truth: answer.truth ? await inflated(answer.truth) : null,
    chances: { ...probabilities, values: await inflated(probabilities.values) },
    picture: picture ?? (await pictureOf(new Blob([bytesOf(answer.picture.split(",")[1])]))),
  };
}

/** The probability of each class at a pixel: bilinear between the centres of the network's pixels. */
export function chancesAt(scene, x, y) {
  const { height: h, width: w, values } = scene.chances;
  const neighbours = (at, size, count) => {
    const p = Math.max(((at + 0.5) * count) / size - 0.5, 0);
    const low = Math.min(Math.floor(p), count - 1);
    return [low, Math.min(low + 1, count - 1), p - low];
  };
  const [x0, x1, u] = neighbours(x, scene.width, w);
  const [y0, y1, v] = neighbours(y, scene.height, h);
  return scene.areas.map((_, k) => {
    const at = (row, column) => values[(k * h + row) * w + column] / 255;
    const above = at(y0, x0) * (1 - u) + at(y0, x1) * u;
    return above * (1 - v) + (at(y1, x0) * (1 - u) + at(y1, x1) * u) * v;
  });
}

const surface = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

const opaque = (c) => (255 << 24) | (c[2] << 16) | (c[1] << 8) | c[0];

/** A class map as two layers: the insides of the classes, and their outlines. */
function layers(scene, map, on, colours, skip, dashed) {
  const width = Math.ceil(scene.width / skip);
  const height = Math.ceil(scene.height / skip);
  const seen = new Uint8Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0, from = y * skip * scene.width; x < width; x++, from += skip, i++) {
      seen[i] = on[map[from]] || map[from] === IGNORED ? map[from] : 0;
    }
  }
  const ink = colours.map((c) => (c ? opaque(c) : 0));
  ink[IGNORED] = opaque(IGNORED_COLOUR);
  const fill = new ImageData(width, height);
  const edge = new ImageData(width, height);
  const inside = new Uint32Array(fill.data.buffer);
  const outline = new Uint32Array(edge.data.buffer);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const k = seen[i];
      if (!k) continue;
      const differs =
        (x > 0 && seen[i - 1] !== k) || (x < width - 1 && seen[i + 1] !== k) ||
        (y > 0 && seen[i - width] !== k) || (y < height - 1 && seen[i + width] !== k);
      if (!differs) inside[i] = ink[k];
      else outline[i] = dashed && k !== IGNORED ? ((x + y) & 2 ? 0xffffffff : 0xff000000) : ink[k];
    }
  }
  return [fill, edge].map((data) => {
    const layer = surface(width, height);
    layer.getContext("2d").putImageData(data, 0, 0);
    return layer;
  });
}

/** Shows one picture at a time on a canvas. */
export class Stage {
  constructor(canvas, colours) {
    this.canvas = canvas;
    this.colours = colours;
    this.scene = null;
    this.on = colours.map(() => true);
    this.what = "prediction";
    this.opacity = 0.5;
  }

  show(scene) {
    this.scene = scene;
    const { width, height } = scene;
    this.skip = Math.ceil(Math.sqrt((width * height) / MAX_PIXELS));
    let zoom = Math.max(1, Math.ceil(MIN_WIDTH / width));
    while (zoom > 1 && width * height * zoom * zoom > MAX_PIXELS) zoom--;
    this.canvas.width = Math.round((width * zoom) / this.skip);
    this.canvas.height = Math.round((height * zoom) / this.skip);
    this.rebuild();
  }

  rebuild() {
    if (!this.scene) return;
    this.drawn = this.layersAt(this.skip);
    this.draw();
  }

  layersAt(skip) {
    const { scene, what, on, colours } = this;
    const base = what === "truth" ? scene.truth : scene.prediction;
    const [fill, edge] = layers(scene, base, on, colours, skip, false);
    const dashes = what === "both" ? layers(scene, scene.truth, on, colours, skip, true)[1] : null;
    return { fill, edge, dashes };
  }

  draw() {
    if (this.scene) this.paint(this.canvas, this.drawn);
  }

  paint(canvas, { fill, edge, dashes }) {
    const ink = canvas.getContext("2d");
    const all = [0, 0, canvas.width, canvas.height];
    ink.imageSmoothingEnabled = true;
    ink.imageSmoothingQuality = "high";
    ink.globalAlpha = 1;
    ink.drawImage(this.scene.picture, ...all);
    ink.imageSmoothingEnabled = false;
    ink.globalAlpha = this.opacity;
    ink.drawImage(fill, ...all);
    ink.globalAlpha = 1;
    ink.drawImage(edge, ...all);
    if (dashes) ink.drawImage(dashes, ...all);
  }

  /** The view as a PNG of the picture's own size; null where the browser cannot make one. */
  async overlay() {
    const full = surface(this.scene.width, this.scene.height);
    this.paint(full, this.skip === 1 ? this.drawn : this.layersAt(1));
    return new Promise((done) => full.toBlob(done, "image/png"));
  }
}
