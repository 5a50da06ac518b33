// The page: what is chosen, what the server answers to it, and how that is shown. Texts of events
// are untrusted and reach the document as text only.

import { createChart } from "./chart.js";
import * as format from "./format.js";
import { METRICS, letTipsGo, nameOf, showMeanings } from "./meaning.js";
import { ServerError, ask, askEnds, askSeries, askSeveralHosts, isoTime, keptTooLong } from "./server.js";
import { DAY, HOUR, SPANS, chartDays, dayName, dayOf, fillGaps, mayBeHourly, parseDay, stepOf }
  from "./span.js";
import { showServer, showStart } from "./start.js";
import { pageLabels, showTable } from "./tables.js";

const MOST_ROWS = 9999;
const AROUND = 14; // days on each side of a chosen one, where there are no hours
const STATUS_MS = 3000;
const PROCESS = "`clickmill process --window all,day,hour`";

const $ = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

// ---- what is chosen: kept in the address, so that it can be linked and gone back to ----

function readChoice() {
  const given = new URLSearchParams(location.hash.slice(1));
  const oneOf = (name, values) => (values.includes(given.get(name)) ? given.get(name) : values[0]);
  const start = Date.parse(given.get("from") ?? "");
  const days = [parseDay(given.get("since")), parseDay(given.get("until"))];
  const own = days[0] !== null && days[1] !== null;
  const span = own ? "own" : oneOf("span", SPANS);
  return {
    period: oneOf("period", ["all", "day", "hour"]),
    start: Number.isNaN(start) ? null : start,
    url: given.get("url"),
    country: given.get("country"),
    metric: oneOf("metric", METRICS),
    span: span === "own" && !own ? SPANS[0] : span,
    since: own ? Math.min(...days) : null,
    until: own ? Math.max(...days) : null,
    step: oneOf("step", ["", "hour", "day"]),
  };
}

function choiceText(next) {
  const kept = new URLSearchParams();
  if (next.period !== "all") kept.set("period", next.period);
  if (next.period !== "all" && next.start !== null) kept.set("from", isoTime(next.start));
  if (next.span === "own") {
    kept.set("since", dayName(next.since));
    kept.set("until", dayName(next.until));
  } else if (next.span !== SPANS[0]) {
    kept.set("span", next.span);
  }
  if (next.url !== null) kept.set("url", next.url);
  if (next.country !== null) kept.set("country", next.country);
  if (next.metric !== METRICS[0]) kept.set("metric", next.metric);
  if (next.step !== "") kept.set("step", next.step);
  return kept.toString();
}

function writeChoice(changes) {
  const next = { ...choice, ...changes };
  history.pushState(null, "", `#${choiceText(next)}`);
  choice = next;
  spokenAt = 0;
  refresh();
}

let choice = readChoice();
const sorts = { pages: "clicks", countries: "clicks" };
const limits = { pages: 10, countries: 10 };

// ---- the server ----

function windowParameters() {
  if (choice.period === "all") return {};
  if (choice.start === null) return { window: choice.period };
  const length = choice.period === "day" ? DAY : HOUR;
  return {
    window: choice.period,
    from: isoTime(choice.start),
    to: isoTime(choice.start + length),
  };
}

// A URL is asked for as a pattern, where ? and * match more than themselves.
function exact(rows) {
  return rows.filter((row) => choice.url === null || row.url === undefined ||
    row.url === choice.url);
}

// What the chart shows: the hours of the chosen day, or the days of the span. Null: there are no
// windows at all.
function chartRange(ends) {
  const known = ends.day ?? ends.hour;
  if (known === null) return null;
  const live = status?.collector === true;
  const present = { day: ends.day !== null, hour: ends.hour !== null };
  if (choice.period !== "all") {
    const from = dayOf(choice.start ?? known.newest);
    if (present.hour || choice.period === "hour")
      return { kind: "hour", from, to: from + DAY - HOUR, step: HOUR, present };
    return { // the days around the chosen one
      kind: "day", from: Math.max(dayOf(known.first), from - AROUND * DAY),
      to: Math.min(Math.max(from, dayOf(known.newest)), from + AROUND * DAY), step: DAY, present,
    };
  }
  const days = chartDays(choice, known, live);
  const kind = stepOf(choice, days, present);
  if (kind === "day")
    return { kind, from: days.first, to: days.last, step: DAY, days, known, present };
  // The axis begins and ends with the data, to the hour.
  const end = Math.max(ends.hour.last, live ? Math.floor(Date.now() / HOUR) * HOUR : 0);
  return {
    kind,
    from: Math.max(days.first, ends.hour.first),
    to: Math.min(days.last + DAY - HOUR, end),
    step: HOUR, days, known, present,
  };
}

// Without a start the newest window is meant.
function findStart(ends) {
  if (choice.period === "all" || choice.start !== null) return;
  const known = choice.period === "hour" ? ends.hour ?? ends.day : ends.day ?? ends.hour;
  if (known !== null) choice.start = choice.period === "day" ? dayOf(known.newest) : known.newest;
}

async function askAll(signal) {
  const [day, hour] = await Promise.all([askEnds("day", version, signal),
    askEnds("hour", version, signal)]);
  const ends = { day, hour };
  findStart(ends);
  const range = chartRange(ends);
  const filter = { url: choice.url, country: choice.country };
  const windowed = windowParameters();
  const table = (name) => ask(name,
    { ...windowed, ...filter, sort: sorts[name], limit: limits[name] + 1 }, signal);
  const drawable = range !== null && range.from <= range.to;
  const [summary, pages, countries, series] = await Promise.all([
    ask("summary", { ...windowed, ...filter }, signal),
    table("pages"),
    table("countries"),
    drawable ? askSeries(range.kind, {
      ...filter, from: range.from, to: range.to + range.step,
      steps: (range.to - range.from) / range.step + 1,
    }, signal) : [],
  ]);
  return { ends, range, summary, pages, countries, series: exact(series) };
}

// ---- showing ----

function setStatus(state, text) {
  const line = $("#status");
  line.dataset.state = state;
  if (line.textContent !== text) line.textContent = text;
}

function showStatus() {
  if (!reachable) setStatus("away", "reconnecting");
  else if (freshness === null) setStatus("connecting", "connecting");
  else if (!anyData) setStatus("waiting", "waiting for the first events");
  else setStatus("live", "live");
}

function showProblem(text) {
  const problem = $("#problem");
  problem.hidden = text === "";
  if (problem.textContent !== text) problem.textContent = text;
}

// The days that totals and tables are of; null: not known.
function daysCovered(ends) {
  if (choice.period !== "all") return { first: choice.start, last: choice.start };
  const known = ends.day ?? ends.hour;
  return known === null ? null : { first: dayOf(known.first), last: dayOf(known.last) };
}

function showScope(ends, daily) {
  const days = daysCovered(ends);
  let text = "All time";
  if (choice.period !== "all" && choice.start !== null)
    text = format.windowName(choice.period, choice.start);
  else if (days !== null) text = `All time: ${format.days(days.first, days.last)}`;
  for (const scope of all("[data-scope]")) scope.textContent = text;
  showMeanings(daily);
}

// A screen reader hears the totals when something was chosen, and every half minute.
let spokenAt = 0;

function speak(numbers, daily) {
  if (Date.now() - spokenAt < 30e3) return;
  spokenAt = Date.now();
  $("#spoken").textContent = METRICS
    .map((name) => `${nameOf(name, daily)}: ${format.metric(name, numbers[name])}`).join(", ");
}

function showTotals(rows, daily) {
  const none = { clicks: 0, unique_user_count: 0 };
  const numbers = exact(rows)[0] ?? (freshness?.present ? none : {});
  for (const button of all("[data-metric]")) {
    const value = format.metric(button.dataset.metric, numbers[button.dataset.metric]);
    button.querySelector(".value").textContent = value;
    button.setAttribute("aria-pressed", String(button.dataset.metric === choice.metric));
  }
  if (freshness?.present) speak(numbers, daily);
  document.title = numbers.clicks === undefined
    ? "Clickmill" : `${format.count(numbers.clicks)} clicks · Clickmill`;
}

// Why there is nothing to show.
function emptyText() {
  if (freshness?.present) return "No clicks here.";
  if (!anyData) return "Waiting for the first events.";
  return `There are no answers per ${choice.period}: ${PROCESS} makes them.`;
}

function showRows(id, name, answer) {
  const rows = exact(answer.rows);
  const shown = rows.slice(0, limits[id]);
  showTable($(`#${id}`), {
    name, rows: shown, sort: sorts[id], chosen: choice[name],
    labels: name === "url" ? pageLabels(shown.map((row) => row.url), severalHosts)
      : shown.map((row) => ({ text: row[name] })),
    choose: (value) => writeChoice({ [name]: value }),
  });
  const empty = $(`#${id}`).parentElement.querySelector(".empty");
  empty.hidden = shown.length > 0;
  empty.textContent = emptyText();
  const more = $(`[data-more="${id}"]`);
  more.hidden = rows.length <= limits[id] || limits[id] >= MOST_ROWS;
  $(`[data-rest="${id}"]`).hidden = rows.length <= limits[id] || limits[id] < MOST_ROWS;
}

function showSpan(range) {
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

// What is not in the chart is said below it, unless that was asked for.
function showRest(range, drawable) {
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

function chartEmptyText(range) {
  if (freshness?.present && range === null)
    return `There are no answers per day or hour: ${PROCESS} makes them.`;
  if (!freshness?.present || choice.period !== "all") return emptyText();
  const wanted = choice.span === "own" ? format.days(choice.since, choice.until)
    : format.days(range.days.first, range.days.last);
  return `No clicks: ${wanted}.`;
}

function showChart(series, range) {
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
  showSpan(range);
  showRest(range, drawable);
  if (!drawable) {
    chart.clear();
    $("#chart-empty").textContent = chartEmptyText(range);
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

function showPeriod(ends) {
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
  const length = choice.period === "day" ? DAY : HOUR;
  $("#window-name").textContent = format.windowName(choice.period, choice.start);
  $("#earlier").disabled = choice.start <= dayOf(known.first);
  $("#later").disabled = choice.start + length >= dayOf(known.last) + DAY;
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
  const query = new URLSearchParams({ format: "csv", safe: "1" });
  const wanted = { ...(choice.start === null ? {} : windowParameters()),
    url: choice.url, country: choice.country };
  for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, value);
  $("#csv").href = `/api/answers?${query}`;
}

function show(answers) {
  // Visitors whose ids live for one UTC day are counted anew each day.
  const daily = answers.summary.visitors === "daily";
  freshness = answers.summary.freshness;
  anyData = freshness.present || answers.ends.day !== null || answers.ends.hour !== null;
  showStatus();
  showStart(status, choice.period === "all" && !(freshness.present && freshness.events > 0));
  showPeriod(answers.ends);
  showFilters();
  showScope(answers.ends, daily);
  showTotals(answers.summary.rows, daily);
  showChart(answers.series, answers.range);
  showRows("pages", "url", answers.pages);
  showRows("countries", "country", answers.countries);
  showAccount();
  showDownload();
}

// Whether the store has pages of several hosts, also where those that are shown are of one. Nothing
// waits for this question.
let severalHosts = false;

async function showHosts(pages, signal) {
  const several = await askSeveralHosts(version, signal);
  if (several === severalHosts) return;
  severalHosts = several;
  showRows("pages", "url", pages);
}

// ---- keeping up ----

let freshness = null; // of the last answer
let anyData = false; // in whatever window
let version = null; // when the answers changed last, as far as is known
let status = null; // what the server said of itself; null: nothing yet
let reachable = true;
let asking = null; // the AbortController of what is being asked
let askedAt = 0;
let statusAt = 0;
let again = null; // the timer of the next refresh

// What is refused changes no answer, so that it is asked for by itself.
async function askStatus() {
  statusAt = Date.now();
  const before = JSON.stringify({ ...status, refused: null });
  status = await ask("status", {}).catch((error) => {
    if (error instanceof ServerError) return {};
    throw error;
  });
  showServer(status);
  if (JSON.stringify({ ...status, refused: null }) !== before) refreshSoon();
}

// A server that is away is said by what asks for the answers.
function askStatusAgain() {
  if (!document.hidden && Date.now() - statusAt >= STATUS_MS) askStatus().catch(() => {});
}

async function refresh() {
  clearTimeout(again);
  again = null;
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  askedAt = Date.now();
  try {
    if (status === null) await askStatus();
    const answers = await askAll(mine.signal);
    if (asking !== mine) return;
    reachable = true;
    showProblem("");
    show(answers);
    version = freshness.updated_at;
    await showHosts(answers.pages, mine.signal);
    const wait = keptTooLong(version);
    if (wait > 0) setTimeout(refreshSoon, wait);
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
    version = summary.freshness.updated_at;
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
      start = dayOf(choice.start);
    writeChoice({ period, start });
  });
for (const button of all("[data-metric]"))
  button.addEventListener("click", () => writeChoice({ metric: button.dataset.metric }));
for (const button of all("[data-step]"))
  button.addEventListener("click", () => writeChoice({ step: button.dataset.step }));
for (const button of all("[data-sort]"))
  button.addEventListener("click", () => {
    sorts[button.closest("table").id] = button.dataset.sort;
    refresh();
  });
for (const button of all("[data-more]"))
  button.addEventListener("click", () => {
    limits[button.dataset.more] = Math.min(limits[button.dataset.more] * 10, MOST_ROWS);
    refresh();
  });
for (const [id, sign] of [["earlier", -1], ["later", 1]])
  $(`#${id}`).addEventListener("click", () => writeChoice({
    start: choice.start + sign * (choice.period === "day" ? DAY : HOUR),
  }));

// ---- a span of one's own ----

// The form begins with what is shown.
async function openOwnSpan() {
  const form = $("#own-span");
  form.hidden = !form.hidden;
  $('[data-span="own"]').setAttribute("aria-expanded", String(!form.hidden));
  if (form.hidden) return;
  const [day, hour] = await Promise.all([askEnds("day", version), askEnds("hour", version)]);
  const range = chartRange({ day, hour });
  if (range?.days !== undefined && range.from <= range.to) {
    $("#since").value = dayName(range.days.first);
    $("#until").value = dayName(range.days.last);
  }
  $("#since").focus();
}

$("#own-span").addEventListener("submit", (event) => {
  event.preventDefault();
  const days = [parseDay($("#since").value), parseDay($("#until").value)];
  if (days.includes(null)) return;
  // Of one day there is everything, not only the chart.
  if (days[0] === days[1]) writeChoice({ period: "day", start: days[0] });
  else writeChoice({ span: "own", since: Math.min(...days), until: Math.max(...days) });
});
for (const button of all("[data-span]"))
  button.addEventListener("click", () => {
    if (button.dataset.span === "own") openOwnSpan();
    else writeChoice({ span: button.dataset.span, since: null, until: null });
  });
$("#show-all").addEventListener("click", () => writeChoice({ span: "all", since: null, until: null }));

addEventListener("popstate", () => {
  choice = readChoice();
  refresh();
});
// While there is no stream the page asks each second; the age in the footer grows meanwhile.
setInterval(() => {
  showAccount();
  askStatusAgain();
  if (!streaming) refreshSoon();
}, 1000);

letTipsGo();
refresh();
listen();
