// The second tab: scores and verdicts. Names come from strangers' files, so they are only set as text,
// never as HTML.

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

/** A class's name with spaces. */
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
  const caption = "Scores of this run and of the best constant prediction";
  const meanings = el("dl", {}, ...all.flatMap((s) => [el("dt", {}, s.name), el("dd", {}, s.meaning)]));
  return card(
    "Scores beside the best constant prediction",
    el("p", { class: "soft small" }, `On the ${frames} ${split} frames. “Constant” is the best score of a prediction that has the same class everywhere.`),
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

function studyCards(study) {
  if (!study) return [];
  if (study.missing) return [card(`Study ${study.name}`, el("p", {}, study.missing))];
  const small = (text) => el("p", { class: "soft" }, text);
  const section = card(
    `Study ${study.name}, which this run belongs to`,
    ...study.notes.map(small),
    ...study.told.map(sentence),
    ...(study.compared ? [small(study.compared)] : []),
    ...study.saved.map((text) => el("p", {}, text)),
    small("headstart report writes all results of the study and their data."),
  );
  if (study.sentences.length) {
    const items = study.sentences.map((text) => el("li", {}, text));
    section.append(el("details", {}, el("summary", {}, "In full sentences"), el("ul", {}, ...items)));
  }
  return [section];
}

const SHEETS = {
  "curves.png": ["Loss curves", "Training and validation loss of this run by epoch; the numbers are in metrics.jsonl."],
  "predictions.png": ["Best, typical and worst frames", "Picture, truth and prediction of the best, the most typical and the worst scored frames."],
};

function figure(name, image) {
  const [caption, alt] = SHEETS[name];
  const picture = el("img", { alt });
  image(`/sheets/${name}`).then((address) => { picture.src = address; }, () => { picture.alt = `${alt} The figure could not be loaded.`; });
  return card(caption, el("figure", {}, picture));
}

/** Fills the panel. `image(path)` resolves to an address of a picture from the server. */
export function showWorth(panel, facts, image) {
  const { worth } = facts;
  const colours = facts.classes.map((c) => c.colour);
  const first = card("Verdict", ...(worth.missing ? [el("p", {}, worth.missing)] : worth.told.map(sentence)));
  first.classList.add("first");
  const figures = new Map(facts.sheets.map((name) => [name, figure(name, image)]));
  const known = facts.about.flatMap(([word, value]) => [el("dt", {}, word), el("dd", {}, value)]);
  const caution = "Unless whole patients or videos were kept apart, the scored frames resemble the training frames, and the scores say nothing about new patients or videos.";
  const what = card("About this run", el("dl", {}, ...known));
  const device = card("Not a medical device", el("p", { class: "soft" }, caution));
  const curves = figures.get("curves.png");
  const examples = figures.get("predictions.png");
  const [all, each] = worth.missing ? [null, null] : [scores(worth), byClass(worth, colours)];
  // The order in one column, on a phone.
  [all, each, curves, examples, what, device].forEach((section, i) => section?.classList.add(`order-${i + 1}`));
  const columns = [[all, curves, what, device], [each, examples]].map((cards) => el("div", {}, ...cards.filter(Boolean)));
  const above = worth.missing ? [first] : [first, ...studyCards(worth.study)];
  panel.replaceChildren(...above, el("div", { class: "columns" }, ...columns));
}
