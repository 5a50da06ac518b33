// Numbers, times and URLs for people to read. Windows begin and end in UTC, so dates are shown in UTC.

const numbers = new Intl.NumberFormat("en-US");
const HOUR = 3600e3;
const DAY = 24 * HOUR;

const date = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const dayText = date({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const dateText = date({ day: "numeric", month: "short", year: "numeric" });
const hourText = date({ hour: "2-digit", minute: "2-digit" });

export const NONE = "–";

export function count(value) {
  return numbers.format(value);
}

// "0.4s", "45s", "2m 05s", "1h 02m", "3d 04h"; a missing average is a dash.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 9.95) return `${Math.round(seconds * 10) / 10}s`;
  const whole = Math.round(seconds);
  const pair = (large, small, letters) =>
    `${large}${letters[0]} ${String(small).padStart(2, "0")}${letters[1]}`;
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), whole % 60, "ms");
  if (whole < 86400) return pair(Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), "hm");
  return pair(Math.floor(whole / 86400), Math.floor((whole % 86400) / 3600), "dh");
}

export function metric(name, value) {
  if (name.startsWith("average_")) return duration(value);
  return value === null || value === undefined ? NONE : count(value);
}

// The name of the window that begins at `start`: "Sun, 17 May 2015", "... 10:00–11:00".
export function windowName(kind, start) {
  const day = dayText.format(start);
  if (kind === "day") return day;
  return `${day}, ${hourText.format(start)}–${hourText.format(start + HOUR)}`;
}

export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (ms < HOUR) return `${Math.floor(seconds / 60)} min ago`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} days ago`;
}

// "17 May 2015"
export function day(start) {
  return dateText.format(start);
}

// Days from the one that begins at `first` to the one that begins at `last`.
export function days(first, last) {
  return first === last ? day(first) : `${day(first)} – ${day(last)}`;
}

// A page's URL as { origin, host, path }. Any other text is all path.
export function splitUrl(url) {
  const found = /^(https?:\/\/([^/?#]+))(.*)$/is.exec(url);
  if (found === null) return { origin: "", host: "", path: url };
  const [, origin, host, rest] = found;
  return { origin, host, path: rest.startsWith("/") ? rest : `/${rest}` };
}

const TAIL = 12; // characters that stay visible at the end of a shortened text
const letters = new Intl.Segmenter("en", { granularity: "grapheme" });

// A text as [head, tail]. Where there is not enough room, the end of the head is cut off: the tail
// stays, because similar paths differ at their end.
export function middle(text) {
  if (text.length <= 2 * TAIL) return [text, ""];
  const all = [...letters.segment(text)].map((part) => part.segment);
  return [all.slice(0, -TAIL).join(""), all.slice(-TAIL).join("")];
}
