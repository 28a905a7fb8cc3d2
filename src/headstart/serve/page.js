// The page: tabs, files, and one request a picture. requests.js asks the server, stage.js draws the
// picture, worth.js fills the second tab.

import { Refused, TOKEN, ask, image } from "/requests.js";
import { IGNORED_COLOUR, Stage, chancesAt, pictureOf, unpacked } from "/stage.js";
import { el, showWorth, spaced, swatch } from "/worth.js";

const $ = (id) => document.getElementById(id);

let facts = null;
let stage = null;
let cursor = null; // the crosshair, in pixels of the picture
let stem = ""; // the picture's name without its extension
let current = null; // the AbortController of the running request

// ---- messages

function sentenceCase(text) {
  return text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "";
}

function complain(error) {
  const words = el("strong", {}, sentenceCase(error.message));
  $("error").replaceChildren(words, error.hint ? ` ${sentenceCase(error.hint)}` : "");
}

const percent = (share) => {
  if (share > 0 && share < 0.005) return "< 1 %";
  return `${Math.round(100 * share)} %`;
};

let later = 0;
function announce(text, wait = 0) {
  clearTimeout(later);
  later = setTimeout(() => { $("announcement").textContent = text; }, wait);
}

// ---- a picture

async function segment(name, work) {
  current?.abort();
  const request = (current = new AbortController());
  $("error").replaceChildren();
  $("busy").textContent = "Segmenting …";
  $("stage").setAttribute("aria-busy", "true");
  try {
    const scene = await work(request.signal);
    if (request === current) show(name, scene);
  } catch (error) {
    if (error.name !== "AbortError" && request === current) {
      complain(error instanceof Refused ? error : { message: "the picture could not be shown", hint: String(error.message) });
    }
  } finally {
    if (request === current) {
      $("busy").textContent = "";
      $("stage").removeAttribute("aria-busy");
    }
  }
}

async function segmentFile(file) {
  press(null);
  await segment(file.name, async (signal) => {
    if (file.size > facts.limits.bytes) {
      throw new Refused(413, {
        code: "file-too-large",
        message: `this file has ${(file.size / 1e6).toFixed(1)} MB, at most ${facts.limits.bytes / 1e6} MB are allowed`,
        hint: "scale the picture down, or save it as JPEG",
      });
    }
    const post = async (query) => {
      const type = "application/octet-stream";
      const options = { method: "POST", body: file, signal, headers: { "Content-Type": type } };
      return (await ask(`/segment${query}`, options)).json();
    };
    // The server sends the picture to a browser that cannot read it (TIFF), or reads another size.
    const picture = await pictureOf(file).catch(() => null);
    let answer = await post(picture ? "" : "?picture=true");
    const sameSize = picture && picture.width === answer.width && picture.height === answer.height;
    if (picture && !sameSize) answer = await post("?picture=true");
    return unpacked(answer, sameSize ? picture : null);
  });
}

async function segmentSample(k) {
  press(k);
  const name = facts.samples.names[k];
  await segment(`${facts.samples.split} frame ${name}`, async (signal) => {
    const answer = await (await ask(`/samples/${k}/segment`, { method: "POST", signal })).json();
    return unpacked(answer, null);
  });
}

function show(name, scene) {
  stem = name.replace(/\.[^.]*$/, "");
  $("drop").hidden = true;
  $("view").hidden = $("side").hidden = false;
  $("caption").replaceChildren(name, el("span", { class: "soft" }, ` · ${scene.width} × ${scene.height}`));
  $("what").hidden = !scene.truth;
  $("dice").hidden = !scene.truth;
  if (scene.truth) {
    const words = scene.dice === null
      ? ["Neither the truth nor the prediction of this frame has foreground."]
      : ["Dice of this frame: ", el("b", {}, scene.dice.toFixed(3)), ". It is the mean over the classes in truth or prediction."];
    if (scene.ignored) words.push(" ", swatch(IGNORED_COLOUR), " ignored: pixels of the truth that do not count.");
    $("dice").replaceChildren(...words);
  } else if (stage.what !== "prediction") {
    document.querySelector('input[name="what"][value="prediction"]').checked = true;
    stage.what = "prediction";
  }
  stage.show(scene);
  $("canvas").setAttribute("aria-label", `${name}, ${spoken(scene.areas)}`);
  showAreas(scene);
  moveTo(...startOf(scene), false);
  announce(`${name}: ${spoken(scene.areas)}`);
}

/** A pixel near the centre of the largest predicted class, or the centre of the picture. */
function startOf({ width, height, areas, prediction }) {
  const largest = areas.reduce((best, share, k) => (k && share > (best ? areas[best] : 0) ? k : best), 0);
  let [x, y, count] = [0, 0, 0];
  prediction.forEach((k, i) => {
    if (k !== largest) return;
    x += i % width;
    y += Math.floor(i / width);
    count++;
  });
  let nearest = [Math.floor(width / 2), Math.floor(height / 2)];
  let shortest = Infinity;
  if (largest) prediction.forEach((k, i) => {
    if (k !== largest) return;
    const [column, row] = [i % width, Math.floor(i / width)];
    const distance = (column - x / count) ** 2 + (row - y / count) ** 2;
    if (distance < shortest) [shortest, nearest] = [distance, [column, row]];
  });
  return nearest;
}

function spoken(shares) {
  const order = shares.map((share, k) => [share, k]).filter(([share]) => share > 0);
  order.sort((a, b) => b[0] - a[0]);
  return order.map(([share, k]) => `${spaced(facts.classes[k].name)} ${percent(share)}`).join(", ");
}

// ---- classes

function makeClasses() {
  const rows = facts.classes.map(({ name, colour }, k) => {
    const bar = el("i");
    const chance = el("div", { class: "chance" }, el("div", { class: "track", "aria-hidden": "true" }, bar), el("b", {}, "–"));
    const label = el(k ? "label" : "div", { class: k ? "" : "plain" });
    if (k) {
      const box = el("input", { type: "checkbox" });
      box.checked = true;
      box.addEventListener("change", () => {
        stage.on[k] = box.checked;
        stage.rebuild();
      });
      label.append(box);
    } else label.append(el("span"));
    label.append(swatch(colour), el("span", {}, spaced(name)));
    return el("tr", {}, el("th", { scope: "row" }, label), el("td", { class: "right" }, "–"), el("td", {}, chance));
  });
  $("classes").replaceChildren(...rows);
}

function showAreas(scene) {
  [...$("classes").rows].forEach((row, k) => {
    row.cells[1].textContent = percent(scene.areas[k]);
    row.classList.toggle("absent", scene.areas[k] === 0);
  });
}

function moveTo(x, y, aloud) {
  const { scene } = stage;
  if (!scene) return;
  x = Math.min(Math.max(x, 0), scene.width - 1);
  y = Math.min(Math.max(y, 0), scene.height - 1);
  cursor = { x, y };
  const chances = chancesAt(scene, x, y);
  const predicted = scene.prediction[y * scene.width + x];
  [...$("classes").rows].forEach((row, k) => {
    row.querySelector(".track i").style.width = `${100 * chances[k]}%`;
    row.querySelector(".chance b").textContent = percent(chances[k]);
    row.classList.toggle("predicted", k === predicted);
  });
  const likeliest = chances.indexOf(Math.max(...chances));
  // Between two classes, chances that were resized after calibration can name the other one: it is in the picture.
  const small = predicted !== likeliest && scene.areas[likeliest] === 0 && facts.min_area > 0;
  const name = spaced(facts.classes[predicted].name);
  $("place").textContent = `· at ${x}, ${y}: ${name}`;
  $("left-out").textContent = small
    ? `${spaced(facts.classes[likeliest].name)} is more probable here, but covers less than ${100 * facts.min_area} % of the picture and is left out.`
    : "";
  placeCross();
  if (aloud) announce(`${x}, ${y}: ${name}. ${spoken(chances.map((c) => (c < 0.005 ? 0 : c)))}`, 250);
}

function placeCross() {
  if (!cursor) return;
  const { canvas, scene } = stage;
  $("cross").style.left = `${canvas.offsetLeft + ((cursor.x + 0.5) / scene.width) * canvas.clientWidth}px`;
  $("cross").style.top = `${canvas.offsetTop + ((cursor.y + 0.5) / scene.height) * canvas.clientHeight}px`;
  $("cross").hidden = false;
}

function point(event) {
  const box = stage.canvas.getBoundingClientRect();
  const { width, height } = stage.scene;
  const x = Math.floor(((event.clientX - box.left) / box.width) * width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * height);
  moveTo(x, y, false);
}

function arrow(event) {
  if (!stage.scene || event.ctrlKey || event.metaKey || event.altKey) return;
  const { width, height } = stage.scene;
  const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(width, height) / 64));
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const way = ways[event.key];
  if (!way) return;
  event.preventDefault();
  moveTo(cursor.x + way[0] * step, cursor.y + way[1] * step, true);
}

// ---- test frames

function press(k) {
  [...$("strip").children].forEach((button, i) => {
    button.setAttribute("aria-pressed", String(i === k));
  });
}

function makeSamples() {
  const { names, split, missing } = facts.samples;
  $("samples").hidden = false;
  $("samples-title").textContent = split === "test" ? "Test frames" : "Validation frames";
  $("samples-note").textContent = missing || `The ${names.length} frames that the run was scored on, with their truth.`;
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      image(`/samples/${target.dataset.k}/thumbnail`).then((address) => { target.src = address; }, () => {});
    }
  }, { rootMargin: "200px" });
  const buttons = names.map((name, k) => {
    const picture = el("img", { alt: "", "data-k": k, width: 95, height: 76 });
    seen.observe(picture);
    const attributes = { type: "button", tabindex: k ? -1 : 0, "aria-pressed": "false", "aria-label": `${split} frame ${name}` };
    const button = el("button", attributes, picture, el("span", {}, name));
    button.addEventListener("click", () => { roam(k, false); segmentSample(k); });
    return button;
  });
  $("strip").replaceChildren(...buttons);
  $("strip").hidden = !names.length;
}

function roam(k, focus) {
  const buttons = [...$("strip").children];
  buttons.forEach((button, i) => { button.tabIndex = i === k ? 0 : -1; });
  if (focus) buttons[k].focus();
}

// ---- tabs, files, downloads

function choose(tab, focus) {
  for (const other of document.querySelectorAll("[role=tab]")) {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    other.tabIndex = on ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !on;
  }
  if (focus) tab.focus();
  placeCross();
}

function step(event, items, go) {
  const keys = { ArrowRight: 1, ArrowLeft: -1 };
  const focused = items.indexOf(document.activeElement);
  let to = event.key in keys ? focused + keys[event.key] : null;
  if (event.key === "Home") to = 0;
  if (event.key === "End") to = items.length - 1;
  if (to === null || focused < 0) return;
  event.preventDefault();
  go((to + items.length) % items.length);
}

function save(blob, name) {
  if (!blob) {
    complain({ message: "the browser cannot make a picture of this size", hint: "use headstart predict" });
    return;
  }
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function take(files) {
  if (!files.length || !facts) return;
  if (files.length > 1) {
    complain({ message: `${files.length} files were given, expected one picture`, hint: "use headstart predict for a folder" });
    return;
  }
  choose($("tab-try"), false);
  segmentFile(files[0]);
}

function listen() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab, true));
  $("tabs").addEventListener("keydown", (e) => step(e, tabs, (i) => choose(tabs[i], true)));
  $("strip").addEventListener("keydown", (e) => step(e, [...$("strip").children], (i) => roam(i, true)));
  $("file").addEventListener("change", () => {
    take([...$("file").files]);
    $("file").value = "";
  });
  $("opacity").addEventListener("input", () => {
    $("opacity-value").textContent = `${$("opacity").value} %`;
    stage.opacity = $("opacity").value / 100;
    stage.draw();
  });
  for (const radio of document.querySelectorAll("input[name=what]")) {
    radio.addEventListener("change", () => {
      stage.what = radio.value;
      $("what-note").textContent = radio.value === "both" ? "Colours show the prediction, black and white dashes the truth." : "";
      stage.rebuild();
    });
  }
  const canvas = $("canvas");
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("keydown", arrow);
  new ResizeObserver(placeCross).observe(canvas);
  $("save-mask").addEventListener("click", () => save(stage.scene.mask, `${stem}-mask.png`));
  $("save-overlay").addEventListener("click", async () => save(await stage.overlay(), `${stem}-overlay.png`));
  let depth = 0; // dragenter and dragleave come for every element that the pointer crosses
  const over = (by) => {
    depth = Math.max(0, depth + by);
    document.body.classList.toggle("over", depth > 0);
  };
  addEventListener("dragenter", () => over(1));
  addEventListener("dragleave", () => over(-1));
  addEventListener("dragover", (e) => e.preventDefault());
  addEventListener("drop", (e) => {
    e.preventDefault();
    over(-depth);
    take([...e.dataTransfer.files]);
  });
  addEventListener("paste", (e) => take([...(e.clipboardData?.files ?? [])]));
}

// ---- start

function begin() {
  $("gate").hidden = true;
  document.title = `${facts.name} · headstart`;
  $("name").textContent = facts.name;
  $("line").textContent = facts.line;
  const megapixels = facts.limits.pixels / 1e6;
  $("takes").textContent = `PNG, JPEG, WEBP, BMP, TIFF, GIF or DICOM, up to ${facts.limits.bytes / 1e6} MB and ${megapixels} megapixels. Pictures stay on this machine.`;
  stage = new Stage($("canvas"), facts.classes.map((c) => c.colour));
  makeClasses();
  makeSamples();
  $("tabs").hidden = false;
  choose($("tab-try"), false);
  listen();
  showWorth($("panel-worth"), facts, image);
}

async function open() {
  try {
    facts = await (await ask("/facts")).json();
  } catch (error) {
    $("name").textContent = "headstart";
    if (error.status === 401) {
      if (sessionStorage.getItem(TOKEN)) $("gate-error").textContent = "This token is wrong.";
      sessionStorage.removeItem(TOKEN);
      $("gate").hidden = false;
    } else {
      $("line").textContent = `${sentenceCase(error.message)} ${sentenceCase(error.hint)}`;
    }
    return;
  }
  begin();
}

$("gate").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  open();
});
addEventListener("hashchange", () => location.reload()); // a new address was pasted into this tab
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  sessionStorage.setItem(TOKEN, token);
  history.replaceState(null, "", location.pathname); // keeps the token out of history and screenshots
}
open();
