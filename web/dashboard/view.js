// Shows the state and the answers in the page. Texts of events are untrusted and reach the document
// as text only.

import { exactRows, windowLength, windowParameters } from "./choice.js";
import * as format from "./format.js";
import { METRICS, nameOf, showMeanings } from "./meaning.js";
import { DAY, dayOf, fillGaps, mayBeHourly } from "./span.js";
import { showStart } from "./start.js";
import { pageLabels, showTable } from "./tables.js";

export const MAX_ROWS = 9999; // of a table
const SPEAK_MS = 30e3; // between two announcements of the totals
const PROCESS = "`clickmill process --window all,day,hour`";

export const $ = (selector) => document.querySelector(selector);
export const all = (selector) => [...document.querySelectorAll(selector)];

// ---- status ----

function setStatus(name, text) {
  const line = $("#status");
  line.dataset.state = name;
  if (line.textContent !== text) line.textContent = text;
}

export function showStatus({ reachable, freshness, anyData }) {
  if (!reachable) setStatus("away", "reconnecting");
  else if (freshness === null) setStatus("connecting", "connecting");
  else if (!anyData) setStatus("waiting", "waiting for the first events");
  else setStatus("live", "live");
}

export function showProblem(text) {
  const problem = $("#problem");
  problem.hidden = text === "";
  if (problem.textContent !== text) problem.textContent = text;
}

export function showAccount({ freshness }) {
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

// ---- period and filters ----

function showPeriod({ choice, anyData }, ends) {
  for (const button of all("[data-period]")) {
    const { period } = button.dataset;
    button.setAttribute("aria-pressed", String(period === choice.period));
    button.disabled = period !== "all" && period !== choice.period && anyData && ends[period] === null;
    button.title = button.disabled ? `There are no answers per ${period}: ${PROCESS} makes them` : "";
  }
  const stepper = $("#stepper");
  const known = ends.day ?? ends.hour;
  stepper.hidden = choice.period === "all" || choice.start === null;
  if (stepper.hidden || known === null) return;
  $("#window-name").textContent = format.windowName(choice.period, choice.start);
  $("#earlier").disabled = choice.start <= dayOf(known.first);
  $("#later").disabled = choice.start + windowLength(choice) >= dayOf(known.last) + DAY;
}

function filterChip(choice, name, label, choose) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.append(`${label} `);
  button.appendChild(document.createElement("strong")).textContent = choice[name];
  const cross = button.appendChild(document.createElement("span"));
  cross.textContent = "×";
  cross.setAttribute("aria-hidden", "true");
  button.setAttribute("aria-label", `Remove the filter: ${label} ${choice[name]}`);
  button.addEventListener("click", () => choose({ [name]: null }));
  return button;
}

function showFilters({ choice }, choose) {
  const chips = [];
  if (choice.url !== null) chips.push(filterChip(choice, "url", "Page is", choose));
  if (choice.country !== null) chips.push(filterChip(choice, "country", "Country is", choose));
  $("#filters").hidden = chips.length === 0;
  // Built again only after a change: a chip that has the keyboard focus keeps it.
  const text = JSON.stringify([choice.url, choice.country]);
  if ($("#filters").dataset.shown === text) return;
  $("#filters").dataset.shown = text;
  $("#filters").replaceChildren(...chips);
}

// The days that totals and tables cover; null: not known.
function daysCovered(choice, ends) {
  if (choice.period !== "all") return { first: choice.start, last: choice.start };
  const known = ends.day ?? ends.hour;
  return known === null ? null : { first: dayOf(known.first), last: dayOf(known.last) };
}

function showScope({ choice }, ends, daily) {
  const days = daysCovered(choice, ends);
  let text = "All time";
  if (choice.period !== "all" && choice.start !== null)
    text = format.windowName(choice.period, choice.start);
  else if (days !== null) text = `All time: ${format.days(days.first, days.last)}`;
  for (const scope of all("[data-scope]")) scope.textContent = text;
  showMeanings(daily);
}

function showDownload({ choice }) {
  const query = new URLSearchParams({ format: "csv", safe: "1" });
  const wanted = { ...(choice.start === null ? {} : windowParameters(choice)),
    url: choice.url, country: choice.country };
  for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, value);
  $("#csv").href = `/api/answers?${query}`;
}

// ---- totals ----

// Screen readers announce the totals after each choice, and then twice a minute at most.
function speak(state, numbers, daily) {
  if (Date.now() - state.spokenAt < SPEAK_MS) return;
  state.spokenAt = Date.now();
  $("#spoken").textContent = METRICS
    .map((name) => `${nameOf(name, daily)}: ${format.metric(name, numbers[name])}`).join(", ");
}

function showTotals(state, rows, daily) {
  const { choice, freshness } = state;
  const zero = { clicks: 0, unique_user_count: 0 };
  const numbers = exactRows(choice, rows)[0] ?? (freshness?.present ? zero : {});
  for (const button of all("[data-metric]")) {
    const value = format.metric(button.dataset.metric, numbers[button.dataset.metric]);
    button.querySelector(".value").textContent = value;
    button.setAttribute("aria-pressed", String(button.dataset.metric === choice.metric));
  }
  if (freshness?.present) speak(state, numbers, daily);
  document.title = numbers.clicks === undefined
    ? "Clickmill" : `${format.count(numbers.clicks)} clicks · Clickmill`;
}

// ---- tables ----

// Why there is nothing to show.
function emptyText({ choice, freshness, anyData }) {
  if (freshness?.present) return "No clicks here.";
  if (!anyData) return "Waiting for the first events.";
  return `There are no answers per ${choice.period}: ${PROCESS} makes them.`;
}

// The table `id`; `name` is the column that its rows are about.
export function showRows(state, id, name, answer, choose) {
  const { choice, limits, sorts } = state;
  const rows = exactRows(choice, answer.rows);
  const shown = rows.slice(0, limits[id]);
  showTable($(`#${id}`), {
    name, rows: shown, sort: sorts[id], chosen: choice[name],
    labels: name === "url" ? pageLabels(shown.map((row) => row.url), state.severalHosts)
      : shown.map((row) => ({ text: row[name] })),
    choose: (value) => choose({ [name]: value }),
  });
  const empty = $(`#${id}`).parentElement.querySelector(".empty");
  empty.hidden = shown.length > 0;
  empty.textContent = emptyText(state);
  const more = $(`[data-more="${id}"]`);
  more.hidden = rows.length <= limits[id] || limits[id] >= MAX_ROWS;
  $(`[data-rest="${id}"]`).hidden = rows.length <= limits[id] || limits[id] < MAX_ROWS;
}

// ---- chart ----

function showSpan({ choice }, range) {
  const ofAll = choice.period === "all" && range !== null;
  $("#span").hidden = !ofAll;
  $("#step").hidden = !ofAll || !range.present.day || !range.present.hour;
  for (const button of all("[data-span]"))
    button.setAttribute("aria-pressed", String(button.dataset.span === choice.span));
  for (const button of all("[data-step]")) {
    button.setAttribute("aria-pressed", String(button.dataset.step === range?.kind));
    button.disabled = ofAll && button.dataset.step === "hour" && !mayBeHourly(range.days);
    button.title = button.disabled ? "Hours can be shown for 14 days at most" : "";
  }
  if (!ofAll) $("#own-span").hidden = true;
}

// A line below the chart names the clicks that it does not cover, unless the user chose the span.
function showRest({ choice }, range, drawable) {
  const rest = $("#rest");
  const asked = choice.span === "all" || (choice.span === "own" && drawable);
  rest.hidden = choice.period !== "all" || asked || range === null;
  if (rest.hidden) return;
  const { first, last } = { first: dayOf(range.known.first), last: dayOf(range.known.last) };
  const parts = [];
  if (first < range.days.first) parts.push(`older clicks, from ${format.day(first)} on`);
  if (last > range.days.last) parts.push(`later clicks, up to ${format.day(last)}`);
  rest.hidden = parts.length === 0;
  $("#rest-text").textContent = `Not in this chart: ${parts.join("; ")}.`;
}

function chartEmptyText(state, range) {
  const { choice, freshness } = state;
  if (freshness?.present && range === null)
    return `There are no answers per day or hour: ${PROCESS} makes them.`;
  if (!freshness?.present || choice.period !== "all") return emptyText(state);
  const wanted = choice.span === "own" ? format.days(choice.since, choice.until)
    : format.days(range.days.first, range.days.last);
  return `No clicks: ${wanted}.`;
}

function showChart(state, chart, series, range) {
  const { choice } = state;
  const drawable = series.length > 0;
  const title = `${nameOf(choice.metric, false)} per ${range?.kind ?? "day"}`;
  const sum = series.reduce((total, row) => total + row.clicks, 0);

  $("#chart-title").textContent = title;
  $("#chart-days").textContent = range === null || range.from > range.to ? ""
    : format.days(dayOf(range.from), dayOf(range.to)) +
      (choice.metric === "clicks" && choice.period === "all"
        ? ` · ${format.count(sum)} ${sum === 1 ? "click" : "clicks"}` : "");
  $("#chart").hidden = !drawable;
  $("#chart-empty").hidden = drawable;
  showSpan(state, range);
  showRest(state, range, drawable);
  if (!drawable) {
    chart.clear();
    $("#chart-empty").textContent = chartEmptyText(state, range);
    return;
  }
  chart.show({
    kind: range.kind,
    metric: choice.metric,
    title,
    marked: choice.period === range.kind ? choice.start : null,
    ...fillGaps(series, { ...range, metric: choice.metric }),
  });
}

// ---- all of it ----

// Shows the answers of requestAnswers() and notes in the state how fresh they are. `choose(changes)`
// is called when the user chooses something in what is shown.
export function show(state, answers, chart, choose) {
  // Visitors whose ids live for one UTC day are counted again each day.
  const daily = answers.summary.visitors === "daily";
  state.freshness = answers.summary.freshness;
  const { present, events } = state.freshness;
  state.anyData = present || answers.ends.day !== null || answers.ends.hour !== null;
  showStatus(state);
  showStart(state.status, state.choice.period === "all" && !(present && events > 0));
  showPeriod(state, answers.ends);
  showFilters(state, choose);
  showScope(state, answers.ends, daily);
  showTotals(state, answers.summary.rows, daily);
  showChart(state, chart, answers.series, answers.range);
  showRows(state, "pages", "url", answers.pages, choose);
  showRows(state, "countries", "country", answers.countries, choose);
  showAccount(state);
  showDownload(state);
}
