// The answers to the chosen questions: which requests they need, and what the chart covers.

import { exactRows, windowParameters } from "./choice.js";
import { request, requestEnds, requestSeries } from "./server.js";
import { DAY, HOUR, chartDays, dayOf, stepOf } from "./span.js";

const AROUND = 14; // days on each side of a chosen day, when there are no answers per hour

// What the chart covers: the hours of the chosen day, or the days of the span, as { kind, from, to,
// step, present } with the start of the first and of the last window in ms. Null when there are no
// windows at all. `ends` are those of requestEnds() for days and for hours.
export function chartRange({ choice, status }, ends) {
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
  // The axis begins and ends at the hours where the data do.
  const end = Math.max(ends.hour.last, live ? Math.floor(Date.now() / HOUR) * HOUR : 0);
  return {
    kind,
    from: Math.max(days.first, ends.hour.first),
    to: Math.min(days.last + DAY - HOUR, end),
    step: HOUR, days, known, present,
  };
}

export async function requestBothEnds(version, signal) {
  const [day, hour] = await Promise.all([requestEnds("day", version, signal),
    requestEnds("hour", version, signal)]);
  return { day, hour };
}

// The start of the newest window of the period; null when there is none.
function newestStart(period, ends) {
  const known = period === "hour" ? ends.hour ?? ends.day : ends.day ?? ends.hour;
  if (known === null) return null;
  return period === "day" ? dayOf(known.newest) : known.newest;
}

// Requests everything that the page shows. A chosen period without a start gets the newest one.
export async function requestAnswers(state, signal) {
  const { choice, sorts, limits } = state;
  const ends = await requestBothEnds(state.version, signal);
  if (choice.period !== "all" && choice.start === null)
    choice.start = newestStart(choice.period, ends);
  const range = chartRange(state, ends);
  const filter = { url: choice.url, country: choice.country };
  const windowed = windowParameters(choice);
  const table = (name) => request(name,
    { ...windowed, ...filter, sort: sorts[name], limit: limits[name] + 1 }, signal);
  const drawable = range !== null && range.from <= range.to;
  const [summary, pages, countries, series] = await Promise.all([
    request("summary", { ...windowed, ...filter }, signal),
    table("pages"),
    table("countries"),
    drawable ? requestSeries(range.kind, {
      ...filter, from: range.from, to: range.to + range.step,
      steps: (range.to - range.from) / range.step + 1,
    }, signal) : [],
  ]);
  return { ends, range, summary, pages, countries, series: exactRows(choice, series) };
}
