// The tracker as a module. It calls the same function as the pages that include the script, so that
// both can be used on one page. On a server, where there is no window, it does nothing.
import { start } from "./tracker.js";

const isPage = () => typeof window !== "undefined";

const call = (...values) => {
  if (!isPage()) return;
  if (typeof window.clickmill !== "function") {
    const queue = [];
    window.clickmill = (...later) => { // until init()
      queue.push(later);
    };
    window.clickmill.q = queue;
  }
  window.clickmill(...values);
};

export const init = (options = {}) => {
  if (isPage()) start({ dataset: options });
};

export const event = (name, props) => call("event", name, props);

export const page = (url) => call("page", url);

export const identify = (user) => call("identify", user);
