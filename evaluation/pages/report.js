"use strict";
// The list of the report's sentences: filters, search, keyboard, and the address that tells of them.

const ROWS = ["gold", "predicted"];
const PORTION = 50;  // sentences drawn at once
const at = id => document.getElementById(id);
const form = at("filters"), search = at("search"), list = at("list"), more = at("more");
const selects = ["split", "kind", "type", "slice"].map(at), fields = [...selects, search];
const types = [...at("type").options].map(option => option.value).slice(1);
const sentences = JSON.parse(at("data").textContent);
let found = [];  // the sentences that match

for (const s of sentences) {
  s.lower = s.tokens.map(token => token.toLowerCase());
  s.text = s.lower.join(" ");
  for (const e of s.errors)
    e.types = ROWS.filter(row => e[row] !== null).map(row => s[row][e[row]][2]);
}

// What a sentence has of each filter's values. Kind and type must meet in one error.
const values = {
  split: s => [s.split],
  kind: (s, f) => s.errors.filter(e => !f.type || e.types.includes(f.type)).map(e => e.kind),
  type: (s, f) => s.errors.filter(e => !f.kind || e.kind === f.kind).flatMap(e => e.types),
  slice: s => s.slices,
};
const matches = (s, f, except) => s.text.includes(f.search) && Object.keys(values).every(
  name => name === except || !f[name] || values[name](s, except ? {...f, [except]: ""} : f).includes(f[name]));

function filters() {
  const f = {search: search.value.trim().replace(/\s+/g, " ").toLowerCase()};
  for (const select of selects) f[select.id] = select.value;
  return f;
}

function update() {
  const f = filters();
  found = sentences.filter(s => matches(s, f));
  for (const select of selects) {
    const counts = new Map();
    for (const s of sentences)
      if (matches(s, f, select.id))
        for (const value of new Set(values[select.id](s, f))) counts.set(value, (counts.get(value) ?? 0) + 1);
    for (const option of [...select.options].slice(1))
      option.textContent = `${option.value} (${(counts.get(option.value) ?? 0).toLocaleString("en")})`;
  }
  for (const field of fields) field.classList.toggle("set", field.value !== "");
  at("count").textContent = `${found.length.toLocaleString("en")} of ${sentences.length.toLocaleString("en")} sentences`;
  at("none").hidden = found.length > 0;
  list.replaceChildren();
  grow();
  if (form.getBoundingClientRect().top <= 0) list.scrollIntoView({behavior: "instant"});
}

function grow() {
  const left = found.slice(list.children.length, list.children.length + PORTION);
  list.append(...left.map(draw));
  if (list.children.length && !list.querySelector("[tabindex='0']")) list.firstElementChild.tabIndex = 0;
  const rest = found.length - list.children.length;
  more.hidden = rest === 0;
  more.textContent = `Show ${Math.min(PORTION, rest)} more of ${rest.toLocaleString("en")}`;
}

function hits(s, text) {  // the tokens that the search found
  const result = new Set();
  for (let i = text ? s.text.indexOf(text) : -1; i >= 0; i = s.text.indexOf(text, i + 1)) {
    let start = 0;
    s.lower.forEach((token, t) => {
      if (start < i + text.length && start + token.length > i) result.add(t);
      start += token.length + 1;
    });
  }
  return result;
}

function draw(s) {
  const where = [`document ${s.document}`, `sentence ${s.sentence}`, ...s.slices];
  return make("li", {className: "card sentence", tabIndex: -1},
    make("div", {className: "where", dataset: {split: s.split}}, make("b", {textContent: s.split}),
      ...where.map(textContent => make("span", {textContent}))),
    drawTokens(s, ROWS, types, hits(s, filters().search)), drawErrors(s, ROWS));
}

function move(step) {
  const here = [...list.children].indexOf(document.activeElement.closest("#list > li"));
  if (here + step >= list.children.length) grow();
  const next = list.children[Math.max(0, here + step)];
  next?.focus({preventScroll: true});
  next?.scrollIntoView({block: "nearest"});
}

// The filters are in the address, so that a view can be shared, and links above can ask for one.
function write() {
  const set = fields.filter(field => field.value);
  const query = new URLSearchParams(set.map(field => [field.id, field.value]));
  history.replaceState(null, "", set.length ? `#${query}` : location.href.split("#")[0]);
}

function read() {
  const query = new URLSearchParams(location.hash.slice(1));
  for (const field of fields) {
    field.value = query.get(field.id) ?? "";
    if (field.selectedIndex === -1) field.value = "";
  }
  update();
}

function clear() {
  for (const field of fields) field.value = "";
  update();
  write();
  search.focus();
}

form.addEventListener("input", () => { update(); write(); });
form.addEventListener("submit", event => { event.preventDefault(); move(1); });
at("clear").addEventListener("click", clear);
more.addEventListener("click", () => {
  const next = list.children.length;
  grow();
  list.children[next].focus();
});
new IntersectionObserver(seen => { if (seen.at(-1).isIntersecting && !more.hidden) grow(); }, {rootMargin: "300px"}).observe(more);
list.addEventListener("focusin", event => {
  list.querySelectorAll(":scope > [tabindex='0']").forEach(item => { item.tabIndex = -1; });
  event.target.closest("#list > li").tabIndex = 0;
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select"), inside = event.target.closest("#list");
  const step = {j: 1, k: -1, ArrowDown: 1, ArrowUp: -1}[event.key];
  if (event.key === "Escape" && fields.some(field => field.value)) clear();
  else if (event.key === "/" && !typing) search.focus();
  else if (step && (inside || !typing && event.key.length === 1)) move(step);
  else return;
  event.preventDefault();
});
addEventListener("hashchange", read);
document.addEventListener("click", event => {  // a link: go there, also where the address has it already
  if (!event.target.closest("a")) return;
  at("sentences").focus({preventScroll: true});
  at("sentences").scrollIntoView();
});
read();
if (location.hash) at("sentences").scrollIntoView({behavior: "instant"});
