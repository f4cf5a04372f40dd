"use strict";
// Curves: measured and generated at one condition, and generated over a swept condition.

// Methods of a set with their looks: models in full lines, baselines dashed and off at first.
function methodsOf(set) {
  const models = set.models.map((m, k) => ({ name: m.name, box: m, variable: `c${k % 8}`, on: true, model: true }));
  const baselines = set.baselines.map((b, k) => ({
    name: b.name, box: b, variable: `c${(models.length + k) % 8}`, dash: DASHES[k % 4], on: b.name === set.rival,
  }));
  return [...models, ...baselines];
}

function overlay(root) {
  const sets = honestFirst(DATA.sets);
  let set, row, methods, signal;
  const controls = make("div"), panels = make("div", { class: "panels" });
  root.append(controls, panels);

  function begin(place) {
    [set, row] = [sets[place], 0];
    methods = [{ name: "measured", variable: "measured", on: true, measured: true }, ...methodsOf(set)];
    const several = set.signals.length > 1;
    signal = several && window.innerWidth > 700 ? -1 : 0;
    const rows = choice(`curve (of ${set.rows.length})`, set.rows, 0, (k) => { row = k; draw(); });
    const step = (by) => () => {
      row = (row + by + set.rows.length) % set.rows.length;
      rows.box.selectedIndex = row;
      draw();
    };
    const before = make("button", { type: "button", "aria-label": "previous curve", on: ["click", step(-1)] }, "‹");
    const after = make("button", { type: "button", "aria-label": "next curve", on: ["click", step(1)] }, "›");
    const names = several ? ["all signals", ...set.signals.map((s) => s.label)] : [];
    const signals = choice("signal", names, signal + 1, (k) => { signal = k - 1; draw(); });
    const sets_ = chooseSet(sets, begin);
    if (sets_.length) sets_[0].querySelector("select").selectedIndex = place;
    controls.replaceChildren(bar(...sets_, rows.node, before, after, ...(several ? [signals.node] : [])), switches(methods, draw));
    draw();
  }

  function traces(at) {
    const x = set.axis, found = [];
    for (const method of methods.filter((m) => m.on)) {
      const stroke = css(method.variable), box = method.box;
      if (method.measured) {
        found.push(line(x, curve(set.measured, row, at), stroke, { width: 4, name: "measured" }));
        continue;
      }
      if (box.low) found.push(band(x, curve(box.low, row, at), curve(box.high, row, at), stroke));
      if (box.draws && set.models.length === 1) {
        for (let k = 0; k < box.draws.shape[1]; k++) {
          found.push(line(x, curve(box.draws, row, k, at), faded(stroke, 0.4), { width: 0.8, hoverinfo: "skip" }));
        }
      }
      if (box.loose) {
        for (let k = 0; k < box.loose.shape[0]; k++) {
          found.push(line(x, curve(box.loose, k, at), faded(stroke, 0.5), { width: 0.9, name: box.name }));
        }
      }
      if (box.mean) found.push(line(x, curve(box.mean, row, at), stroke, { name: method.name, dash: method.dash || "solid" }));
    }
    return found;
  }

  function draw() {
    const places = signal < 0 ? set.signals.map((_, k) => k) : [signal];
    while (panels.children.length > places.length) { Plotly.purge(panels.lastChild); panels.lastChild.remove(); }
    while (panels.children.length < places.length) panels.append(make("div", { class: "plot" }));
    panels.classList.toggle("single", places.length === 1);
    places.forEach((at, k) => {
      const { label, unit } = set.signals[at];
      const settings = layout(set.axis_label, title(label, unit), { title: heading(label), margin: { l: 54, r: 12, t: 30, b: 44 }, uirevision: `${set.label} ${at}` });
      show(panels.children[k], traces(at), settings, 280, `${label} of ${set.rows[row]}: measured and generated`);
    });
  }
  drawn.set(root, draw);
  begin(0);
  root.append(make("p", { class: "quiet" }, "Full lines: mean of the draws, with their 10 to 90 % range and some draws where one model " +
    "is shown. Broad grey line: measured. Dashed: baselines, shown when their button is pressed."));
}

// Perceptually even colours for values with an order (viridis, lighter at the dark end where the page is dark).
function ordered(share) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches && !onPaper();
  const stops = dark ? ["#7b6fd0", "#4f93c9", "#35b79b", "#8bd05a", "#fde725"] : ["#440154", "#3b528b", "#21918c", "#4db35e", "#c9a900"];
  const at = Math.min(Math.max(share, 0), 1) * 4, k = Math.min(Math.floor(at), 3), part = at - k;
  const mix = (j) => Math.round(parseInt(stops[k].slice(j, j + 2), 16) * (1 - part) + parseInt(stops[k + 1].slice(j, j + 2), 16) * part);
  return `#${[1, 3, 5].map((j) => mix(j).toString(16).padStart(2, "0")).join("")}`;
}

function sweep(root) {
  const sets = honestFirst(DATA.sets).filter((s) => s.sweeps.length);
  let set, one, signal, at;
  const controls = make("div"), node = make("div", { class: "plot" }), words = make("p", { class: "quiet" });
  const slider = make("input", { type: "range", min: 0, step: 1, "aria-label": "value of the condition" });
  const told = make("output");
  slider.addEventListener("input", () => { at = Number(slider.value); draw(); });
  root.append(controls, make("div", { class: "controls" }, make("label", { class: "choice wide" }, told, slider)), node, words);

  function begin(place) {
    set = sets[place];
    const several = new Set(set.sweeps.map((s) => s.model)).size > 1;
    const names = set.sweeps.map((s) => (several ? `${s.label}, ${s.model}` : s.label));
    const signals = choice("signal", set.signals.map((s) => s.label), 0, (k) => { signal = k; draw(); });
    const sets_ = chooseSet(sets, begin);
    if (sets_.length) sets_[0].querySelector("select").selectedIndex = place;
    controls.replaceChildren(bar(...sets_, choice("condition", names, 0, condition).node, ...(set.signals.length > 1 ? [signals.node] : [])));
    signal = 0;
    condition(0);
  }
  function condition(k) {
    one = set.sweeps[k];
    at = Math.floor(one.values.length / 2);
    slider.max = one.values.length - 1;
    slider.value = at;
    draw();
  }
  const outside = (value) => (one.train_low !== null && value < one.train_low) || (one.train_high !== null && value > one.train_high);
  function draw() {
    const count = one.values.length, found = [];
    const tint = one.values.map((_, k) => ordered(count > 1 ? k / (count - 1) : 0));
    if (one.low) found.push(band(one.axis, curve(one.low, at, signal), curve(one.high, at, signal), tint[at]));
    one.values.forEach((value, k) => {
      const style = { width: k === at ? 4 : 1.6, dash: outside(value) ? "dot" : "solid", name: `${one.label} ${value}` };
      found.push({ ...line(one.axis, curve(one.mean, k, signal), tint[k], style), showlegend: true });
    });
    const { label, unit } = set.signals[signal];
    const settings = layout(set.axis_label, title(label, unit), { showlegend: true });
    show(node, found, settings, 400, `${label} generated for ${one.values.length} values of ${one.label}`);
    told.textContent = `${title(one.label, one.unit)}: ${one.values[at]}${outside(one.values[at]) ? ", outside what was trained on" : ""}`;
    const range = one.train_low === null ? "" : ` Training conditions reach from ${one.train_low} to ${one.train_high}; dotted lines lie outside.`;
    words.textContent = `${one.model}, mean of the draws at each value.${range}${one.fixed ? ` Held fixed: ${one.fixed}.` : ""}`;
  }
  drawn.set(root, draw);
  begin(0);
}
