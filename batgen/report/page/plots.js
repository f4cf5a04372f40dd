"use strict";
// The plots of scores: physics, memorisation, calibration, indicators, training, downstream.

// A plot with choices above it: `options` are lists of names, `paint` draws for the chosen numbers.
function chosen(root, labels, options, paint) {
  const at = options.map(() => 0), node = make("div", { class: "plot" }), words = make("p", { class: "quiet" });
  const draw = () => { words.textContent = paint(node, at) || ""; };
  const nodes = options.map((names, k) => choice(labels[k], names, 0, (to) => { at[k] = to; draw(); }).node);
  root.append(bar(...nodes.filter((_, k) => options[k].length > 1)), node, words);
  drawn.set(root, draw);
  draw();
}
const legend = { showlegend: true };

function physics(root) {
  const plots = [...DATA.physics].sort((a, b) => a.label.includes("paper protocol") - b.label.includes("paper protocol"));
  chosen(root, ["test"], [plots.map((p) => p.label)], (node, [k]) => {
    const plot = plots[k], models = plot.methods.filter((m) => m.role === "model");
    const found = [{
      x: plot.measured, y: plot.checks, name: "measured", mode: "markers",
      marker: { symbol: "line-ns", size: 15, line: { width: 4, color: css("measured") }, color: css("measured") },
    }];
    plot.methods.forEach((m, j) => {
      const own = m.role === "model", stroke = colour(j);
      const ends = { type: "data", symmetric: false, thickness: 1, width: 3, color: stroke };
      found.push({
        x: m.rate, y: plot.checks, name: m.name, mode: "markers", visible: own ? true : "legendonly",
        marker: { symbol: own ? "circle" : "diamond-open", size: 9, color: stroke },
        error_x: { ...ends, array: m.rate.map((v, i) => (m.high[i] ?? v) - v), arrayminus: m.rate.map((v, i) => v - (m.low[i] ?? v)) },
      });
    });
    const settings = layout("curves that pass [%]", "", { ...legend, margin: { l: 10, r: 12, t: 10, b: 44 } });
    settings.xaxis.range = [-3, 103];
    settings.yaxis.autorange = "reversed";
    settings.legend = { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 };
    show(node, found, settings, 130 + 24 * plot.checks.length, `pass rates of ${plot.checks.length} checks, ${plot.label}`);
    return `Grey bars: held-out measured curves. Dots: ${models.map((m) => m.name).join(", ")} with 95 % intervals. ` +
      "Click a baseline in the legend to see it; one that repeats measured curves passes by construction.";
  });
}

function memorisation(root) {
  const sets = honestFirst(DATA.sets).filter((s) => s.memorisation.length);
  chosen(root, ["test"], [sets.map((s) => s.label)], (node, [k]) => {
    const found = [], rank = { floor: 0, model: 1, baseline: 2 };
    const entries = [...sets[k].memorisation].sort((a, b) => rank[a.role] - rank[b.role]);
    const share = (list) => list.map((_, i) => (100 * i) / (list.length - 1));
    entries.forEach((e, j) => {
      const floor = e.role === "floor", stroke = floor ? css("measured") : colour(j - 1);
      const visible = e.role === "baseline" ? "legendonly" : true;
      const name = floor ? "held-out measured curves" : e.name;
      found.push(line(e.train, share(e.train), stroke, { width: floor ? 4 : 2, name, visible, dash: e.role === "baseline" ? "dash" : "solid" }));
      if (e.role === "model" && e.held.length) {
        found.push(line(e.held, share(e.held), stroke, { width: 1.4, dash: "dot", name: `${e.name}, to held-out curves` }));
      }
    });
    show(node, found, layout("distance to the nearest training curve", "share of curves [%]", legend), 400,
      "cumulative share of curves over their distance to the nearest training curve");
    return "Cumulative; distances in scales of the signals. A generator that copies has a curve far left of the grey one: its curves are nearer to training curves than " +
      "unseen measured curves are. Dotted: distance to the nearest held-out curve instead. Click the legend to add baselines.";
  });
}

function calibration(root) {
  const sets = honestFirst(DATA.sets).filter((s) => s.calibration.length), all = sets.flatMap((s) => s.calibration);
  const names = (key) => [...new Set(all.map((e) => e[key]))];
  const models = names("model"), signals = names("signal"), several = models.length > 1;
  // Of one model all signals; of several models one signal at a time.
  chosen(root, ["test", "signal"], [sets.map((s) => s.label), several ? signals : [""]], (node, [k, which]) => {
    const entries = sets[k].calibration.filter((e) => !several || e.signal === signals[which]);
    const found = [line([0, 1], [0, 1], css("measured"), { width: 4, name: "calibrated" })];
    for (const e of entries) {
      const stroke = colour(several ? models.indexOf(e.model) : signals.indexOf(e.signal));
      found.push(line(e.expected, e.observed, stroke, { name: several ? e.model : e.signal }));
    }
    const settings = layout("expected share of measured values below", "observed share", legend);
    settings.xaxis.range = settings.yaxis.range = [0, 1];
    show(node, found, settings, 420, "observed over expected share of measured values below a quantile of the draws");
    return "On the diagonal the draws are spread out as measured curves are. An S that is steep in the middle says the draws are too " +
      "wide, one that is flat in the middle that they are too narrow; a line above or below says they are too high or too low.";
  });
}

function indicator(root) {
  const sets = honestFirst(DATA.sets).filter((s) => s.indicators.length);
  const labels = [...new Set(sets.flatMap((s) => s.indicators.map((i) => i.label)))];
  chosen(root, ["test", "indicator"], [sets.map((s) => s.label), labels], (node, [k, which]) => {
    const entries = sets[k].indicators.filter((i) => i.label === labels[which]);
    const all = entries.flatMap((e) => e.measured), ends = [Math.min(...all), Math.max(...all)];
    const found = all.length ? [line(ends, ends, css("measured"), { width: 3, name: "equal" })] : [];
    entries.forEach((e, j) => {
      const bars = e.low ? { type: "data", symmetric: false, thickness: 0.7, width: 0, color: faded(colour(j), 0.5),
        array: e.generated.map((v, i) => Math.max(0, (e.high[i] ?? v) - v)), arrayminus: e.generated.map((v, i) => Math.max(0, v - (e.low[i] ?? v))) } : {};
      found.push({ x: e.measured, y: e.generated, mode: "markers", name: e.model, marker: { color: colour(j), size: 5, opacity: 0.8 }, error_y: bars });
    });
    const unit = entries.length ? entries[0].unit : "";
    show(node, found, layout(title("measured", unit), title("generated", unit), entries.length > 1 ? legend : {}), 420,
      `${labels[which]} of generated over measured curves`);
    return entries.length ? "A dot a curve: mean of its draws, with their 10 to 90 % range. On the line both agree." : "Not found in this test.";
  });
}

function training(root) {
  const entries = DATA.training, several = new Set(entries.map((e) => e.model)).size > 1;
  chosen(root, ["quantity"], [entries.map((e) => (several ? `${e.model}: ${e.quantity}` : e.quantity))], (node, [k]) => {
    const e = entries[k], protocols = [...new Set(e.lines.map((l) => l.protocol))];
    const found = e.lines.map((l) => line(l.x, l.y, colour(protocols.indexOf(l.protocol)), { width: 1.3, name: l.name }));
    const values = e.lines.flatMap((l) => l.y).filter((v) => v !== null);
    const settings = layout(e.step, e.quantity, e.lines.length <= 12 ? legend : {});
    if (Math.min(...values) > 0 && Math.max(...values) > 30 * Math.min(...values)) settings.yaxis.type = "log";
    show(node, found, settings, 380, `${e.quantity} over the ${e.step} of training`);
    return e.lines.length > 1 ? `A line a protocol, seed and fold; colours tell protocols: ${protocols.join(", ")}.` : "";
  });
}

function downstream(root) {
  const e = DATA.downstream[Number(root.dataset.place)], node = make("div", { class: "plot" });
  const looks = { real: ["ink", "circle", "measured"], "real+synthetic": ["c0", "square", "measured + synthetic"],
    "real+jittered": ["c2", "diamond", "measured + jittered copies"], synthetic: ["c1", "triangle-up", "synthetic"], constant: ["measured", "circle", "constant"] };
  root.append(node);
  const draw = () => {
    const found = e.lines.map((l, k) => {
      const [name, symbol, words] = looks[l.source] || [`c${k}`, "circle", l.source], stroke = css(name), flat = l.source === "constant";
      return {
        x: l.share.map((s) => s * 1.03 ** (k - 1)), y: l.value, name: words, mode: flat ? "lines" : "lines+markers",
        line: { color: stroke, dash: flat ? "dash" : "solid" }, marker: { symbol, size: 8, color: stroke },
        error_y: { type: "data", symmetric: false, color: stroke, thickness: 1.2, visible: !flat,
          array: l.value.map((v, i) => (l.high[i] ?? v) - v), arrayminus: l.value.map((v, i) => v - (l.low[i] ?? v)) },
      };
    });
    const settings = layout("share of the training cells (their number)", e.label, legend);
    Object.assign(settings.xaxis, { type: "log", tickvals: e.shares, ticktext: e.shares.map((s, i) => `${s} % (${e.cells[i]})`) });
    settings.yaxis.rangemode = "tozero";
    show(node, found, settings, 360, `${e.title}: error over the share of training cells`);
  };
  drawn.set(root, draw);
  draw();
}
