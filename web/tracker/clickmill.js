// The tracker that pages include. It sends a page view when the page is shown and whenever its path
// or query changes. It sets no cookie and stores nothing. docs/collect.md is its manual; the build
// removes comments and long names, because pages wait for it.
//
// It never throws an exception into the page, whatever the page or the browser has done to the
// functions that it calls. It is written for browsers of 2017 and later, without newer syntax.
(() => {
  const WAIT_MIN = 1e3;
  const WAIT_MAX = 6e4;
  const EVENTS_MAX = 100;
  const NAME_MAX = 256; // bytes of UTF-8, the limit of the contract
  // Some of the parameters that the server removes from URLs: pages remove these themselves, which is
  // not another page view.
  const CAMPAIGN =
    /&((utm|mtm|pk|hsa|gad|matomo|piwik)_[^&=]+|\w*cl(k?id|src)|[gw]braid|_g[al]|__?hs\w+|mc_[ce]id|igsh(id)?|srsltid)(=[^&]*)?(?![^&])/gi;
  const LENGTH_MAX = 6e4; // browsers send up to 64 KiB for a closed page, and refuse more

  const script = document.currentScript;
  const stub = window.clickmill;
  const queue = []; // events as JSON, oldest first, each until the collector has answered
  let endpoint;
  let site;
  let user;
  let shown; // path and query of the last page view, without campaigns
  let busy; // a request is in flight, or the next attempt waits
  let wait = 0;
  let flushed; // the newest event that was sent when the page was hidden

  const guarded = (action) => (...values) => {
    try {
      return action(...values);
    } catch (ignored) { /* the page must not notice it */ }
  };

  // The beginning of a name that fits: only whole characters, and no half of a surrogate pair.
  const cut = (name) => {
    let kept = "";
    let size = 0;
    for (const one of name) {
      const unit = one.charCodeAt();
      size += one[1] ? 4 : unit > 2047 ? 3 : unit > 127 ? 2 : 1;
      if (size > NAME_MAX) break;
      kept += one[1] || unit >> 11 !== 27 ? one : "?";
    }
    return kept;
  };

  const command = guarded((name, value) => {
    if (name === "identify") user = value == null ? undefined : cut(`${value}`) || undefined;
  });

  // A UUID of version 4; crypto.randomUUID is missing in pages on plain http.
  const uuid = () => "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16));

  // A string is sent as text/plain, for which browsers send no preflight request.
  const body = () => `[${queue}]`;
  const beacon = guarded(() => navigator.sendBeacon(endpoint, body()));
  const request = () => new Promise((resolve) => resolve(window.fetch
    ? fetch(endpoint, { method: "POST", body: body(), keepalive: true, credentials: "include" })
    : { status: beacon() ? 202 : 503 }));

  const send = () => {
    const count = queue.length;
    if (busy || !count) return;
    busy = 1;
    request().then((reply) => {
      if (reply.status === 429 || reply.status > 499) throw 0;
      queue.splice(0, count);
      wait = 0;
    }).catch(() => {
      wait = Math.min(wait * 2 || WAIT_MIN, WAIT_MAX);
    }).then(() => setTimeout(() => {
      busy = 0;
      send();
    }, wait));
  };

  // The page may be closed before an answer comes, or it may be shown again: events without an answer
  // are sent and kept, and their row key makes them count once. A closing page gets two events.
  const flush = guarded(() => {
    const last = queue[queue.length - 1];
    if (!last || last === flushed) return;
    flushed = last;
    if (!beacon()) request().catch(() => {
      flushed = 0;
    });
  });

  const view = guarded(() => {
    const page = location.pathname + location.search;
    const clean = location.pathname + location.search.replace("?", "&").replace(CAMPAIGN, "");
    if (document.prerendering || clean === shown) return;
    shown = clean;
    // In ASCII, so that its length is its size in bytes.
    const event = JSON.stringify(
      { row_key: uuid(), timestamp: Date.now(), url: site + page, user_id: user })
      .replace(/[^ -~]/g, (unit) => "\\u" + (65536 + unit.charCodeAt()).toString(16).slice(1));
    if (queue.length < EVENTS_MAX && (body() + event).length < LENGTH_MAX) queue.push(event);
    send();
  });

  const watch = (name) => {
    const original = history[name];
    if (original)
      history[name] = function () {
        const result = original.apply(this, arguments);
        view();
        return result;
      };
  };

  if (stub && stub.on) return; // the page includes the tracker twice
  command.on = 1;
  window.clickmill = command;
  guarded(() => {
    if (navigator.doNotTrack === "1" || window.doNotTrack === "1" || navigator.globalPrivacyControl)
      return;
    endpoint = new URL(script.dataset.endpoint || "/v1/events", script.src || location.href).href;
    site = (script.dataset.site || location.origin).replace(/\/$/, "");
    if (stub && stub.q) stub.q.forEach(guarded((call) => command(call[0], call[1])));
    view();
    addEventListener("popstate", view);
    addEventListener("pagehide", flush);
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      shown = flushed = 0;
      view();
    });
    document.addEventListener("prerenderingchange", view);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) flush();
      else flushed = 0;
    });
    watch("pushState");
    watch("replaceState");
  })();
})();
