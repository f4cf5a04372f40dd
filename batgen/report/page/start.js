"use strict";
// Draws every plot, again when the theme or the medium changes; opens what is folded before printing.
const KINDS = { overlay, sweep, physics, memorisation, calibration, indicator, training, downstream };
for (const root of document.querySelectorAll(".figure")) KINDS[root.dataset.kind](root);
document.documentElement.dataset.drawn = "yes";

const redraw = () => drawn.forEach((draw) => draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

let opened = null;
function printing(begins) {
  if (begins) document.documentElement.dataset.paper = "";
  else delete document.documentElement.dataset.paper;
  if (begins && opened === null) {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((part) => { part.open = true; });
  } else if (!begins && opened !== null) {
    opened.forEach((part) => { part.open = false; });
    opened = null;
  }
  redraw();
}
addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(false));
matchMedia("print").addEventListener("change", (event) => printing(event.matches));
