// The tracker that pages include: a page view when the page is shown, and one whenever its path or
// query changes. No cookie, nothing stored. docs/collect.md is its manual; the build takes comments
// and long names out, because pages wait for it.
//
// Whatever the page or the browser has done to the functions it calls: nothing is thrown into the
// page. It is written for browsers of 2017 and later, so without newer syntax.
(() => {
  const WAIT_MIN = 1e3;
  const WAIT_MAX = 6e4;
  const EVENTS_MAX = 100;
  const NAME_MAX = 256; // bytes of UTF-8, as the contract has it
  // A part of what the server takes out of URLs: pages take these parameters away by themselves.
  const CAMPAIGN =
    /&((utm|mtm|pk|hsa|gad|matomo|piwik)_[^&=]+|\w*cl(k?id|src)|[gw]braid|_g[al]|__?hs\w+|mc_[ce]id|igsh(id)?|srsltid)(=[^&]*)?(?![^&])/gi;
  const LENGTH_MAX = 6e4; // browsers send 64 KiB for a page that is gone, and refuse more

  const script = document.currentScript;
  const stub = window.clickmill;
  const queue = []; // events as JSON, oldest first, each until the collector has answered
  let endpoint;
  let site;
  let user;
  let shown; // path and query of the last page view, without campaigns
  let busy; // a request is in flight, or the next attempt waits for its time
  let wait = 0;
  let flushed; // the newest event that went out when the page was hidden

  const guarded = (action) => (...values) => {
    try {
      return action(...values);
    } catch (ignored) { /* the page's business is not to be disturbed by ours */ }
  };

  // What fits of a name: never a part of a character, and no half of a pair.
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

  // A text goes as text/plain, for which browsers do not ask the collector first.
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

  // The page may not live to see an answer, or it may come back: what is not confirmed goes out and
  // is kept, and its id makes it count once. A closing page is told so twice.
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
    // In ASCII, so that its length is what it takes.
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

  if (stub && stub.on) return; // a page that includes the tracker twice
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
