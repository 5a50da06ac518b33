// Requests to the server.

// The server refused a request; the message is its sentence.
export class ServerError extends Error {}

// GET /api/PATH; parameters that are null or undefined are left out. Throws a ServerError with the
// sentence that the server answers, and a TypeError when it does not answer.
export async function request(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== null && value !== undefined) query.set(name, value);
  const reply = await fetch(`/api/${path}?${query}`, { signal });
  const body = await reply.json();
  if (!reply.ok) throw new ServerError(body.error);
  return body;
}

export const isoTime = (time) => (time === null ? null : new Date(time).toISOString());

const MAX_ROWS = 10000; // that a request can limit; more need limit 0, as a download has it

// The windows of the kind in [from, to), oldest first.
export async function requestSeries(kind, { url, country, from, to, steps }, signal) {
  const answer = await request("series", {
    window: kind, url, country, from: isoTime(from), to: isoTime(to),
    limit: steps <= MAX_ROWS ? MAX_ROWS : 0,
  }, signal);
  return answer.rows;
}

// A cache for answers that each refresh needs and that change rarely. An entry is used while the
// answers have the same version (the time of their last change), and KEEP_MS after it was requested.
const KEEP_MS = 5000;
const kept = new Map();

async function keep(name, version, find) {
  const before = kept.get(name);
  if (before !== undefined && (before.version === version || Date.now() - before.at < KEEP_MS))
    return before.value;
  const at = Date.now();
  const value = await find();
  if (value !== null) kept.set(name, { at, version, value });
  return value;
}

// The ms until an entry of an older version must be requested again; 0: there is none.
export function msUntilStale(version) {
  const older = [...kept.values()].filter((entry) => entry.version !== version);
  return Math.max(0, ...older.map((entry) => entry.at + KEEP_MS - Date.now()));
}

async function findEnds(kind, now, signal) {
  const end = async (parameters) => {
    const { rows } = await request("series", { window: kind, limit: 1, ...parameters }, signal);
    return rows.length === 0 ? null : Date.parse(rows[0].window_start);
  };
  const [first, last] = await Promise.all([end({}), end({ reverse: 1 })]);
  if (first === null || last === null) return null;
  let newest = last;
  if (last > now && first <= now)
    newest = await end({ reverse: 1, to: isoTime(Math.floor(now) + 1) });
  return { first, last, newest };
}

// The oldest and the newest window of the kind ("day", "hour"), of all data: { first, last, newest }.
// `newest` is the newest one that is not in the future; where all are, it is `last`. Null: there is
// no window.
export function requestEnds(kind, version, signal) {
  return keep(`ends ${kind}`, version, () => findEnds(kind, Date.now(), signal));
}

// Whether the stored pages are of several hosts or of both schemes. Ordered by bytes, all URLs lie
// between the first and the last: if these two have one origin, all have.
export async function requestSeveralHosts(version, signal) {
  const origin = (answer) => /^https?:\/\/[^/?#]+/i.exec(answer.rows[0].url)?.[0];
  const found = await keep("hosts", version, async () => {
    const [first, last] = await Promise.all([0, 1].map((reverse) =>
      request("pages", { sort: "url", limit: 1, reverse }, signal)));
    return first.rows.length === 0 || last.rows.length === 0 ? null
      : { several: origin(first) !== origin(last) };
  });
  return found?.several === true;
}
