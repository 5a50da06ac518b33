// The page of one product. The path names the product, the query the finish, which changes without
// loading a page.

import { find, FINISHES, GOODS } from "./catalogue.js";
import { $, card, clicked, make, picture, price, putIntoBag, tell } from "./shop.js";

const good = find(location.pathname.split("/").at(-1));
let finish;

function show() {
  const asked = new URLSearchParams(location.search).get("finish");
  finish = good.finishes.includes(asked) ? asked : good.finishes[0];
  const name = FINISHES[finish];

  $("#picture").replaceChildren(
    picture(good.id, finish, `${good.what} ${good.name} in ${name.toLowerCase()}`));
  $("#finish").textContent = name;
  for (const button of document.querySelectorAll("[data-finish]"))
    button.setAttribute("aria-pressed", String(button.dataset.finish === finish));
  document.title = `${good.name}, ${name} · Mill & Hill`;
}

function swatch(one) {
  const button = make("button", { type: "button", className: "swatch", title: FINISHES[one] },
    make("i", { className: `dot finish-${one}` }),
    make("span", { className: "unseen" }, FINISHES[one]));
  button.dataset.finish = one;
  button.addEventListener("click", () => {
    if (one === finish) return;
    history.pushState(null, "", `?finish=${one}`);
    show();
    clicked();
  });
  return button;
}

$("#picture").classList.add(`tint-${good.id}`);
$("#what").textContent = good.what;
$("#name").textContent = good.name;
$("#price").textContent = price(good.price);
$("#line").textContent = good.line;
$("#text").textContent = good.text;
$("#facts").replaceChildren(...good.facts.map((fact) => make("li", {}, fact)));
$("#finishes").replaceChildren(...good.finishes.map(swatch));
$("#others").replaceChildren(...GOODS.filter((other) => other !== good)
  .sort((a, b) => (b.kind === good.kind) - (a.kind === good.kind)).slice(0, 4).map(card));
$("#add").addEventListener("click", () => {
  putIntoBag(good.id, finish);
  tell("add_to_cart", { item: good.id, finish, value: good.price });
  $("#added").hidden = false;
  $("#added-what").textContent = `${good.name} in ${FINISHES[finish].toLowerCase()} is in your bag.`;
});
addEventListener("popstate", show);
show();
