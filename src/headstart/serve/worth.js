// The second tab: what the run's scores say. Names come from strangers' files: they are only ever
// set as text.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function swatch(colour) {
  const node = el("span", { class: colour ? "swatch" : "swatch none", "aria-hidden": "true" });
  if (colour) node.style.background = `rgb(${colour.join(", ")})`;
  return node;
}

/** A class's name as people read it. */
export const spaced = (name) => name.replaceAll("_", " ");

const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

function gauge(value, mark) {
  const node = el("div", { class: "gauge", "aria-hidden": "true" });
  if (value !== null && value !== undefined) {
    const bar = el("i");
    bar.style.width = `${100 * value}%`;
    node.append(bar);
  }
  if (mark !== null && mark !== undefined) {
    const tick = el("u");
    tick.style.left = `${100 * mark}%`;
    node.append(tick);
  }
  return node;
}

function card(title, ...children) {
  return el("section", { class: "card" }, el("h2", {}, title), ...children);
}

const sentence = ({ kind, head, rest }) =>
  el("p", { class: `told ${kind}` }, el("strong", {}, head), " ", rest);

function scrolling(label, table) {
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, table);
}

function tableOf(className, caption, heads, rows) {
  const cells = heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text));
  return el(
    "table", { class: className },
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, ...cells)),
    el("tbody", {}, ...rows),
  );
}

function scores({ scores: all, split, frames }) {
  const rows = all.map(({ name, value, trivial }) =>
    el(
      "tr", {},
      el("th", { scope: "row" }, el("div", { class: "measured" }, el("span", {}, name.replaceAll("_", "_\u200b")), gauge(value, trivial))),
      el("td", { class: "right" }, number(value)),
      el("td", { class: "right" }, number(trivial)),
    ),
  );
  const heads = [["score", ""], ["this run", "right"], ["constant", "right"]];
  const caption = "Scores of this run beside the best that one class everywhere reaches";
  const meanings = el("dl", {}, ...all.flatMap((s) => [el("dt", {}, s.name), el("dd", {}, s.meaning)]));
  return card(
    "Scores, beside what no learning reaches",
    el("p", { class: "soft small" }, `On the ${frames} ${split} frames. “Constant” is the best that one class everywhere reaches, by each score.`),
    el("p", { class: "key", "aria-hidden": "true" }, el("span", {}, el("i"), "this run"), el("span", {}, el("u"), "best constant prediction")),
    tableOf("scores", caption, heads, rows),
    el("details", {}, el("summary", {}, "What each score means"), meanings),
  );
}

function byClass({ classes }, colours) {
  const rows = classes.map((c, k) => {
    const name = el("div", { class: "measured" }, el("span", { class: "named" }, swatch(colours[k]), spaced(c.name)));
    if (c.reason) name.append(el("span", { class: "small soft" }, `${c.reason}.`));
    if (c.dice !== null) name.append(gauge(c.dice, null));
    const values = ["dice", "iou", "precision", "recall"].map((s) => el("td", { class: "right" }, number(c[s])));
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "right" }, String(c.frames)), ...values);
  });
  const right = ["frames", "dice", "IoU", "precision", "recall"].map((h) => [h, "right"]);
  const table = tableOf("per-class", "Scores of each class", [["class", ""], ...right], rows);
  return card("Class by class", scrolling("Scores of each class", table));
}

function study(its) {
  if (!its) return [];
  if (its.missing) return [card(`The study ${its.name}`, el("p", {}, its.missing))];
  const small = (text) => el("p", { class: "soft" }, text);
  const section = card(
    `The study it is part of: ${its.name}`,
    ...its.notes.map(small),
    ...its.told.map(sentence),
    ...(its.compared ? [small(its.compared)] : []),
    ...its.saved.map((text) => el("p", {}, text)),
    small("All of it, its data included, is in its report (headstart report)."),
  );
  if (its.sentences.length) {
    const items = its.sentences.map((text) => el("li", {}, text));
    section.append(el("details", {}, el("summary", {}, "In whole sentences"), el("ul", {}, ...items)));
  }
  return [section];
}

const SHEETS = {
  "curves.png": ["How it learned", "Curves of training and validation loss over the epochs of this run; the numbers are in its metrics.jsonl."],
  "predictions.png": ["The best, the typical and the worst", "Rows of picture, truth and prediction for the best, the most typical and the worst of the scored frames."],
};

function figure(name, image) {
  const [caption, alt] = SHEETS[name];
  const picture = el("img", { alt });
  image(`/sheets/${name}`).then((address) => { picture.src = address; }, () => { picture.alt = `${alt} It could not be fetched.`; });
  return card(caption, el("figure", {}, picture));
}

/** Fills the panel. `image(path)` gives an address for a picture of the server's. */
export function showWorth(panel, facts, image) {
  const { worth } = facts;
  const colours = facts.classes.map((c) => c.colour);
  const first = card("Verdict", ...(worth.missing ? [el("p", {}, worth.missing)] : worth.told.map(sentence)));
  first.classList.add("first");
  const figures = new Map(facts.sheets.map((name) => [name, figure(name, image)]));
  const known = facts.about.flatMap(([word, value]) => [el("dt", {}, word), el("dd", {}, value)]);
  const caution = "The scored frames are drawn like the training frames; unless whole patients or videos were kept apart, the scores say nothing about new ones.";
  const what = card("What it is", el("dl", {}, ...known));
  const device = card("Not a medical device", el("p", { class: "soft" }, caution));
  const curves = figures.get("curves.png");
  const examples = figures.get("predictions.png");
  const [all, each] = worth.missing ? [null, null] : [scores(worth), byClass(worth, colours)];
  // In one column, on a phone, they stand in this order.
  [all, each, curves, examples, what, device].forEach((its, i) => its?.classList.add(`order-${i + 1}`));
  const columns = [[all, curves, what, device], [each, examples]].map((cards) => el("div", {}, ...cards.filter(Boolean)));
  const above = worth.missing ? [first] : [first, ...study(worth.study)];
  panel.replaceChildren(...above, el("div", { class: "columns" }, ...columns));
}
