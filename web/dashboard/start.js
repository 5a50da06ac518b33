// The server's status: whether it takes events and which ones it refuses, whether the data are
// synthetic, and what to do while there are no data.

import * as format from "./format.js";

const $ = (selector) => document.querySelector(selector);
const SHOWN = 5; // origins of refused events

function element(name, text, className = "") {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

const requests = (count) => (count === 1 ? "1 request" : `${format.count(count)} requests`);

const REASONS = {
  site: "its pages are not among the counted sites",
  token: "it has no valid token of this server",
  rate: "it sends more events than the rate limit allows",
  demo: "demo data and clicks of other sites must not be mixed",
};

function refusedLine({ origin, requests: count, reason, option }) {
  const li = document.createElement("li");
  li.append(element("strong", origin ?? "A program"), `: ${requests(count)}, because `,
    `${REASONS[reason] ?? reason}.`);
  if (option) li.append(" This option allows it: ", element("code", option));
  return li;
}

// Whether the node already shows this value. A node is built again only after a change, so that the
// user's selection of text stays.
function unchanged(node, value) {
  const text = JSON.stringify(value);
  if (node.dataset.shown === text) return true;
  node.dataset.shown = text;
  return false;
}

function showRefused(refused) {
  const box = $("#refused");
  const count = refused?.requests ?? 0;
  box.hidden = count === 0;
  if (count === 0 || unchanged(box, refused)) return;
  $("#refused-title").textContent = count === 1 ? "1 request was refused: its clicks are not counted"
    : `${requests(count)} were refused: their clicks are not counted`;
  const shown = refused.origins.slice(0, SHOWN);
  const lines = shown.map(refusedLine);
  const others = count - shown.reduce((sum, entry) => sum + entry.requests, 0);
  if (others > 0) lines.push(element("li", `Others: ${requests(others)}.`));
  $("#refused-origins").replaceChildren(...lines);
}

function step(text, code, more) {
  const li = element("li");
  li.append(element("p", text), element("pre", code));
  if (more) li.append(more);
  return li;
}

function link(text, href) {
  const a = element("a", text);
  a.href = href;
  const p = element("p");
  p.append(a);
  return p;
}

// A word for the shell, in quotes where needed.
const quoted = (text) => (/^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const COUNT = "clickmill run --sites www.example.com";

// A demonstration accepts only the clicks of its own shop.
function countingStep({ collector, shop }) {
  if (shop)
    return step("This is a demonstration. To count your own pages, start Clickmill with their names:",
      COUNT, link("Or click in the demo shop", "/demo/"));
  if (collector)
    return step("Put this line into the head of your pages:",
      `<script defer src="${location.origin}/clickmill.js"></script>`,
      link("More about this line, and about pages of other addresses", "/snippet"));
  return step("This server shows answers and takes no events. To count your pages, start Clickmill " +
    "with their names:", COUNT);
}

function showSteps(status) {
  const steps = [countingStep(status),
    step("Or read the access log of a web server:", "clickmill import access.log")];
  if (status.demo)
    steps.push(step("Or see the synthetic data of the demo:",
      `clickmill serve --data ${quoted(status.demo)}`));
  return steps;
}

// `empty`: there are no data.
export function showStart(status, empty) {
  const box = $("#start");
  box.hidden = !empty || status === null;
  for (const card of [...document.querySelectorAll("[data-needs-data]")]) card.hidden = !box.hidden;
  if (!box.hidden && !unchanged(box, status)) $("#steps").replaceChildren(...showSteps(status));
}

export function showServer(status) {
  $("#synthetic").hidden = status?.synthetic !== true;
  $("#count-link").hidden = status?.collector !== true;
  $("#shop-link").hidden = status?.shop !== true;
  showRefused(status?.refused);
}
