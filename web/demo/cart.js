// The pages of the bag and of the finished order.

import { find } from "./catalogue.js";
import { $, bag, lineName, make, picture, price, setBag, tell, total } from "./shop.js";

function change(index, by) {
  const lines = bag();
  lines[index].count = Math.min(lines[index].count + by, 9);
  setBag(lines);
  show();
  // The row is a new element: the keyboard focus moves to its button.
  document.querySelector(`[data-step="${index}/${by}"]`)?.focus();
}

function step(index, by, line) {
  const button = make("button", {
    type: "button", ariaLabel: `${by > 0 ? "One more" : "One less"}: ${lineName(line)}`,
  }, by > 0 ? "+" : "−");
  button.dataset.step = `${index}/${by}`;
  button.addEventListener("click", () => change(index, by));
  return button;
}

function row(line, index) {
  const good = find(line.id);
  return make("li", { className: "line" },
    make("a", { className: `tile small tint-${line.id}`, href: `/demo/${line.id}?finish=${line.finish}`,
      ariaLabel: lineName(line) }, picture(line.id, line.finish)),
    make("div", {}, make("strong", {}, good.name), make("p", {}, `${good.what}, ` +
      lineName(line).split(", ")[1].toLowerCase())),
    make("div", { className: "stepper" }, step(index, -1, line),
      make("span", { ariaLive: "polite" }, String(line.count)), step(index, 1, line)),
    make("span", { className: "price" }, price(good.price * line.count)));
}

function show() {
  const lines = bag();
  $("#lines").replaceChildren(...lines.map(row));
  $("#filled").hidden = lines.length === 0;
  $("#empty").hidden = lines.length > 0;
  $("#total").textContent = price(total(lines));
}

function showThanks() {
  const lines = bag();
  if (lines.length > 0) {
    $("#ordered").textContent = `${lines.map(lineName).join(" · ")}: ${price(total(lines))}`;
    tell("purchase", { items: lines.reduce((sum, line) => sum + line.count, 0), value: total(lines) });
  }
  setBag([]);
}

if ($("#lines")) {
  show();
  addEventListener("pageshow", show);
} else {
  showThanks();
}
