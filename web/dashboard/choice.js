// What the user has chosen: period, filters, metric, and the span and step of the chart. It is kept in
// the fragment of the address, so that it can be linked to and the browser's Back button works.

import { METRICS } from "./meaning.js";
import { isoTime } from "./server.js";
import { DAY, HOUR, SPANS, dayName, parseDay } from "./span.js";

// Reads the choice from the fragment of an address, "#period=day&from=...".
export function readChoice(fragment) {
  const given = new URLSearchParams(fragment.slice(1));
  const oneOf = (name, values) => (values.includes(given.get(name)) ? given.get(name) : values[0]);
  const start = Date.parse(given.get("from") ?? "");
  const days = [parseDay(given.get("since")), parseDay(given.get("until"))];
  const own = days[0] !== null && days[1] !== null;
  const span = own ? "own" : oneOf("span", SPANS);
  return {
    period: oneOf("period", ["all", "day", "hour"]),
    start: Number.isNaN(start) ? null : start, // ms; null: the newest window
    url: given.get("url"),
    country: given.get("country"),
    metric: oneOf("metric", METRICS),
    span: span === "own" && !own ? SPANS[0] : span,
    since: own ? Math.min(...days) : null,
    until: own ? Math.max(...days) : null,
    step: oneOf("step", ["", "hour", "day"]), // "": chosen by the length of the span
  };
}

// The fragment of a choice, without "#". Defaults are left out.
export function choiceText(choice) {
  const kept = new URLSearchParams();
  if (choice.period !== "all") kept.set("period", choice.period);
  if (choice.period !== "all" && choice.start !== null) kept.set("from", isoTime(choice.start));
  if (choice.span === "own") {
    kept.set("since", dayName(choice.since));
    kept.set("until", dayName(choice.until));
  } else if (choice.span !== SPANS[0]) {
    kept.set("span", choice.span);
  }
  if (choice.url !== null) kept.set("url", choice.url);
  if (choice.country !== null) kept.set("country", choice.country);
  if (choice.metric !== METRICS[0]) kept.set("metric", choice.metric);
  if (choice.step !== "") kept.set("step", choice.step);
  return kept.toString();
}

// The length of a chosen window in ms.
export const windowLength = (choice) => (choice.period === "day" ? DAY : HOUR);

// The parameters of a request that select the chosen window.
export function windowParameters(choice) {
  if (choice.period === "all") return {};
  if (choice.start === null) return { window: choice.period };
  return {
    window: choice.period,
    from: isoTime(choice.start),
    to: isoTime(choice.start + windowLength(choice)),
  };
}

// Rows of exactly the chosen page. The server takes a URL as a pattern, in which ? and * also match
// other characters.
export function exactRows(choice, rows) {
  return rows.filter((row) => choice.url === null || row.url === undefined ||
    row.url === choice.url);
}
