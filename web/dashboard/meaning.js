// The names of the numbers and what they mean. The meaning is shown in tips, which appear under the
// mouse or with the keyboard focus, and in a list for other devices.

const DAILY = "Visitors are known for one UTC day only (visitor: daily). Over more than one day, a " +
  "person who comes on two days counts twice.";

const NAMES = {
  clicks: ["Clicks", "Page views, each counted once."],
  unique_user_count: ["Unique users", "Different visitors, counted exactly."],
  average_time_on_page: ["Avg. time on page", "From a click to the visitor's next click, on average. " +
    "A gap longer than the session timeout (30 minutes by default) ends the session and does not " +
    "count."],
  average_time_spent: ["Avg. time spent", "From a click to the visitor's next click, on average, " +
    "however long it takes: nights and weeks between two visits count. So it is longer than the " +
    "time on page."],
};

export const METRICS = Object.keys(NAMES);

// `daily`: the number counts visitors whose ids live for one day, over more than one day.
export function nameOf(metric, daily) {
  return daily && metric === "unique_user_count" ? "Daily visitors" : NAMES[metric][0];
}

function meaningOf(metric, daily) {
  return daily && metric === "unique_user_count" ? DAILY : NAMES[metric][1];
}

const all = (selector) => [...document.querySelectorAll(selector)];

export function showMeanings(daily) {
  for (const hint of all("[data-hint]")) hint.textContent = meaningOf(hint.dataset.hint, daily);
  for (const name of all("[data-name-of]")) {
    const short = name.dataset.short;
    name.textContent = short !== undefined && !(daily && name.dataset.nameOf === "unique_user_count")
      ? short : nameOf(name.dataset.nameOf, daily);
  }
}

// Escape hides the tip that is shown, until the mouse or the focus moves.
export function dismissTips() {
  const root = document.documentElement;
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") root.classList.add("no-hints");
  });
  for (const name of ["pointermove", "focusin"])
    addEventListener(name, () => root.classList.remove("no-hints"));
}
