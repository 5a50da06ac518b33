// The dashboard: its state, when it requests answers, and what the user's choices do.

import { chartRange, requestAnswers, requestBothEnds } from "./answers.js";
import { createChart } from "./chart.js";
import { choiceText, readChoice, windowLength } from "./choice.js";
import { dismissTips } from "./meaning.js";
import { ServerError, msUntilStale, request, requestSeveralHosts } from "./server.js";
import { dayName, dayOf, parseDay } from "./span.js";
import { showServer } from "./start.js";
import { $, MAX_ROWS, all, show, showAccount, showProblem, showRows, showStatus } from "./view.js";

const STATUS_MS = 3000; // between two requests of the server's status
const REFRESH_MS = 1000; // between two requests of the answers, at least
const RECONNECT_MS = 10e3;

const state = {
  choice: readChoice(location.hash),
  sorts: { pages: "clicks", countries: "clicks" }, // of the tables
  limits: { pages: 10, countries: 10 },

  // What the server said last.
  status: null, // null: nothing yet
  freshness: null, // of the answers; null: none yet
  version: null, // the time of the last change of the answers, as far as known
  anyData: false, // in any window
  severalHosts: false, // whether the stored pages are of several hosts, also when not shown
  reachable: true,
  streaming: false, // the server announces changes

  // Times are ms since 1970.
  pending: null, // the AbortController of the running requests
  requestedAt: 0,
  statusAt: 0,
  timer: null, // of the next refresh
  spokenAt: 0, // when screen readers announced the totals
};

const chart = createChart($("#chart"), (kind, start) => choose({ period: kind, start }));

function choose(changes) {
  const next = { ...state.choice, ...changes };
  history.pushState(null, "", `#${choiceText(next)}`);
  state.choice = next;
  state.spokenAt = 0;
  refresh();
}

// ---- keeping up with the server ----

// The counts of refused requests change without any change of the answers: they cause no refresh.
async function requestStatus() {
  state.statusAt = Date.now();
  const before = JSON.stringify({ ...state.status, refused: null });
  state.status = await request("status", {}).catch((error) => {
    if (error instanceof ServerError) return {};
    throw error;
  });
  showServer(state.status);
  if (JSON.stringify({ ...state.status, refused: null }) !== before) refreshSoon();
}

// Errors are ignored: the requests of the answers report that the server does not answer.
function updateStatus() {
  if (!document.hidden && Date.now() - state.statusAt >= STATUS_MS) requestStatus().catch(() => {});
}

// Requested after the rest has been shown, so that it delays nothing.
async function updateHosts(pages, signal) {
  const several = await requestSeveralHosts(state.version, signal);
  if (several === state.severalHosts) return;
  state.severalHosts = several;
  showRows(state, "pages", "url", pages, choose);
}

async function refresh() {
  clearTimeout(state.timer);
  state.timer = null;
  state.pending?.abort();
  const mine = new AbortController();
  state.pending = mine;
  state.requestedAt = Date.now();
  try {
    if (state.status === null) await requestStatus();
    const answers = await requestAnswers(state, mine.signal);
    if (state.pending !== mine) return;
    state.reachable = true;
    showProblem("");
    show(state, answers, chart, choose);
    state.version = state.freshness.updated_at;
    await updateHosts(answers.pages, mine.signal);
    const wait = msUntilStale(state.version);
    if (wait > 0) setTimeout(refreshSoon, wait);
  } catch (error) {
    if (state.pending !== mine) return;
    state.reachable = error instanceof ServerError;
    showProblem(state.reachable ? error.message : "");
    showStatus(state);
  }
  if (state.pending === mine) state.pending = null;
}

// Refreshes at most once per REFRESH_MS, however often the answers change. A choice of the user is
// not delayed: it calls refresh().
function refreshSoon() {
  if (state.timer !== null) return;
  state.timer = setTimeout(() => {
    state.timer = null;
    if (state.pending === null) refresh();
    else refreshSoon();
  }, Math.max(0, state.requestedAt + REFRESH_MS - Date.now()));
}

function listen() {
  const stream = new EventSource("/api/live");
  stream.addEventListener("summary", (event) => {
    const { freshness } = JSON.parse(event.data);
    const changed = freshness.updated_at !== state.freshness?.updated_at ||
      freshness.present !== state.freshness?.present;
    state.streaming = true;
    state.version = freshness.updated_at;
    if (changed || !state.reachable) refreshSoon();
  });
  stream.addEventListener("error", () => {
    state.streaming = false;
    // The browser reconnects by itself, except after a refusal.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT_MS);
  });
}

// ---- the user's choices ----

function onClick(selector, act) {
  for (const button of all(selector)) button.addEventListener("click", () => act(button));
}

onClick("[data-period]", ({ dataset: { period } }) => {
  const { choice } = state;
  // From an hour to the day that contains it.
  const keepsDay = period === "day" && choice.period === "hour" && choice.start !== null;
  choose({ period, start: keepsDay ? dayOf(choice.start) : null });
});
onClick("[data-metric]", (button) => choose({ metric: button.dataset.metric }));
onClick("[data-step]", (button) => choose({ step: button.dataset.step }));
onClick("[data-sort]", (button) => {
  state.sorts[button.closest("table").id] = button.dataset.sort;
  refresh();
});
onClick("[data-more]", ({ dataset: { more } }) => {
  state.limits[more] = Math.min(state.limits[more] * 10, MAX_ROWS);
  refresh();
});
for (const [id, sign] of [["earlier", -1], ["later", 1]])
  onClick(`#${id}`, () => choose({ start: state.choice.start + sign * windowLength(state.choice) }));

// Opens or closes the form for a span of chosen dates. It begins with the days that are shown.
async function toggleOwnSpan() {
  const form = $("#own-span");
  form.hidden = !form.hidden;
  $('[data-span="own"]').setAttribute("aria-expanded", String(!form.hidden));
  if (form.hidden) return;
  const range = chartRange(state, await requestBothEnds(state.version));
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
  // One day is a period, of which totals and tables are shown too.
  if (days[0] === days[1]) choose({ period: "day", start: days[0] });
  else choose({ span: "own", since: Math.min(...days), until: Math.max(...days) });
});
onClick("[data-span]", ({ dataset: { span } }) => {
  if (span === "own") toggleOwnSpan();
  else choose({ span, since: null, until: null });
});
onClick("#show-all", () => choose({ span: "all", since: null, until: null }));

addEventListener("popstate", () => {
  state.choice = readChoice(location.hash);
  refresh();
});
// Without a stream the page requests the answers each second. The age in the footer grows meanwhile.
setInterval(() => {
  showAccount(state);
  updateStatus();
  if (!state.streaming) refreshSoon();
}, 1000);

dismissTips();
refresh();
listen();
