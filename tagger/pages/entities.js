"use strict";
// The view of tagged documents, for every page that shows them: running text with a bar under each
// entity, and one control for all of them, the least probability.
//
// A document is an object with its `text`, its `entities`, and perhaps an `id` or an `error`. An
// entity has `start`, `end`, `label`, `score` and `text`; it starts and ends at code points of the
// document's text, and overlaps no other. Texts may hold anything: they enter the page as text
// nodes and properties only, never as markup.

const PORTION = 25;  // documents drawn at once
const PART = 2000;  // characters, or somewhat more, that a browser lays out at once
const PIECES = /.{1,2000}(?:\s|$)|.{1,2000}/gsu;  // of a line, each ended by a space if it has one
const FIRST = ["PER", "ORG", "LOC", "MISC"];  // labels in the report's order, for the same colours

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const counted = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

// Rounded down: what is shown is never above the score, nor a certainty that is none.
const digits = score => (Math.floor(score * 100 + 1e-9) / 100).toFixed(2);

// A function from offsets in code points, which must not decrease, to offsets in a JavaScript string.
function offsetsIn(text) {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return offset => offset;
  let points = 0, units = 0;
  return offset => {
    for (; points < offset; points++) units += text.codePointAt(units) > 0xffff ? 2 : 1;
    return units;
  };
}

// The paragraphs of a text, in parts that the browser lays out when they come into sight. `marks`
// has for each entity its start and its end in the text, and the element that shows it.
function drawText(text, marks) {
  const place = element("div", {className: "text"});
  let part, paragraph, size = Infinity;  // of the part

  function open(className) {
    if (size > PART) {
      part = element("div", {className: "part"});
      place.append(part);
      size = 0;
    }
    paragraph = element("p", {className, dir: "auto"});  // the direction is that of its first letter
    part.append(paragraph);
  }

  function add(node, length) {
    if (size > 2 * PART) open("continued");  // a paragraph that has become too long to lay out at once
    paragraph.append(node);
    size += length;
  }

  function addPlain(plain) {
    plain.split("\n").forEach((line, i) => {
      if (i) open("");
      for (const piece of line.match(PIECES) ?? []) add(piece, piece.length);
      size += 20;  // even an empty paragraph is some work
    });
  }

  open("");
  let done = 0;
  for (const {start, end, mark} of marks) {
    addPlain(text.slice(done, start));
    add(mark, end - start);
    done = end;
  }
  addPlain(text.slice(done));
  return place;
}

// The view: its `element`, `show(documents)`, and `threshold()`, the least probability that is
// chosen.
function makeView() {
  const slider = element("input", {type: "range", id: "threshold", min: 0, max: 1, step: 0.01, value: 0});
  const value = element("output", {htmlFor: "threshold"});
  const legend = element("ul", {className: "legend"});
  const list = element("ol", {className: "documents"});
  const more = element("button", {type: "button", hidden: true});
  const bar = element("div", {className: "controls"},
    element("label", {htmlFor: "threshold", textContent: "least probability"}), slider, value, legend);
  let documents = [], marks = [], labels = [];  // the place of a label chooses its colour

  const threshold = () => Number(slider.value);
  const isShown = entity => entity.score >= threshold();
  const hue = label => `var(--hue-${labels.indexOf(label) % 8})`;

  function drawEntity(entity) {
    const label = element("span", {className: "bar"},
      element("bdi", {textContent: entity.label}), element("span", {className: "score", textContent: digits(entity.score)}));
    const mark = element("mark", {className: "entity", title: `${entity.label} ${entity.score}, characters ${entity.start} to ${entity.end}`},
      element("span", {className: "words", textContent: entity.text}), label);
    mark.style.setProperty("--hue", hue(entity.label));
    mark.style.setProperty("--score", entity.score);
    marks.push({entity, mark});
    return mark;
  }

  function drawDocument({id, text, entities, error}, i) {
    const offset = offsetsIn(text);
    const placed = entities.map(entity => ({start: offset(entity.start), end: offset(entity.end), mark: drawEntity(entity)}));
    const item = element("li", {className: "card"});
    if (documents.length > 1 || id != null)
      item.append(element("div", {className: "where"}, element("b", {textContent: id ?? `document ${i + 1}`})));
    if (error != null) item.append(element("p", {className: "error", textContent: `Not tagged: ${error}`}));
    item.append(drawText(text, placed));
    return item;
  }

  function choose() {
    value.value = threshold().toFixed(2);
    for (const {entity, mark} of marks) mark.classList.toggle("below", !isShown(entity));
    const counts = new Map();
    for (const {entities} of documents)
      for (const entity of entities)
        counts.set(entity.label, (counts.get(entity.label) ?? 0) + (isShown(entity) ? 1 : 0));
    legend.replaceChildren(...labels.filter(label => counts.has(label)).map(label => {
      const item = element("li", {}, element("bdi", {textContent: label}), ` ${counts.get(label).toLocaleString("en")}`);
      item.style.setProperty("--hue", hue(label));
      return item;
    }));
  }

  function grow() {
    const from = list.children.length;
    list.append(...documents.slice(from, from + PORTION).map((one, i) => drawDocument(one, from + i)));
    const rest = documents.length - list.children.length;
    more.hidden = rest === 0;
    more.textContent = `Show ${Math.min(PORTION, rest)} more of ${rest.toLocaleString("en")}`;
    choose();
  }

  function show(shown) {
    documents = shown;
    const found = new Set(documents.flatMap(({entities}) => entities.map(({label}) => label)));
    labels = [...FIRST, ...[...found].filter(label => !FIRST.includes(label)).sort()];
    marks = [];
    list.replaceChildren();
    grow();
  }

  slider.addEventListener("input", choose);
  more.addEventListener("click", grow);
  new IntersectionObserver(seen => { if (seen.at(-1).isIntersecting && !more.hidden) grow(); }, {rootMargin: "300px"}).observe(more);
  choose();
  return {element: element("div", {className: "view"}, bar, list, more), show, threshold, isShown};
}
