"use strict";
// The page of the server: sends the text, shows the document that comes back.

const at = id => document.getElementById(id);
const form = at("ask"), text = at("text"), state = at("status"), copy = at("copy");
const view = makeView();
let tagged = null, asking = null;

function say(message, isError = false) {
  state.value = message;
  state.classList.toggle("error", isError);
}

// Why a request was refused, in words. This server tells it; a proxy before it may answer otherwise.
async function reasonOf(response) {
  const inWords = ({detail}) => typeof detail === "string" ? detail
    : detail.map(({loc, msg}) => `${loc.slice(1).join(" ")}: ${msg}`).join("; ");
  const detail = await response.json().then(inWords).catch(() => "");
  const reason = detail || `The server answered with status ${response.status}.`;
  const after = Number(response.headers.get("Retry-After"));  // not a number if it is a date
  return after ? `${reason} Try again in ${counted(after, "second", "seconds")}.` : reason;
}

async function ask() {
  asking?.abort();  // the answer to an older text is of no use
  const {signal} = asking = new AbortController();
  tagged = null;
  copy.disabled = true;
  at("result").hidden = false;
  form.setAttribute("aria-busy", "true");
  say("Finding entities …");
  try {
    const response = await fetch("tag", {
      method: "POST", signal, headers: {"Content-Type": "application/json"},
      body: JSON.stringify({texts: [text.value], wrapped: at("wrapped").checked}),
    });
    if (!response.ok) return say(await reasonOf(response), true);
    const [answer] = (await response.json()).documents;
    if (signal.aborted) return;
    tagged = answer;
    view.show([answer]);
    if (answer.error !== undefined) return say("This text could not be tagged.", true);
    copy.disabled = false;
    say(counted(answer.entities.length, "entity", "entities"));
  } catch (error) {
    if (!signal.aborted) say(`The server gave no answer that can be used (${error.message}).`, true);
  } finally {
    if (!signal.aborted) form.removeAttribute("aria-busy");
  }
}

// The clipboard of `navigator` is there only for pages from this machine or through HTTPS.
async function write(content) {
  if (navigator.clipboard) return navigator.clipboard.writeText(content);
  const field = element("textarea", {value: content, readOnly: true});
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("the browser refuses it");
}

form.addEventListener("submit", event => {
  event.preventDefault();
  ask();
});
text.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
copy.addEventListener("click", async () => {
  const shown = {...tagged, entities: tagged.entities.filter(view.isShown)};
  try {
    await write(JSON.stringify(shown, null, 2));
    say(`Copied ${counted(shown.entities.length, "entity", "entities")}.`);
  } catch (error) {
    say(`Nothing was copied: ${error.message}`, true);
  }
});
// Where a browser finds out each line's direction, a megabyte takes it seconds at each key.
text.addEventListener("input", () => { text.dir = text.textLength > 100_000 ? "" : "auto"; });
at("result").append(view.element);
ask();
