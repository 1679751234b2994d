// What scripts add to the page: tips, sorting, filtering, and entries that open when a link leads to them.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tips: the text of a mark's <title>, shown beside the mark for pointer and keyboard.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  for (const mark of all(".chart a, .chart circle.mark")) {
    const title = mark.querySelector(":scope > title");
    if (!title) continue;
    mark.dataset.tip = title.textContent;
    if (mark.localName === "circle") mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", title.textContent.replaceAll("\n", ", "));
    title.remove();
  }
  const show = (event) => {
    const mark = event.target.closest?.("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    const box = mark.getBoundingClientRect();
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${scrollX + Math.max(8, Math.min(box.left + box.width / 2 + 10, right))}px`;
    tip.style.top = `${scrollY + (above < 8 ? box.bottom + 8 : above)}px`;
  };
  addEventListener("pointerover", show);
  addEventListener("focusin", show);
  addEventListener("focusout", () => { tip.hidden = true; });
  addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // Sorting: a click on a heading sorts by it, a second click reverses the order; what was not measured stays last.
  const table = document.getElementById("table");
  const rows = table ? all("tbody tr", table) : [];
  const value = (row, column) => {
    const told = row.cells[column].dataset.value ?? "";
    return told === "" ? null : Number.isNaN(Number(told)) ? told.toLowerCase() : Number(told);
  };
  const compare = (a, b) =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  const sort = (heading, column) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : down ? compare(b, a) : compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };
  if (table) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(heading, column));
      heading.append(button);
    });
  }

  // A table that is cut at the side says so above itself.
  const hints = all(".scroll").map((part) => {
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "more columns to the right →";
    hint.hidden = true;
    part.before(hint);
    return [part, hint];
  });
  const cut = () => {
    for (const [part, hint] of hints) hint.hidden = part.scrollWidth <= part.clientWidth + 1;
  };
  addEventListener("resize", cut);
  document.addEventListener("toggle", cut, true);
  cut();

  // Filtering: what the table hides, the plots and the entries hide too, and the Pareto fronts follow.
  const front = (chart) => {
    const path = chart.querySelector(".front");
    const [start, end] = path.dataset.ends.split(" ");
    const points = all("a[data-x]:not(.off)", chart).map((mark) => [Number(mark.dataset.x), Number(mark.dataset.y)]);
    points.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let drawn = "", best = Infinity;
    for (const [x, y] of points) {
      if (y >= best) continue;
      drawn += drawn ? `H${x}V${y}` : `M${x} ${start}V${y}`;
      best = y;
    }
    path.setAttribute("d", drawn && `${drawn}H${end}`);
  };
  const box = document.getElementById("filters");
  const form = box && box.querySelector("form");
  const filter = () => {
    const wanted = [...new FormData(form)].filter(([, text]) => text !== "");
    const gone = new Set();
    for (const row of rows) {
      const kept = wanted.every(([name, text]) =>
        name === "search"
          ? row.textContent.toLowerCase().includes(text.toLowerCase().trim())
          : row.dataset[name] === text);
      if (!kept) gone.add(row.dataset.row);
    }
    for (const part of all("[data-row]")) part.classList.toggle("off", gone.has(part.dataset.row));
    for (const chart of all(".chart:has(.front)")) front(chart);
    box.querySelector("output").textContent = gone.size ? `${rows.length - gone.size} of ${rows.length} shown` : `${rows.length} shown`;
  };
  if (form && table) {
    box.hidden = false;
    box.open = innerWidth > 640;
    form.addEventListener("input", filter);
    form.addEventListener("reset", () => setTimeout(filter));
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  // Entries: a link to one opens it; all are open in print.
  const open = () => {
    const entry = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = entry && entry.closest("details");
    if (!folded) return;
    folded.open = true;
    folded.scrollIntoView();
    folded.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  open();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const entry of closed) entry.open = true;
  });
  addEventListener("afterprint", () => { for (const entry of closed) entry.open = false; });

  // A button that copies the commands, if the browser allows it.
  if (navigator.clipboard) {
    for (const code of all("pre")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(code.textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Select and copy by hand";
        }
      });
      code.before(button);
    }
  }
})();
