// The chart: one number over time, drawn by uPlot (a global that is loaded before the modules).

import { metric as formatMetric, windowName } from "./format.js";

const HEIGHT = 250;
const FEW = 3; // fewer points are drawn as bars
const DOTTED = 40; // fewer points have a dot each
// Steps of an axis of durations, in seconds: those of a clock.
const CLOCK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600,
  43200, 86400, 172800, 432000, 864000, 1728000, 4320000, 8640000, 31536000];

// Steps of an axis of windows: whole windows only. Months and years follow the calendar.
const MONTH = 30 * 86400;
const YEAR = 365 * 86400;
const DAY_STEPS = [...[1, 2, 3, 4, 5, 7, 10, 15].map((days) => days * 86400),
  MONTH, 2 * MONTH, 3 * MONTH, 6 * MONTH, YEAR, 2 * YEAR, 5 * YEAR, 10 * YEAR, 25 * YEAR];

const HOUR_STEPS = [...[1, 2, 3, 4, 6, 8, 12].map((hours) => hours * 3600), ...DAY_STEPS];

export function createChart(element, onChoose) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const tipWhen = tip.appendChild(document.createElement("span"));
  const tipValue = tip.appendChild(document.createElement("strong"));

  let plot = null;
  let shown = null; // the argument of the last show()

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function showTip(self) {
    const index = self.cursor.idx;
    const value = index === null || index === undefined ? null : shown.values[index];
    tip.hidden = index === null || index === undefined;
    if (tip.hidden) return;
    const end = shown.times[index] + stepLength();
    tipWhen.textContent = windowName(shown.kind, shown.times[index] * 1000) +
      (end * 1000 > Date.now() ? ", so far" : "");
    tipValue.textContent = formatMetric(shown.metric, value);
    const left = self.valToPos(shown.times[index], "x") + self.over.offsetLeft;
    const right = element.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(left - tip.offsetWidth / 2, right))}px`;
  }

  // Marks the chosen window, below the line.
  function drawMark(self) {
    if (shown.marked === null) return;
    const from = self.valToPos(shown.marked / 1000 - stepLength() / 2, "x", true);
    const to = self.valToPos(shown.marked / 1000 + stepLength() / 2, "x", true);
    self.ctx.save();
    self.ctx.fillStyle = color("--mark");
    self.ctx.fillRect(from, self.bbox.top, to - from, self.bbox.height);
    self.ctx.restore();
  }

  function fill(self) {
    const gradient = self.ctx.createLinearGradient(0, self.bbox.top, 0,
      self.bbox.top + self.bbox.height);
    gradient.addColorStop(0, color("--area"));
    gradient.addColorStop(1, color("--area-end"));
    return gradient;
  }

  function axes() {
    const text = { stroke: color("--muted"), font: "12px system-ui, sans-serif" };
    return [
      {
        ...text,
        grid: { show: false },
        ticks: { show: false },
        space: 64,
        size: shown.kind === "day" ? 30 : 40,
        incrs: shown.kind === "day" ? DAY_STEPS : HOUR_STEPS,
        values: [
          [86400 * 28, "{MMM} {YYYY}", null, null, null, null, null, null, 1],
          [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
          [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
          [1, "{HH}:{mm}", null, null, null, null, null, null, 1],
        ],
      },
      {
        ...text,
        grid: { stroke: color("--line"), width: 1 },
        ticks: { show: false },
        size: (self, labels) =>
          Math.max(42, 18 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length))),
        ...(shown.metric.startsWith("average_") ? { incrs: CLOCK_STEPS } : {}),
        values: (self, splits) => splits.map((value) => formatMetric(shown.metric, value)),
      },
    ];
  }

  const stepLength = () => (shown.kind === "day" ? 86400 : 3600);

  // A few points make no line: they are bars, with half a step on each side.
  const isFew = (times) => times.length < FEW;

  function rangeX(self, min, max) {
    if (!isFew(shown.times)) return [min, max];
    return [shown.times[0] - stepLength() / 2, shown.times.at(-1) + stepLength() / 2];
  }

  function build() {
    plot?.destroy();
    plot = new uPlot({
      width: element.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 9, fill: color("--accent"), stroke: color("--card"), width: 2 },
      },
      scales: { x: { range: rangeX }, y: { range: (self, min, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: axes(),
      series: [
        {},
        {
          stroke: color("--accent"),
          width: 2,
          fill,
          paths: isFew(shown.times) ? uPlot.paths.bars({ size: [0.5, 120] }) : uPlot.paths.linear(),
          points: {
            show: !isFew(shown.times) && shown.times.length < DOTTED,
            size: 6,
            fill: color("--accent"),
          },
        },
      ],
      hooks: { setCursor: [showTip], drawClear: [drawMark] },
    }, [shown.times, shown.values], element);
    element.append(tip);
    plot.over.addEventListener("click", () => {
      if (plot.cursor.idx !== null) onChoose(shown.kind, shown.times[plot.cursor.idx] * 1000);
    });
  }

  function describe() {
    let best = -1;
    shown.values.forEach((value, index) => {
      if (value !== null && (best < 0 || value > shown.values[best])) best = index;
    });
    if (best < 0) return;
    const name = (index) => windowName(shown.kind, shown.times[index] * 1000);
    element.setAttribute("aria-label",
      `${shown.title}, ${name(0)} to ${name(shown.times.length - 1)}, UTC; highest ` +
      `${formatMetric(shown.metric, shown.values[best])} on ${name(best)}`);
  }

  new ResizeObserver(() => {
    if (plot !== null && element.clientWidth > 0)
      plot.setSize({ width: element.clientWidth, height: HEIGHT });
  }).observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (shown !== null) build();
  });

  return {
    // `times` in seconds, ascending and without gaps; `marked` in ms or null.
    show(next) {
      const same = plot !== null && shown.kind === next.kind && shown.metric === next.metric &&
        shown.times.length < DOTTED === next.times.length < DOTTED &&
        isFew(shown.times) === isFew(next.times);
      shown = next;
      if (same) plot.setData([shown.times, shown.values]);
      else build();
      describe();
    },
    clear() {
      plot?.destroy();
      plot = null;
      shown = null;
    },
  };
}
