"use strict";
// The view of one sentence, for every page that shows sentences: its tokens, and in rows above and
// below them a bar for each entity.
//
// A sentence is an object with its `tokens`, its `errors`, and for each row, under the row's name,
// a list of entities. An entity is [its first token, the token after its last, its type]. An error
// has a `kind` and, under the name of each row that it concerns, the index of the row's entity, or
// null where the row has none. Texts come from corpora and models: they enter the page as text
// nodes and attributes only, never as markup.

function make(tag, {dataset, ...properties}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

// The tokens with their bars. The first of `rows` (names) is above the tokens, the others are below.
// The place of a type in `types` chooses its colour; `hits` has the indexes of tokens to highlight.
function drawTokens(sentence, rows, types, hits = new Set()) {
  const columns = sentence.tokens.map((token, t) => make("span", {className: "token"},
    make("span", {className: hits.has(t) ? "word hit" : "word", title: token, textContent: token})));

  function drawBar(row, [start, end, type], look, title, numbers, label) {
    for (let t = start; t < end; t++) {
      const ends = (t === start ? " first" : "") + (t === end - 1 ? " last" : "");
      const bar = make("span", {className: `${look} ${row}${ends}`, title});
      if (t === start) {
        bar.append(...numbers.map(number => make("span", {className: "number", textContent: number})));
        bar.append(make("bdi", {textContent: label}));
      }
      const line = rows.indexOf(row) + 1;  // the tokens are in line 2
      bar.style.gridRow = line === 1 ? 1 : line + 1;
      bar.style.setProperty("--hue", `var(--hue-${types.indexOf(type) % 8})`);
      if (line === 1) columns[t].prepend(bar); else columns[t].append(bar);
    }
  }

  const errors = sentence.errors.map((error, i) => ({...error, number: i + 1}));
  for (const row of rows) {
    sentence[row].forEach((entity, i) => {
      const numbers = errors.filter(error => error[row] === i).map(error => error.number);
      drawBar(row, entity, numbers.length ? "bar wrong" : "bar", `${row} ${entity[2]}`, numbers, entity[2]);
    });
    // Where an entity is missed, an empty frame has its place, unless another entity is there.
    for (const error of errors.filter(error => error[row] === null && row !== rows[0])) {
      const entity = sentence[rows[0]][error[rows[0]]], [start, end, type] = entity;
      if (!sentence[row].some(([from, to]) => from < end && start < to))
        drawBar(row, entity, "gap", `${row} misses ${type}`, [error.number], "");
    }
  }

  // The direction of the sentence is that of its first letter: what is in a <bdi> does not count.
  const tokens = make("div", {className: "tokens", dir: "auto"}, ...columns);
  tokens.style.setProperty("--lines", rows.length + 1);
  // The names of the rows stand beside every line that the tokens wrap into. They are one text with
  // a line for each half of a row and one for the gap; style.css cuts it below the last token.
  const names = Array(2 * rows.length + 3).fill("");
  rows.forEach((row, i) => { names[i === 0 ? 0 : 2 * i + 2] = row; });
  tokens.dataset.rows = `${names.join("\n")}\n`.repeat(sentence.tokens.length);
  return tokens;
}

// The errors in words, numbered as in the bars. `note` says more of an error: it returns what to
// put before the entities.
function drawErrors(sentence, rows, note = () => "") {
  return make("ul", {className: "errors"}, ...sentence.errors.map((error, i) => {
    const having = new Map();  // by entity, the rows that have it
    for (const row of rows.filter(row => Number.isInteger(error[row]))) {
      const entity = sentence[row][error[row]], key = JSON.stringify(entity);
      having.set(key, {entity, names: [...having.get(key)?.names ?? [], row]});
    }
    const words = [...having.values()].flatMap(({entity: [start, end, type], names}, i) => [
      `${i ? ", " : ""}${names.join(" and ")} ${type} “`,
      make("bdi", {textContent: sentence.tokens.slice(start, end).join(" ")}), "”",
    ]);
    return make("li", {}, make("span", {className: "number", textContent: i + 1}),
      make("b", {textContent: error.kind}), note(error), ...words);
  }));
}
