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
      el("th", { scope: "row" }, name.replaceAll("_", "_\u200b")),
      el("td", { class: "right" }, number(value)),
      el("td", { class: "right" }, number(trivial)),
      el("td", {}, gauge(value, trivial)),
    ),
  );
  const heads = [["score", ""], ["this run", "right"], ["constant", "right"], ["", ""]];
  const caption = "Scores of this run beside the best that one class everywhere reaches";
  const meanings = el("dl", {}, ...all.flatMap((s) => [el("dt", {}, s.name), el("dd", {}, s.meaning)]));
  return card(
    "Scores, beside what no learning reaches",
    el("p", { class: "soft small" }, `On the ${frames} ${split} frames. “Constant” is the best that one class everywhere reaches, by each score.`),
    el("p", { class: "key", "aria-hidden": "true" }, el("span", {}, el("i"), "this run"), el("span", {}, el("u"), "best constant prediction")),
    scrolling("Scores", tableOf("scores", caption, heads, rows)),
    el("details", {}, el("summary", {}, "What each score means"), meanings),
  );
}

function byClass({ classes }, colours) {
  const rows = classes.map((c, k) => {
    const name = el("th", { scope: "row" }, swatch(colours[k]), c.name);
    if (c.reason) name.append(el("div", { class: "small soft" }, c.reason));
    const values = ["iou", "precision", "recall"].map((s) => el("td", { class: "right" }, number(c[s])));
    return el(
      "tr", {}, name,
      el("td", { class: "right" }, String(c.frames)),
      el("td", { class: "right" }, number(c.dice)),
      el("td", {}, gauge(c.dice, null)),
      ...values,
    );
  });
  const right = ["frames", "dice", "", "IoU", "precision", "recall"].map((h) => [h, h ? "right" : ""]);
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
  );
  if (its.sentences.length) {
    const items = its.sentences.map((text) => el("li", {}, text));
    section.append(el("details", {}, el("summary", {}, "In whole sentences"), el("ul", {}, ...items)));
  }
  return [section];
}

const SHEETS = {
  "curves.png": ["Training and validation loss, epoch by epoch", "Curves of training and validation loss over the epochs of this run; the numbers are in its metrics.jsonl."],
  "predictions.png": ["Best, typical and worst of the scored frames", "Rows of picture, truth and prediction for the best, the most typical and the worst of the scored frames."],
};

/** Fills the panel. `image(path)` gives an address for a picture of the server's. */
export async function showWorth(panel, facts, image) {
  const { worth } = facts;
  const colours = facts.classes.map((c) => c.colour);
  const first = card("What it is worth", ...(worth.missing ? [el("p", {}, worth.missing)] : worth.told.map(sentence)));
  first.classList.add("first");
  const sections = [first];
  if (!worth.missing) sections.push(...study(worth.study), scores(worth), byClass(worth, colours));
  if (facts.sheets.length) {
    const figures = facts.sheets.map((name) => {
      const [caption, alt] = SHEETS[name];
      const picture = el("img", { alt, loading: "lazy" });
      image(`/sheets/${name}`).then((address) => { picture.src = address; });
      return el("figure", {}, picture, el("figcaption", {}, caption));
    });
    sections.push(card("Figures", ...figures));
  }
  const known = facts.about.flatMap(([word, value]) => [el("dt", {}, word), el("dd", {}, value)]);
  sections.push(card("What it is", el("dl", {}, ...known)));
  const caution = "The scored frames are drawn like the training frames; unless whole patients or videos were kept apart, the scores say nothing about new ones.";
  sections.push(card("Not a medical device", el("p", { class: "soft" }, caution)));
  panel.replaceChildren(...sections);
}
