// The time span of the chart: the newest 7, 30 or 90 days of the data, all days, or chosen dates. A
// single event with a wrong time must not hide the rest: a span ends with the newest day of the data
// that is not in the future, and begins with the oldest day or later.

export const HOUR = 3600e3;
export const DAY = 24 * HOUR;
export const SPANS = ["30", "7", "90", "all", "own"]; // the first is the default
const HOURLY_DAYS = 14; // a line of more hours is not readable
const FEW_DAYS = 3; // a line of fewer days shows less than one of hours

export const dayOf = (time) => Math.floor(time / DAY) * DAY;

// The start of a day, "2015-05-17", in ms; null when the text is not a day.
export function parseDay(text) {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text ?? "") ? Date.parse(`${text}T00:00:00Z`) : NaN;
  return Number.isNaN(time) || time < 0 ? null : time;
}

export const dayName = (time) => new Date(time).toISOString().slice(0, 10);

// The first and the last day of the chart. `ends` are those of requestEnds(). `live`: events are
// still collected, so the data reach until now. `first` is after `last` when the chosen dates have
// no data.
export function chartDays(choice, ends, live, now = Date.now()) {
  const first = dayOf(ends.first);
  let last = dayOf(ends.newest);
  if (live && first <= dayOf(now)) last = Math.max(last, dayOf(now));
  const end = Math.max(last, dayOf(ends.last));
  if (choice.span === "all") return { first, last: end };
  if (choice.span === "own")
    return { first: Math.max(first, choice.since), last: Math.min(end, choice.until) };
  return { first: Math.min(last, Math.max(first, last - (Number(choice.span) - 1) * DAY)), last };
}

export const mayBeHourly = (days) => (days.last - days.first) / DAY < HOURLY_DAYS;

// The length of a step: one of those for which answers are `present`.
export function stepOf(choice, days, present) {
  const none = days.last < days.first;
  const hourly = present.hour && (mayBeHourly(days) || !present.day);
  if (none || !hourly) return "day";
  if (!present.day || choice.step === "hour") return "hour";
  if (choice.step === "day") return "day";
  return (days.last - days.first) / DAY < FEW_DAYS ? "hour" : "day";
}

// The times (s) and values of every step from the first to the last. A window without clicks has no
// row: its counts are 0 and its averages are missing. Windows in the future have no values.
export function fillGaps(rows, { from, to, step, metric }, now = Date.now()) {
  const known = new Map(rows.map((row) => [Date.parse(row.window_start), row]));
  const none = metric.startsWith("average_") ? null : 0;
  const times = [];
  const values = [];
  for (let time = from; time <= to; time += step) {
    times.push(time / 1000);
    values.push(known.get(time)?.[metric] ?? (time > now ? null : none));
  }
  return { times, values };
}
