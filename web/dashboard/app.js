// The page: what is chosen, what the server answers to it, and how that is shown. Texts of events
// are untrusted and reach the document as text only.

import { createChart } from "./chart.js";
import * as format from "./format.js";

const HOUR = 3600e3;
const DAY = 24 * HOUR;
const METRICS = {
  clicks: "Clicks",
  unique_user_count: "Unique users",
  average_time_spent: "Average time spent",
  average_time_on_page: "Average time on page",
};
const FEWEST_STEPS = { hour: 24, day: 7 };
const HOURS_SHOWN = 14 * DAY; // more hours than that make no readable line

const $ = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

// ---- what is chosen: kept in the address, so that it can be linked and gone back to ----

function readChoice() {
  const given = new URLSearchParams(location.hash.slice(1));
  const oneOf = (name, values) => (values.includes(given.get(name)) ? given.get(name) : values[0]);
  const start = Date.parse(given.get("from") ?? "");
  return {
    period: oneOf("period", ["all", "day", "hour"]),
    start: Number.isNaN(start) ? null : start,
    url: given.get("url"),
    country: given.get("country"),
    metric: oneOf("metric", Object.keys(METRICS)),
    grain: oneOf("grain", ["", "hour", "day"]),
  };
}

function writeChoice(changes) {
  const next = { ...choice, ...changes };
  const kept = new URLSearchParams();
  if (next.period !== "all") kept.set("period", next.period);
  if (next.period !== "all" && next.start !== null)
    kept.set("from", new Date(next.start).toISOString());
  if (next.url !== null) kept.set("url", next.url);
  if (next.country !== null) kept.set("country", next.country);
  if (next.metric !== "clicks") kept.set("metric", next.metric);
  if (next.grain !== "") kept.set("grain", next.grain);
  history.pushState(null, "", `#${kept}`);
  choice = next;
  spokenAt = 0;
  refresh();
}

let choice = readChoice();
const sorts = { pages: "clicks", countries: "clicks" };
const limits = { pages: 10, countries: 10 };

// ---- the server ----

class ServerError extends Error {}

async function ask(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== null && value !== undefined) query.set(name, value);
  const reply = await fetch(`/api/${path}?${query}`, { signal });
  const body = await reply.json();
  if (!reply.ok) throw new ServerError(body.error);
  return body;
}

function windowParameters() {
  if (choice.period === "all") return {};
  const length = choice.period === "day" ? DAY : HOUR;
  return {
    window: choice.period,
    from: new Date(choice.start).toISOString(),
    to: new Date(choice.start + length).toISOString(),
  };
}

// A URL is asked for as a pattern, where ? and * match more than themselves.
function exact(rows) {
  return rows.filter((row) => choice.url === null || row.url === undefined ||
    row.url === choice.url);
}

const startOf = (row) => new Date(row.window_start).getTime();

async function askSeries(kind, from, to, signal) {
  const answer = await ask("series", {
    window: kind, url: choice.url, country: choice.country, reverse: 1, limit: 10000,
    from: from === null ? null : new Date(from).toISOString(),
    to: to === null ? null : new Date(to).toISOString(),
  }, signal);
  return { present: answer.freshness.present, rows: exact(answer.rows).reverse() };
}

// The hours of the chosen day, or of the last days there are.
function hoursRange(days) {
  if (choice.period !== "all") {
    const day = Math.floor(choice.start / DAY) * DAY;
    return [day, day + DAY];
  }
  const last = startOf(days.rows.at(-1));
  return [Math.max(startOf(days.rows[0]), last + DAY - HOURS_SHOWN), last + DAY];
}

// Without a start the newest window is meant.
async function findStart(days, signal) {
  if (choice.period === "all" || choice.start !== null || days.rows.length === 0) return;
  choice.start = startOf(days.rows.at(-1));
  if (choice.period === "day") return;
  const hours = await askSeries("hour", choice.start, choice.start + DAY, signal);
  if (hours.rows.length > 0) choice.start = startOf(hours.rows.at(-1));
}

function chartKind(days) {
  if (choice.period !== "all") return "hour";
  if (choice.grain !== "") return choice.grain;
  return days.rows.length > 3 ? "day" : "hour";
}

async function askAll(signal) {
  const days = await askSeries("day", null, null, signal);
  await findStart(days, signal);
  const kind = chartKind(days);
  const hours = kind === "hour" && days.rows.length > 0;
  const filter = { url: choice.url, country: choice.country };
  const windowed = choice.period !== "all" && choice.start === null
    ? { window: choice.period } : windowParameters();
  const table = (name) => ask(name,
    { ...windowed, ...filter, sort: sorts[name], limit: limits[name] + 1 }, signal);
  const [summary, pages, countries, series] = await Promise.all([
    ask("summary", { ...windowed, ...filter }, signal),
    table("pages"),
    table("countries"),
    hours ? askSeries("hour", ...hoursRange(days), signal) : days,
  ]);
  const clipped = kind === "hour" && choice.period === "all" && days.rows.length > 0 &&
    startOf(days.rows.at(-1)) + DAY - startOf(days.rows[0]) > HOURS_SHOWN;
  return { days, summary, pages, countries, series: { kind, clipped, ...series } };
}

// ---- showing ----

function setStatus(state, text) {
  const status = $("#status");
  status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

function showStatus() {
  if (!reachable) setStatus("away", "reconnecting");
  else if (freshness === null) setStatus("connecting", "connecting");
  else if (!freshness.present) setStatus("waiting", "waiting for the first events");
  else setStatus("live", "live");
}

function showProblem(text) {
  const problem = $("#problem");
  problem.hidden = text === "";
  if (problem.textContent !== text) problem.textContent = text;
}

// A screen reader hears the totals when something was chosen, and every half minute.
let spokenAt = 0;

function speak(numbers) {
  if (Date.now() - spokenAt < 30e3) return;
  spokenAt = Date.now();
  $("#spoken").textContent = Object.entries(METRICS)
    .map(([name, label]) => `${label}: ${format.metric(name, numbers[name])}`).join(", ");
}

function showTotals(rows) {
  const none = { clicks: 0, unique_user_count: 0 };
  const numbers = exact(rows)[0] ?? (freshness?.present ? none : {});
  for (const button of all("[data-metric]")) {
    const value = format.metric(button.dataset.metric, numbers[button.dataset.metric]);
    button.querySelector(".value").textContent = value;
    button.setAttribute("aria-pressed", String(button.dataset.metric === choice.metric));
  }
  if (freshness?.present) speak(numbers);
  document.title = numbers.clicks === undefined
    ? "Clickmill" : `${format.count(numbers.clicks)} clicks · Clickmill`;
}

function cell(text, className) {
  const td = document.createElement("td");
  td.className = className;
  td.textContent = text;
  return td;
}

function tableRow(row, name, label, share) {
  const tr = document.createElement("tr");
  const th = tr.appendChild(document.createElement("th"));
  const bar = th.appendChild(document.createElement("span"));
  const button = th.appendChild(document.createElement("button"));
  const chosen = choice[name] === row[name];

  th.scope = "row";
  bar.className = "bar";
  bar.style.width = `${Math.max(share * 100, 0.5)}%`;
  button.type = "button";
  button.textContent = label;
  button.dataset.name = row[name];
  button.title = chosen ? `${row[name]} – show all again` : `${row[name]} – show only this`;
  button.setAttribute("aria-pressed", String(chosen));
  button.addEventListener("click", () => writeChoice({ [name]: chosen ? null : row[name] }));
  tr.append(cell(format.count(row.clicks), "number"),
    cell(format.count(row.unique_user_count), "number"),
    cell(format.duration(row.average_time_spent), "number"));
  return tr;
}

function showTable(id, name, answer) {
  const table = $(`#${id}`);
  const rows = exact(answer.rows);
  const shown = rows.slice(0, limits[id]);
  const sort = sorts[id];
  const shorten = name === "url" ? format.shortener(shown.map((row) => row.url)) : (text) => text;
  const most = Math.max(1, ...shown.map((row) => row[sort] ?? 0));
  const focused = table.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;

  table.tBodies[0].replaceChildren(...shown.map((row) =>
    tableRow(row, name, shorten(row[name]), (row[sort] ?? 0) / most)));
  // The rows are new, but who stood on one of them with the keyboard stays there.
  if (focused !== undefined)
    [...table.querySelectorAll("tbody button")].find((b) => b.dataset.name === focused)?.focus();
  for (const button of table.querySelectorAll("[data-sort]")) {
    const sorted = button.dataset.sort === sort;
    button.closest("th").setAttribute("aria-sort", sorted ? "descending" : "none");
  }
  table.hidden = shown.length === 0;
  const empty = table.parentElement.querySelector(".empty");
  empty.hidden = shown.length > 0;
  empty.textContent = freshness?.present ? "No clicks here." : "Waiting for the first events.";
  $(`[data-more="${id}"]`).hidden = rows.length <= limits[id];
}

// Windows without clicks have no row: their counts are 0, their averages missing; those to come have
// neither.
function fillGaps(kind, rows, metric) {
  const step = kind === "day" ? DAY : HOUR;
  const known = new Map(rows.map((row) => [startOf(row), row]));
  const none = metric.startsWith("average_") ? null : 0;
  let from = startOf(rows[0]);
  let to = startOf(rows.at(-1));
  if (choice.period !== "all") {
    from = Math.floor(choice.start / DAY) * DAY;
    to = from + DAY - HOUR;
  } else {
    // A site that has just begun: some empty steps before it make a line of its first dot.
    from = Math.min(from, to - (FEWEST_STEPS[kind] - 1) * step);
  }
  const times = [];
  const values = [];
  for (let time = from; time <= to; time += step) {
    times.push(time / 1000);
    values.push(known.get(time)?.[metric] ?? (time > Date.now() ? null : none));
  }
  return { times, values };
}

function showChart(series) {
  const title = `${METRICS[choice.metric]} per ${series.kind}` +
    (series.clipped ? `, last ${HOURS_SHOWN / DAY} days` : "");
  const drawable = series.rows.length > 0;

  $("#chart-title").textContent = title;
  $("#chart").hidden = !drawable;
  $("#chart-empty").hidden = drawable;
  $("#grain").hidden = choice.period !== "all" || !drawable;
  for (const button of all("[data-grain]"))
    button.setAttribute("aria-pressed", String(button.dataset.grain === series.kind));
  if (!drawable) {
    chart.clear();
    $("#chart-empty").textContent = !freshness?.present ? "Waiting for the first events."
      : series.present ? "No clicks here." : `There are no answers per ${series.kind} yet.`;
    return;
  }
  chart.show({
    kind: series.kind,
    metric: choice.metric,
    title,
    marked: choice.period === "hour" ? choice.start : null,
    ...fillGaps(series.kind, series.rows, choice.metric),
  });
}

function showPeriod(days) {
  for (const button of all("[data-period]"))
    button.setAttribute("aria-pressed", String(button.dataset.period === choice.period));
  const stepper = $("#stepper");
  stepper.hidden = choice.period === "all" || choice.start === null;
  if (stepper.hidden || days.rows.length === 0) return;
  const length = choice.period === "day" ? DAY : HOUR;
  $("#window-name").textContent = format.windowName(choice.period, choice.start);
  $("#earlier").disabled = choice.start <= startOf(days.rows[0]);
  $("#later").disabled = choice.start + length >= startOf(days.rows.at(-1)) + DAY;
}

function chip(name, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.append(`${label} `);
  button.appendChild(document.createElement("strong")).textContent = choice[name];
  const cross = button.appendChild(document.createElement("span"));
  cross.textContent = "×";
  cross.setAttribute("aria-hidden", "true");
  button.setAttribute("aria-label", `Remove the filter: ${label} ${choice[name]}`);
  button.addEventListener("click", () => writeChoice({ [name]: null }));
  return button;
}

function showFilters() {
  const chips = [];
  if (choice.url !== null) chips.push(chip("url", "Page is"));
  if (choice.country !== null) chips.push(chip("country", "Country is"));
  $("#filters").hidden = chips.length === 0;
  // Rebuilt only when it changes: who stands on a chip with the keyboard stays there.
  const text = JSON.stringify([choice.url, choice.country]);
  if ($("#filters").dataset.shown === text) return;
  $("#filters").dataset.shown = text;
  $("#filters").replaceChildren(...chips);
}

function showAccount() {
  if (freshness === null || !freshness.present) {
    $("#account").textContent = "";
    return;
  }
  const parts = [`${format.count(freshness.events)} events`];
  if (freshness.duplicates > 0) parts.push(`${format.count(freshness.duplicates)} duplicates`);
  if (freshness.dead > 0) parts.push(`${format.count(freshness.dead)} dead letters`);
  parts.push(`updated ${format.age(Date.now() - Date.parse(freshness.updated_at))}`);
  $("#account").textContent = `${parts.join(" · ")} · times are UTC`;
}

function showDownload() {
  const query = new URLSearchParams({ format: "csv" });
  const wanted = { ...(choice.start === null ? {} : windowParameters()),
    url: choice.url, country: choice.country };
  for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, value);
  $("#csv").href = `/api/answers?${query}`;
}

function show(answers) {
  freshness = answers.summary.freshness;
  showStatus();
  showPeriod(answers.days);
  showFilters();
  showTotals(answers.summary.rows);
  showChart(answers.series);
  showTable("pages", "url", answers.pages);
  showTable("countries", "country", answers.countries);
  showAccount();
  showDownload();
}

// ---- keeping up ----

let freshness = null; // of the last answer
let reachable = true;
let asking = null; // the AbortController of what is being asked
let askedAt = 0;
let again = null; // the timer of the next refresh

async function refresh() {
  clearTimeout(again);
  again = null;
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  askedAt = Date.now();
  try {
    const answers = await askAll(mine.signal);
    if (asking !== mine) return;
    reachable = true;
    showProblem("");
    show(answers);
  } catch (error) {
    if (asking !== mine) return;
    reachable = error instanceof ServerError;
    showProblem(reachable ? error.message : "");
    showStatus();
  }
  if (asking === mine) asking = null;
}

// At most once a second, however often the answers change; what is chosen does not wait.
function refreshSoon() {
  if (again !== null) return;
  again = setTimeout(() => {
    again = null;
    if (asking === null) refresh();
    else refreshSoon();
  }, Math.max(0, askedAt + 1000 - Date.now()));
}

let streaming = false;

function listen() {
  const stream = new EventSource("/api/live");
  stream.addEventListener("summary", (event) => {
    streaming = true;
    const summary = JSON.parse(event.data);
    const changed = summary.freshness.updated_at !== freshness?.updated_at ||
      summary.freshness.present !== freshness?.present;
    if (changed || !reachable) refreshSoon();
  });
  stream.addEventListener("error", () => {
    streaming = false;
    // The browser tries again by itself, but not when it was refused.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 10e3);
  });
}

const chart = createChart($("#chart"), (kind, start) => writeChoice({ period: kind, start }));

for (const button of all("[data-period]"))
  button.addEventListener("click", () => {
    const period = button.dataset.period;
    let start = null;
    // From an hour to its day.
    if (period === "day" && choice.period === "hour" && choice.start !== null)
      start = Math.floor(choice.start / DAY) * DAY;
    writeChoice({ period, start });
  });
for (const button of all("[data-metric]"))
  button.addEventListener("click", () => writeChoice({ metric: button.dataset.metric }));
for (const button of all("[data-grain]"))
  button.addEventListener("click", () => writeChoice({ grain: button.dataset.grain }));
for (const button of all("[data-sort]"))
  button.addEventListener("click", () => {
    sorts[button.closest("table").id] = button.dataset.sort;
    refresh();
  });
for (const button of all("[data-more]"))
  button.addEventListener("click", () => {
    limits[button.dataset.more] = Math.min(limits[button.dataset.more] * 10, 9999);
    refresh();
  });
for (const [id, sign] of [["earlier", -1], ["later", 1]])
  $(`#${id}`).addEventListener("click", () => writeChoice({
    start: choice.start + sign * (choice.period === "day" ? DAY : HOUR),
  }));
addEventListener("popstate", () => {
  choice = readChoice();
  refresh();
});
// While there is no stream the page asks each second; the age in the footer grows meanwhile.
setInterval(() => {
  showAccount();
  if (!streaming) refreshSoon();
}, 1000);

refresh();
listen();
