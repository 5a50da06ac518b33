// Which part of time the chart shows: the newest 7, 30 or 90 days of the data, all of them, or days
// of one's own. One event of another time must not hide the rest: spans end with the newest day of
// the data that is not to come, and begin with their oldest at the earliest.

export const HOUR = 3600e3;
export const DAY = 24 * HOUR;
export const SPANS = ["30", "7", "90", "all", "own"]; // the first is what is meant without a choice
const HOURLY_DAYS = 14; // more hours than that make no readable line
const FEW_DAYS = 3; // of which hours show more

export const dayOf = (time) => Math.floor(time / DAY) * DAY;

// "2015-05-17" as the start of that day, null when it is none.
export function parseDay(text) {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text ?? "") ? Date.parse(`${text}T00:00:00Z`) : NaN;
  return Number.isNaN(time) || time < 0 ? null : time;
}

export const dayName = (time) => new Date(time).toISOString().slice(0, 10);

// The first and the last day of the chart. `ends` are the oldest and the newest window of the data,
// { first, last, newest }, where `newest` is not after now; `live`: the data go on until now.
// `first` is after `last` when there are no data in a span of one's own.
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

// The length of a step, of those whose answers are `present`.
export function stepOf(choice, days, present) {
  const none = days.last < days.first;
  const hourly = present.hour && (mayBeHourly(days) || !present.day);
  if (none || !hourly) return "day";
  if (!present.day || choice.step === "hour") return "hour";
  if (choice.step === "day") return "day";
  return (days.last - days.first) / DAY < FEW_DAYS ? "hour" : "day";
}

// Every step from the first to the last. Windows without clicks have no row: their counts are 0, their
// averages missing; those to come have neither.
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
