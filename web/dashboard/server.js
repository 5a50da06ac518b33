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

const KEEP_MS = 5000;
const kept = new Map();

// What was asked not long ago is not asked again: `find` gives null where there is nothing to keep.
async function keep(name, now, find) {
  const before = kept.get(name);
  if (before !== undefined && now - before.at < KEEP_MS) return before.value;
  const value = await find();
  if (value !== null) kept.set(name, { at: now, value });
  return value;
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
export function askEnds(kind, signal, now = Date.now()) {
  return keep(`ends ${kind}`, now, () => findEnds(kind, now, signal));
}

// What all URLs of the store begin with, "https://www.example.com/"; "" when they have no such part
// in common. In the order of bytes all stand between the first and the last.
export async function askCommonOrigin(signal, now = Date.now()) {
  const origin = (rows) => /^https?:\/\/[^/?#]+\//i.exec(rows[0]?.url ?? "")?.[0] ?? "";
  const found = await keep("origin", now, async () => {
    const [first, last] = await Promise.all([0, 1].map((reverse) =>
      ask("pages", { sort: "url", limit: 1, reverse }, signal)));
    if (first.rows.length === 0) return null;
    return { origin: origin(first.rows) === origin(last.rows) ? origin(first.rows) : "" };
  });
  return found === null ? "" : found.origin;
}
