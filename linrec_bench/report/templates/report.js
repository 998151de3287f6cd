"use strict";
document.documentElement.classList.add("js");

// Tables: a heading sorts its column; what has no number stands last either way.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const table = heading.closest("table");
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = heading.classList.contains("num");
    const body = table.tBodies[0];
    const keyed = Array.from(body.rows, (row) => [row.cells[heading.cellIndex].dataset.s, row]);
    const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    keyed.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return up ? compare(a, b) : compare(b, a);
    });
    body.append(...keyed.map(([, row]) => row));
  });
}

// Tables: one that goes on to the right says so.
for (const pane of document.querySelectorAll(".scroll")) {
  const mark = () => pane.classList.toggle("more", pane.scrollLeft + pane.clientWidth < pane.scrollWidth - 2);
  pane.addEventListener("scroll", mark, { passive: true });
  new ResizeObserver(mark).observe(pane);
}

// Mechanisms: a button hides one in all figures of its run, or shows it again.
for (const button of document.querySelectorAll(".series button")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const each of button.closest(".figures").querySelectorAll(`.chart .${button.dataset.k}`)) {
      each.toggleAttribute("hidden", !shown);
    }
    for (const chart of button.closest(".figures").querySelectorAll(".chart svg")) {
      // The tab stop of a figure is never a hidden mark.
      const marks = Array.from(chart.querySelectorAll(".mark:not([hidden])"));
      if (!marks.some((mark) => mark.tabIndex === 0)) marks[0]?.setAttribute("tabindex", 0);
    }
  });
}

// Charts: the mark under the pointer or the focus answers in the tip; one tab stop a chart, arrows inside.
const tip = document.getElementById("tip");
let answered = null;

function place(mark) {
  const at = mark.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, document.documentElement.clientWidth - width - 8));
  const above = at.top - height - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : at.bottom + 10}px`;
}

function quiet(chart) {
  tip.hidden = true;
  answered = null;
  delete chart.dataset.active;
  for (const each of chart.querySelectorAll(".on")) each.classList.remove("on");
}

function answer(chart, mark) {
  quiet(chart);
  chart.dataset.active = "";
  for (const each of chart.getElementsByClassName(mark.dataset.key)) each.classList.add("on");
  const ring = chart.querySelector(".ring");
  ring.setAttribute("cx", mark.getAttribute("cx"));
  ring.setAttribute("cy", mark.getAttribute("cy"));
  tip.textContent = mark.getAttribute("aria-label");
  tip.hidden = false;
  answered = mark;
  place(mark);
}

function nearest(marks, x, y, reach) {
  let best = null;
  for (const mark of marks) {
    const far = Math.hypot(mark.getAttribute("cx") - x, mark.getAttribute("cy") - y);
    if (far < reach) [best, reach] = [mark, far];
  }
  return best;
}

function neighbour(marks, mark, key) {
  const at = marks.indexOf(mark);
  const x = +mark.getAttribute("cx");
  const y = +mark.getAttribute("cy");
  const beside = marks.filter((other) => Math.abs(other.getAttribute("cx") - x) < 1);
  const higher = beside.filter((other) => other.getAttribute("cy") < y);
  const lower = beside.filter((other) => other.getAttribute("cy") > y);
  switch (key) {
    case "ArrowRight": return marks[at + 1];
    case "ArrowLeft": return marks[at - 1];
    case "Home": return marks[0];
    case "End": return marks[marks.length - 1];
    case "ArrowUp": return nearest(higher, x, y, Infinity);
    case "ArrowDown": return nearest(lower, x, y, Infinity);
  }
}

for (const chart of document.querySelectorAll(".chart svg")) {
  const all = Array.from(chart.querySelectorAll(".mark"));
  const shown = () => all.filter((mark) => !mark.hasAttribute("hidden"));
  for (const mark of all) {
    // The title becomes the accessible name, so that the browser's own tip does not cover ours.
    const title = mark.querySelector("title");
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
    mark.dataset.key = Array.from(mark.classList).find((name) => /^k\d+$/.test(name));
    mark.addEventListener("focus", () => {
      for (const other of all) other.setAttribute("tabindex", other === mark ? 0 : -1);
      answer(chart, mark);
    });
    mark.addEventListener("blur", () => quiet(chart));
  }
  const under = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    return nearest(shown(), at.x, at.y, 14);
  };
  const resume = () => {
    const focused = all.find((mark) => mark === document.activeElement);
    if (focused) answer(chart, focused);
    else quiet(chart);
  };
  chart.addEventListener("pointermove", (event) => {
    const mark = under(event);
    if (mark) answer(chart, mark);
    else resume();
  });
  chart.addEventListener("pointerleave", resume);
  chart.addEventListener("click", (event) => under(event)?.focus({ preventScroll: true }));
  chart.addEventListener("keydown", (event) => {
    if (event.key === "Escape") quiet(chart);
    const next = neighbour(shown(), document.activeElement, event.key);
    if (next === undefined && !/^(Arrow|Home|End)/.test(event.key)) return;
    event.preventDefault();
    next?.focus();
  });
}
// A focus may scroll the page: the tip follows its mark.
addEventListener("scroll", () => { if (answered) place(answered); }, { passive: true, capture: true });
