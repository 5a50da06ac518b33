// The tables of pages and countries.

import * as format from "./format.js";

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function cell(text) {
  const td = element("td", "number", text);
  td.setAttribute("role", "cell");
  return td;
}

// The labels of pages: { text, host, scheme, parts }. The text is the path; the host is shown where
// the store has several hosts, the scheme only where two pages differ in nothing else.
export function pageLabels(urls, severalHosts) {
  const pages = urls.map(format.splitUrl);
  const origins = new Set(pages.map((page) => page.origin));
  const several = severalHosts || origins.size > 1;
  return pages.map(({ origin, host, path }) => ({
    text: path,
    host: several ? host : "",
    scheme: origin.startsWith("http:") && origins.has(`https:${origin.slice(5)}`) ? "http" : "",
    parts: format.middle(path),
  }));
}

function fillButton(button, label) {
  const [head, tail] = label.parts ?? [label.text, ""];
  const text = element("span", "text");
  text.append(element("span", "head", head));
  if (tail !== "") text.append(element("span", "tail", tail));
  button.append(text);
  if (label.scheme) button.append(element("span", "host scheme", label.scheme));
  if (label.host) button.append(element("span", "host", label.host));
}

function tableRow(row, { name, chosen, label, share, choose }) {
  const tr = document.createElement("tr");
  const th = tr.appendChild(document.createElement("th"));
  const bar = th.appendChild(element("span", "bar"));
  const button = th.appendChild(element("button", "label"));

  tr.setAttribute("role", "row");
  th.setAttribute("role", "rowheader");
  th.scope = "row";
  bar.style.width = `${Math.max(share * 100, 0.5)}%`;
  button.type = "button";
  fillButton(button, label);
  button.dataset.name = row[name];
  button.title = chosen ? `${row[name]} – show all again` : `${row[name]} – show only this`;
  button.setAttribute("aria-label", [label.text, label.scheme, label.host].filter(Boolean).join(" "));
  button.setAttribute("aria-pressed", String(chosen));
  button.addEventListener("click", choose);
  tr.append(cell(format.count(row.clicks)), cell(format.count(row.unique_user_count)),
    cell(format.duration(row.average_time_on_page)));
  return tr;
}

// Shows the rows. `labels` are those of pageLabels(), or only { text }. `choose(value)` is called with
// the value of the clicked row, or with null when that row was already chosen.
export function showTable(table, { name, rows, labels, sort, chosen, choose }) {
  const most = Math.max(1, ...rows.map((row) => row[sort] ?? 0));
  const active = document.activeElement;
  const focused = table.contains(active) ? active.dataset.name : undefined;

  table.tBodies[0].replaceChildren(...rows.map((row, index) => {
    const isChosen = chosen === row[name];
    return tableRow(row, {
      name, chosen: isChosen, label: labels[index], share: (row[sort] ?? 0) / most,
      choose: () => choose(isChosen ? null : row[name]),
    });
  }));
  // The rows are new elements: the keyboard focus moves to the new row of the same name.
  if (focused !== undefined)
    [...table.querySelectorAll("tbody button")].find((b) => b.dataset.name === focused)?.focus();
  for (const button of table.querySelectorAll("[data-sort]")) {
    const sorted = button.dataset.sort === sort;
    button.closest("th").setAttribute("aria-sort", sorted ? "descending" : "none");
  }
  table.hidden = rows.length === 0;
}
