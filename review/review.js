"use strict";
// The list of the sentences that base and head tag differently.

const sentences = JSON.parse(document.getElementById("data").textContent);
const rowsOf = sentence => ["gold", "base", "head"].filter(row => row in sentence);
const types = [...new Set(
  sentences.flatMap(s => rowsOf(s).flatMap(row => s[row].map(([, , type]) => type))))].sort();

function draw(sentence) {
  const rows = rowsOf(sentence), {base, head} = sentence.wrong_entities;
  const verdict = head < base ? "better" : "worse";
  const number = value => value.toLocaleString("en", {maximumFractionDigits: 2});

  function sides(error) {  // who makes the error
    const names = rows.slice(1).filter(row => row in error);
    const look = rows.length < 3 || names.length > 1 ? "" : names[0] === "base" ? "better" : "worse";
    return make("span", {className: `side ${look}`, textContent: `in ${names.join(" and ")}`});
  }

  return make("li", {className: "card sentence"},
    make("div", {className: "where", dataset: {split: sentence.split}}, make("b", {textContent: sentence.split}),
      ...[`document ${sentence.document}`, `sentence ${sentence.sentence}`,
        `entities missed or made up: ${number(base)} → ${number(head)}`].map(
        textContent => make("span", {textContent})),
      make("strong", {className: verdict, textContent: verdict})),
    drawTokens(sentence, rows, types), drawErrors(sentence, rows, sides));
}

document.getElementById("list").append(...sentences.map(draw));
