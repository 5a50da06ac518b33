// Questions to the server.

export class ServerError extends Error {}

export async function ask(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== null && value !== undefined) query.set(name, value);
  const reply = await fetch(`/api/${path}?${query}`, { signal });
  const body = await reply.json();
  if (!reply.ok) throw new ServerError(body.error);
  return body;
}

export const isoTime = (time) => (time === null ? null : new Date(time).toISOString());

const MOST = 10000; // rows that are asked for by number; more are a download

// The windows of the kind in [from, to), oldest first.
export async function askSeries(kind, { url, country, from, to, steps }, signal) {
  const answer = await ask("series", {
    window: kind, url, country, from: isoTime(from), to: isoTime(to),
    limit: steps <= MOST ? MOST : 0,
  }, signal);
  return answer.rows;
}

// What changes rarely and is asked for with each refresh is kept: until the answers change, and then
// for a while. `version` is what the answers had when they changed last.
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

// How long, in ms, until what is kept of an older version is asked for again; 0: nothing is.
export function keptTooLong(version) {
  const older = [...kept.values()].filter((entry) => entry.version !== version);
  return Math.max(0, ...older.map((entry) => entry.at + KEEP_MS - Date.now()));
}

async function findEnds(kind, now, signal) {
  const end = async (parameters) => {
    const { rows } = await ask("series", { window: kind, limit: 1, ...parameters }, signal);
    return rows.length === 0 ? null : Date.parse(rows[0].window_start);
  };
  const [first, last] = await Promise.all([end({}), end({ reverse: 1 })]);
  if (first === null || last === null) return null;
  let newest = last;
  if (last > now && first <= now)
    newest = await end({ reverse: 1, to: isoTime(Math.floor(now) + 1) });
  return { first, last, newest };
}

// The oldest and the newest window of the kind, of all data: { first, last, newest }, where `newest`
// is not after now unless all are. Null: there are none.
export function askEnds(kind, version, signal) {
  return keep(`ends ${kind}`, version, () => findEnds(kind, Date.now(), signal));
}

// Whether the pages of the store are of several hosts, or of both schemes. In the order of bytes all
// URLs stand between the first and the last.
export async function askSeveralHosts(version, signal) {
  const origin = (answer) => /^https?:\/\/[^/?#]+/i.exec(answer.rows[0].url)?.[0];
  const found = await keep("hosts", version, async () => {
    const [first, last] = await Promise.all([0, 1].map((reverse) =>
      ask("pages", { sort: "url", limit: 1, reverse }, signal)));
    return first.rows.length === 0 || last.rows.length === 0 ? null
      : { several: origin(first) !== origin(last) };
  });
  return found?.several === true;
}
