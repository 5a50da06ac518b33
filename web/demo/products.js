// The list of goods. Its filter is in the query of the address, which changes without loading a page.

import { GOODS, KINDS } from "./catalogue.js";
import { $, card, clicked, make } from "./shop.js";

function show() {
  const asked = new URLSearchParams(location.search).get("for");
  const kind = Object.hasOwn(KINDS, asked ?? "") ? asked : "";
  const goods = GOODS.filter((good) => kind === "" || good.kind === kind);

  for (const button of document.querySelectorAll("[data-kind]"))
    button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  $("#goods").replaceChildren(...goods.map(card));
  $("#found").textContent = goods.length === 1 ? "1 thing" : `${goods.length} things`;
}

for (const [kind, name] of [["", "All"], ...Object.entries(KINDS)]) {
  const button = make("button", { type: "button", className: "pill" }, name);
  button.dataset.kind = kind;
  button.addEventListener("click", () => {
    history.pushState(null, "", kind === "" ? location.pathname : `?for=${kind}`);
    show();
    clicked();
  });
  $("#kinds").append(button);
}
addEventListener("popstate", show);
show();
