"use strict";
// What all plots share: the data, colours of the theme, packed curves, controls, drawing again when the theme changes.
const DATA = JSON.parse(document.getElementById("data").textContent);
const DASHES = ["dash", "dot", "dashdot", "longdash"];
const drawn = new Map();

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const colour = (place) => css(`c${place % 8}`);
const faded = (hex, share) => hex + Math.round(255 * share).toString(16).padStart(2, "0");
const title = (label, unit) => (unit ? `${label} [${unit}]` : label);

function make(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") node.addEventListener(value[0], value[1]);
    else if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// Plotly reads some HTML in texts; names come from files, so their angle brackets are shown and not read.
const shown = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// Curves (..., P) written by packing.py; the list of P numbers at some place, null where not known.
function unpack(box) {
  if (box.codes === undefined) {
    const bytes = Uint8Array.from(atob(box.data), (c) => c.charCodeAt(0));
    box.codes = new DataView(bytes.buffer);
  }
  return box;
}
function curve(box, ...place) {
  unpack(box);
  const points = box.shape[box.shape.length - 1];
  const row = place.reduce((at, k, axis) => at * box.shape[axis] + k, 0);
  const [low, step] = [box.ends[2 * row], box.ends[2 * row + 1]];
  return Array.from({ length: points }, (_, k) => {
    const code = box.codes.getUint16(2 * (row * points + k), true);
    return code === 65535 ? null : low + step * code;
  });
}

function layout(x, y, more) {
  const axis = (text) => ({
    title: { text: shown(text), standoff: 6 }, gridcolor: css("grid"), linecolor: css("edge"), zeroline: false, automargin: true,
    tickcolor: css("edge"), ticks: "outside", ticklen: 3,
  });
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 12, color: css("ink") }, margin: { l: 54, r: 12, t: 12, b: 44 },
    hoverlabel: { bgcolor: css("panel"), bordercolor: css("edge"), font: { color: css("ink") } },
    xaxis: axis(x), yaxis: axis(y), legend: { orientation: "h", y: -0.25, x: 0 }, ...more,
  };
}
const heading = (text) => ({ text: shown(text), x: 0.01, xanchor: "left", font: { size: 13 }, y: 0.98, yanchor: "top" });

function line(x, y, stroke, more) {
  const { width = 2, dash = "solid", ...rest } = more || {};
  return { x, y, mode: "lines", line: { color: stroke, width, dash }, connectgaps: false, ...rest };
}
// A band as one closed outline: pieces between points that are not known are drawn apart.
function band(x, low, high, stroke, more) {
  const [xs, ys] = [[], []];
  let from = -1;
  for (let k = 0; k <= x.length; k++) {
    const known = k < x.length && low[k] !== null && high[k] !== null;
    if (known && from < 0) from = k;
    if (!known && from >= 0) {
      const part = Array.from({ length: k - from }, (_, j) => from + j);
      xs.push(...part.map((j) => x[j]), ...part.reverse().map((j) => x[j]), null);
      ys.push(...part.reverse().map((j) => low[j]), ...part.reverse().map((j) => high[j]), null);
      from = -1;
    }
  }
  return {
    x: xs, y: ys, mode: "lines", fill: "toself", fillcolor: faded(stroke, 0.2), line: { width: 0, color: stroke },
    hoverinfo: "skip", showlegend: false, ...more,
  };
}

// On paper plots are drawn in the light colours and as wide as a page; the browser does not tell them its width in time.
const onPaper = () => "paper" in document.documentElement.dataset;

function show(node, traces, settings, height, label) {
  if (settings.showlegend && node.clientWidth < 500) height += 16 * traces.length;
  node.style.height = `${height}px`;
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset", scrollZoom: false };
  const several = node.parentNode.children.length > 1 && node.parentNode.className === "panels";
  const width = onPaper() ? { width: several ? 325 : 660, autosize: false } : { autosize: true };
  const named = traces.map((t) => ({ ...t, name: t.name === undefined ? "" : shown(t.name) }));
  Plotly.react(node, named, { ...settings, height, ...width }, config);
}

// A choice with a label; calls `changed` with the number of the option.
let choices = 0;
function choice(text, options, at, changed) {
  const id = `choice-${choices++}`;
  const box = make("select", { id, on: ["change", () => changed(box.selectedIndex)] });
  options.forEach((name, k) => box.append(make("option", { value: k, selected: k === at }, name)));
  return { box, node: make("label", { class: "choice", for: id }, make("span", {}, text), box) };
}
// Buttons that turn methods on and off: [{name, colour, dash, on}], drawn again on a click.
function switches(entries, changed) {
  const buttons = entries.map((entry) => {
    const sign = make("span", { class: `swatch ${entry.dash ? "dashed" : ""}` });
    sign.style.setProperty("--swatch", `var(--${entry.variable})`);
    const button = make("button", { type: "button", "aria-pressed": String(entry.on) }, sign, entry.name);
    button.addEventListener("click", () => {
      entry.on = !entry.on;
      button.setAttribute("aria-pressed", String(entry.on));
      changed();
    });
    return button;
  });
  return make("div", { class: "switches", role: "group", "aria-label": "what is drawn" }, ...buttons);
}
// Names of sets for a choice, only where there are several.
function chooseSet(sets, changed) {
  return sets.length > 1 ? [choice("test", sets.map((s) => s.label), 0, changed).node] : [];
}
const bar = (...nodes) => make("div", { class: "controls" }, ...nodes);
const honestFirst = (sets) => [...sets].sort((a, b) => (a.about.protocol === "paper") - (b.about.protocol === "paper"));
