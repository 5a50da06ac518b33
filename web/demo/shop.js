// Shared by all pages of the demo shop: the bag, the head of the page, the picture and card of a
// product.

import { FINISHES, find, GOODS } from "./catalogue.js";

export const $ = (selector) => document.querySelector(selector);
export const price = (euros) => `€${euros}`;

// An element with properties, and children that are elements or texts.
export function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// ---- pictures: symbols of mills.svg, coloured by the finish ----

export function picture(id, finish, label) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const use = svg.appendChild(document.createElementNS(namespace, "use"));
  svg.setAttribute("class", `mill finish-${finish}`);
  svg.setAttribute("viewBox", "0 0 240 240");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  use.setAttribute("href", `/demo/mills.svg#${id}`);
  return svg;
}

export function card(good) {
  const finishes = good.finishes.map((finish) => make("i", { className: `dot finish-${finish}` }));
  return make("li", {}, make("a", { className: "card", href: `/demo/${good.id}` },
    make("span", { className: `tile tint-${good.id}` }, picture(good.id, good.finishes[0])),
    make("span", { className: "card-text" },
      make("strong", {}, good.name), make("span", { className: "price" }, price(good.price)),
      make("span", { className: "what" }, good.what),
      make("span", { className: "dots", ariaHidden: "true" }, ...finishes))));
}

// ---- the bag: [{id, finish, count}], kept until the tab is closed ----

export function bag() {
  try {
    return JSON.parse(sessionStorage.getItem("bag") ?? "[]").filter((line) => find(line.id));
  } catch {
    return [];
  }
}

export function setBag(lines) {
  sessionStorage.setItem("bag", JSON.stringify(lines.filter((line) => line.count > 0)));
  showBag();
}

export function putIntoBag(id, finish) {
  const lines = bag();
  const line = lines.find((one) => one.id === id && one.finish === finish);
  if (line) line.count += 1;
  else lines.push({ id, finish, count: 1 });
  setBag(lines);
}

export const total = (lines) =>
  lines.reduce((sum, line) => sum + find(line.id).price * line.count, 0);
export const lineName = (line) => `${find(line.id).name}, ${FINISHES[line.finish] ?? ""}`;

function showBag() {
  const count = bag().reduce((sum, line) => sum + line.count, 0);
  const badge = $("#bag-count");
  badge.hidden = count === 0;
  badge.textContent = String(count);
  $("#bag").setAttribute("aria-label", count === 1 ? "Bag, 1 thing" : `Bag, ${count} things`);
}

// Tells the tracker what happened; browsers that block it have no such function.
export const tell = (name, props) => window.clickmill?.("event", name, props);

// ---- the hint: the number of clicks on the dashboard ----

async function showClicks() {
  try {
    const reply = await fetch("/api/summary");
    const { rows } = await reply.json();
    const clicks = rows[0]?.clicks ?? 0;
    if (clicks > 0) $("#clicks").textContent = `${clicks.toLocaleString("en")} so far`;
  } catch {
    // Without an answer the hint is only a link.
  }
}

// The answers follow a click within about a second.
export function clicked() {
  for (const wait of [700, 1700, 3200]) setTimeout(showClicks, wait);
}

const featured = $("#featured");
if (featured) featured.replaceChildren(...GOODS.slice(0, 4).map(card));
showBag();
showClicks();
clicked();
addEventListener("pageshow", (event) => {
  if (event.persisted) showBag();
});
