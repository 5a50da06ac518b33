// The tracker of pages: page views, events, clicks, and the time that a page is in use. It sets no
// cookie and stores nothing. docs/collect.md is its manual.
//
// The script that pages include and the npm package are both made of this file. The build removes
// comments and long names from the script, because pages wait for it. The tracker never throws an
// exception into the page, whatever the page or the browser has done to the functions that it
// calls. It is written for Chrome, Firefox and Safari of 2017 and later, without newer syntax.

const WAIT_MIN = 1e3;
const WAIT_MAX = 6e4;
const EVENTS_MAX = 100;
const SIZE_MAX = 6e4; // browsers send up to 64 KiB for a closed page, and refuse more
// Limits of the contract; texts in bytes of UTF-8.
const TEXT_MAX = 256; // of a user and of the value of a prop
const NAME_MAX = 64; // of an event and of a prop
const PROPS_MAX = 32;
// Some of the parameters that the server removes from URLs: pages remove these themselves, which is
// not another page view.
const CAMPAIGN =
  /&((utm|mtm|pk|hsa|gad|matomo|piwik)_[^&=]+|\w*cl(k?id|src)|[gw]braid|_g[al]|__?hs\w+|mc_[ce]id|igsh(id)?|srsltid)(=[^&]*)?(?![^&])/gi;
const FILES = /\.(pdf|(doc|xls|ppt)x?|csv|zip|gz|dmg|exe|msi|apk|mp[34])$/i;
const PROP = "data-clickmill-prop-";
// Engaged time, in ms.
const IDLE = 6e4; // without input for so long, the page is not in use
const MARKS = [15e3, 45e3, 12e4]; // it is sent at these, and then at each multiple of:
const MARK = 3e5;
const ENGAGED_MAX = 864e5;

// Starts the tracker, once in a page. `script` is its <script>, or has the same properties:
// `dataset` with `endpoint`, `site` and `track`, and `src`, to which the endpoint is relative.
export const start = (script) => {
  const stub = window.clickmill || {};
  let calls = []; // of the function `clickmill`, until the page is shown
  const queue = []; // events as JSON, oldest first, each until the collector has answered
  let endpoint;
  let site;
  let track;
  let user;
  let busy; // a request is in flight, or the next attempt waits
  let wait = 0;
  let flushed; // the newest event that was sent when the page was hidden
  let stamp = 0; // of the newest event
  let shown; // path and query of the last page view, without campaigns
  let before; // the URL of the page before
  let page; // of the last page view: `url` and `user_id`
  let engaged = 0; // ms that this page was in use until `since`
  let since = 0;
  let left = 0; // ms from `since` on that it stays in use without input
  let told; // ms of the last engagement event
  let timer;

  const guarded = (action) => (...values) => {
    try {
      return action(...values);
    } catch (ignored) { /* the page must not notice it */ }
  };

  const bytes = (text) => new TextEncoder().encode(text);

  // The beginning of a text that fits: a decoder of a stream keeps back an incomplete character.
  const cut = (text, most) =>
    new TextDecoder().decode(bytes(text).subarray(0, most), { stream: true });

  // A URL as it is sent: a page of this origin is a page of the site.
  const named = (url) => {
    const at = new URL(url, location);
    at.hash = "";
    at.search += ""; // without a `?` that nothing follows
    return at.href.replace(location.origin + "/", site);
  };

  // A UUID of version 4, which ends the address of a blob (File API, "Generate a new blob URL"):
  // crypto.randomUUID is missing in pages on plain http.
  const uuid = () => {
    const address = URL.createObjectURL(new Blob());
    URL.revokeObjectURL(address);
    return address.slice(-36);
  };

  // A string is sent as text/plain, for which browsers send no preflight request.
  const body = () => "[" + queue + "]";
  const beacon = guarded(() => navigator.sendBeacon(endpoint, body()));
  const request = async () => window.fetch
    ? fetch(endpoint, { method: "POST", body: body(), keepalive: true, credentials: "include" })
    : { status: !beacon() * 503 };

  const send = async () => {
    const count = queue.length;
    if (busy || !count) return;
    busy = 1;
    try {
      const { status } = await request();
      if (status === 429 || status > 499) throw 0;
      queue.splice(0, count);
      wait = 0;
    } catch (ignored) {
      wait = Math.min(wait * 2 || WAIT_MIN, WAIT_MAX);
    }
    setTimeout(() => {
      busy = 0;
      send();
    }, wait);
  };

  // Events keep their order, also those of one millisecond.
  const add = (about, fields) => {
    stamp = Math.max(Date.now(), stamp + 1);
    const event = JSON.stringify(Object.assign(
      { row_key: uuid(), timestamp: stamp, language: navigator.language }, about, fields));
    if (queue.length < EVENTS_MAX && bytes(body() + event).length < SIZE_MAX) queue.push(event);
  };

  // Counts the time that has passed. With input, or when the page is shown, `more` ms are left from
  // now on; with 0 it is out of use.
  const count = (more) => {
    const now = Date.now();
    const spent = Math.max(0, Math.min(now - since, left));
    engaged = Math.min(engaged + spent, ENGAGED_MAX);
    since = now;
    left = more >= 0 ? more : left - spent;
  };

  const report = () => {
    if (page && engaged !== told) add(page, { name: "engagement", engaged_ms: told = engaged });
  };

  // Waits until the next engagement event is due. The timer ends when the page is out of use.
  const tick = () => {
    const mark = MARKS.find((one) => one > engaged) || engaged - engaged % MARK + MARK;
    timer = setTimeout(guarded(() => {
      timer = 0;
      count();
      if (engaged >= mark) {
        report();
        send();
      }
      if (left) tick();
    }), mark - engaged);
  };

  const use = guarded(() => {
    count(document.hidden ? 0 : IDLE);
    if (!timer) tick();
  });

  // The page may be closed before an answer comes, or it may be shown again: events without an
  // answer are sent and kept, and their row key makes them count once. Only the engagement event
  // is not kept, because the next one contains its time. A closing page gets two events.
  const leave = guarded(() => {
    const size = queue.length;
    count(0);
    report();
    const last = queue[queue.length - 1];
    if (!last || last === flushed) return;
    // Not a beacon, if the request outlives the page without it: where the page says no-referrer or
    // same-origin, a beacon's `Origin` is null (Fetch, "append a request Origin header").
    if (new Request(endpoint).keepalive === false || !beacon()) request().catch(guarded);
    queue.length = size;
    flushed = queue[size - 1];
  });

  const show = (url) => {
    count();
    report();
    page = { url, user_id: user };
    add(page, { referrer: before });
    before = url;
    engaged = 0;
    told = -1;
    clearTimeout(timer);
    timer = 0;
    send();
    use();
  };

  const view = guarded(() => {
    const clean = location.pathname + location.search.replace("?", "&").replace(CAMPAIGN, "");
    if (clean === shown || track.includes("manual")) return;
    shown = clean;
    show(named(location));
  });

  const commands = {
    identify(name) {
      user = cut([name], TEXT_MAX) || undefined; // `[null]` makes an empty text
    },
    page(url) {
      show(named(url || location));
    },
    event(name, props) {
      const kept = {};
      let room = PROPS_MAX;
      if (!name) return;
      view();
      for (const key in props) {
        const value = props[key];
        // Absent ones (null, undefined, "") do not count: `[]` makes an empty text of them.
        if (key && [value] + "" && room-- > 0)
          kept[cut(key, NAME_MAX)] = /^(n|bo)/.test(typeof value) ? value : cut(value, TEXT_MAX);
      }
      add({ url: page ? page.url : named(location), user_id: user },
        { name: cut(name, NAME_MAX), props: kept });
      send();
    },
  };
  const run = guarded(([name, ...values]) => endpoint && commands[name](...values));

  // A click is one event at most. The browser follows links as ever: a request outlives its page.
  const click = guarded((event) => {
    const way = event.composedPath(); // also through open shadow roots
    const link = way.find((one) => one.protocol && one.href);
    // A form counts when it is submitted (an event without a button), other elements with a click.
    const marked = way.find((one) => one.dataset && one.dataset.clickmillEvent &&
      !one.submit === event.button >= 0);
    if (event.button > !!link) return; // only links are opened by the middle button (1)
    if (marked) {
      const props = {};
      for (const one of marked.attributes)
        if (one.name.startsWith(PROP)) props[one.name.slice(PROP.length)] = one.value;
      run(["event", marked.dataset.clickmillEvent, props]);
    } else if (link) {
      const web = /^http/.test(link.protocol);
      const host = (one) => one.hostname.replace(/^www\./, "");
      if (track.includes("downloads") &&
          (link.hasAttribute("download") || FILES.test(link.pathname)))
        run(["event", "download", { url: web ? link.origin + link.pathname : link.download }]);
      else if (track.includes("outbound") && web && host(link) !== host(location))
        run(["event", "outbound", { url: link.href }]);
    }
  });

  // The window hears of events first, before a page may stop them or remove the element.
  const on = (names, action) => names.split(" ").forEach((name) =>
    addEventListener(name, action, { capture: true, passive: true }));


  const go = guarded(() => {
    const data = script.dataset;
    const early = [].concat(stub.q || [], calls);
    calls = 0;
    if ((navigator.doNotTrack || window.doNotTrack) == 1 || navigator.globalPrivacyControl)
      return;
    endpoint = new URL(data.endpoint || "/v1/events", script.src || location).href;
    site = (data.site || location.origin + "/").replace(/\/?$/, "/");
    track = data.track || "";
    if (document.referrer) before = named(document.referrer);
    early.forEach(run);
    view();
    on("popstate", view);
    on("pagehide", leave);
    on("pageshow", (event) => {
      if (!event.persisted) return;
      shown = flushed = before = page = undefined;
      view();
    });
    on("click auxclick submit", click);
    // Scrolling is no input, because pages also scroll by themselves.
    on("mousemove keydown wheel touchmove", use);
    on("visibilitychange", () => {
      if (document.hidden) return leave();
      flushed = undefined;
      use();
    });
    "pushState replaceState".split(" ").forEach((name) => {
      const original = history[name];
      if (original)
        history[name] = function () {
          const result = original.apply(this, arguments);
          view();
          return result;
        };
    });
  });

  if (stub.on) return; // the page includes the tracker twice
  (window.clickmill = (...call) => {
    if (calls) calls.push(call);
    else run(call);
  }).on = 1;
  if (document.prerendering) on("prerenderingchange", go);
  else go();
};
