"use strict";
// Draws the board from the JSON in the page. Text enters the document as text only, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const FOUR = ["drums", "bass", "other", "vocals"];
const POOLED = ["average", "all_pooled"];
const named = data.rows.flatMap((row) => Object.values(row.scores ?? {}).flatMap((ways) => Object.values(ways).flatMap(Object.keys)));
const SOURCES = [...FOUR, ...[...new Set(named)].filter((name) => !FOUR.includes(name) && !POOLED.includes(name)).sort()];
// The average comes first: it is what rows are ranked by, and the column that a phone shows.
const COLUMNS = ["average", ...SOURCES, "all_pooled"];
const COLUMN_NAMES = { average: "average", all_pooled: "all pooled", cost: "compute" };
const state = { metric: null, aggregate: null, corpus: "", published: true, sort: "average", descending: true, open: new Set() };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const decibels = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−"));
const entry = (row, column) => row.scores?.[state.metric]?.[state.aggregate]?.[column] ?? null;
const inView = (row) => Boolean(row.scores?.[state.metric]?.[state.aggregate]);
const aggregates = (metric) => [...new Set(data.rows.flatMap((row) => Object.keys(row.scores?.[metric] ?? {})))];
const trackColumn = () => (state.aggregate === "mean_of_means" ? "csdr_mean" : state.metric);
const perTrack = (row, source) =>
  (row.tracks ?? []).map((track) => ({ name: track.name, value: track.sources[source]?.[trackColumn()] ?? null })).filter((each) => each.value !== null);

function setUp() {
  document.getElementById("title").textContent = data.title;
  const measured = data.rows.filter((row) => row.kind === "measured").length;
  document.getElementById("summary").textContent =
    `${measured} measured and ${data.rows.length - measured} published rows. Written ${data.written}.`;
  const metrics = data.metrics.filter((metric) => aggregates(metric.key).length);
  for (const metric of metrics) {
    document.getElementById("metrics").append(element("button", { type: "button", "data-metric": metric.key, onclick: () => choose(metric.key) }, metric.name));
  }
  document.getElementById("aggregate").addEventListener("change", (event) => { state.aggregate = event.target.value; draw(); });
  document.getElementById("corpus").addEventListener("change", (event) => { state.corpus = event.target.value; draw(); });
  document.getElementById("published").addEventListener("change", (event) => { state.published = event.target.checked; draw(); });
  const footer = document.getElementById("footer");
  footer.append(element("p", {}, "Intervals are 95% percentile intervals of a bootstrap over tracks. Rows on different corpora are never ranked against each other, and no column holds two metrics. A source that is silent in a song has no score there: it is excluded, counted and shown."));
  for (const [citation, why] of data.unscored_papers) footer.append(element("p", {}, `${citation}. ${why}`));
  const has = (metric, kind) => data.rows.some((row) => row.kind === kind && row.scores[metric.key]?.[metric.headline]);
  const first = metrics.find((metric) => has(metric, "measured") && has(metric, "published"))
    ?? metrics.find((metric) => has(metric, "measured")) ?? metrics.find((metric) => has(metric, "published")) ?? metrics[0];
  if (first) choose(first.key);
  else document.getElementById("main").replaceChildren(element("p", {}, "No rows yet: remix-miner leaderboard add RESULT.json"));
}

function choose(metric) {
  state.metric = metric;
  const known = aggregates(metric);
  const definition = data.metrics.find((each) => each.key === metric);
  state.aggregate = known.includes(definition.headline) ? definition.headline : known[0];
  const select = document.getElementById("aggregate");
  select.replaceChildren(...known.map((name) => element("option", { value: name, selected: name === state.aggregate }, name.replaceAll("_", " "))));
  draw();
}

function draw() {
  for (const button of document.querySelectorAll("#metrics button")) button.setAttribute("aria-pressed", String(button.dataset.metric === state.metric));
  const definition = data.metrics.find((each) => each.key === state.metric);
  document.getElementById("definition").textContent = `${definition.definition} ${data.aggregates[state.aggregate] ?? ""}`;
  const rows = data.rows.filter((row) => inView(row) && (state.published || row.kind === "measured"));
  const corpora = [...new Map(rows.map((row) => [row.corpus_key, row.corpus])).entries()];
  if (!corpora.some(([key]) => key === state.corpus)) state.corpus = "";
  document.getElementById("corpus").replaceChildren(
    element("option", { value: "" }, "all, one table each"),
    ...corpora.map(([key, name]) => element("option", { value: key, selected: key === state.corpus }, name)),
  );
  const shown = corpora.filter(([key]) => !state.corpus || key === state.corpus);
  document.getElementById("main").replaceChildren(
    ...shown.map(([key, name]) => corpusCard(name, rows.filter((row) => row.corpus_key === key))),
  );
}

function corpusCard(name, rows) {
  const measured = rows.filter((row) => row.kind === "measured");
  const described = measured[0]?.corpus_text ?? "";
  const card = element("section", { class: "card" }, element("header", {}, element("h2", {}, name), element("span", { class: "quiet" }, described)));
  card.append(scrolling(`Scores on ${name}`, boardTable(rows)));
  const plotted = measured.filter((row) => (row.tracks ?? []).length > 1);
  if (plotted.length) {
    const order = ranked(plotted, sortOf(COLUMNS.filter((column) => plotted.some((row) => entry(row, column)?.value !== undefined))));
    card.append(element("details", { class: "plots", open: "" }, element("summary", {}, "Over tracks: median, quartiles, every track a dot"), multiples(order)));
  }
  return card;
}

// A table in a region of its own that scrolls sideways, by keyboard too.
const scrolling = (label, table) => element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, table);

const value = (row, column) => (column === "cost" ? row.cost?.compute_seconds_per_audio_second ?? null : entry(row, column)?.value ?? null);

// The column that a table is sorted by: the one chosen, where this table has it.
const sortOf = (columns) => (columns.includes(state.sort) || state.sort === "system" ? state.sort : columns.includes("average") ? "average" : columns[0]);

function ranked(rows, sort) {
  return [...rows].sort((a, b) => {
    if (sort === "system") return (state.descending ? -1 : 1) * a.system.localeCompare(b.system);
    const [x, y] = [value(a, sort), value(b, sort)];
    if (x === null || y === null) return (x === null) - (y === null);
    return state.descending ? y - x : x - y;
  });
}

function boardTable(rows) {
  const columns = COLUMNS.filter((column) => rows.some((row) => entry(row, column)?.value !== undefined));
  const withCost = rows.some((row) => row.cost);
  if (withCost) columns.push("cost");
  const sort = sortOf(columns);
  const sorted = ranked(rows, sort);
  const best = Object.fromEntries(columns.map((column) => {
    const values = rows.map((row) => value(row, column)).filter((each) => each !== null);
    return [column, values.length > 1 && column !== "cost" ? Math.max(...values) : null];
  }));
  const heading = (column, text) => element("th", { scope: "col", "aria-sort": sort === column ? (state.descending ? "descending" : "ascending") : null },
    element("button", { type: "button", onclick: () => sortBy(column, sort) }, text));
  const body = element("tbody");
  for (const row of sorted) {
    const cells = columns.map((column) => {
      const cell = element("td", { class: [column === sort ? "sorted" : "", value(row, column) !== null && value(row, column) === best[column] ? "best" : ""].join(" ").trim() || null });
      if (column === "cost") {
        cell.append(element("span", { class: "value" }, row.cost ? `${row.cost.compute_seconds_per_audio_second.toFixed(2)} s/s` : "–"));
      } else {
        const found = entry(row, column);
        cell.append(element("span", { class: "value" }, decibels(found?.value)));
        if (found?.low !== undefined && found?.low !== null) cell.append(element("span", { class: "range" }, `${decibels(found.low, 1)} to ${decibels(found.high, 1)}`));
        else if (found?.computed) cell.append(element("span", { class: "range", title: "The paper gives the four sources and no average; this is their mean." }, "computed"));
        else if (found?.deviation) cell.append(element("span", { class: "range" }, `± ${found.deviation}`));
      }
      return cell;
    });
    const open = state.open.has(row.id);
    const button = element("button", { type: "button", class: "name", "aria-expanded": String(open), onclick: () => toggle(row.id) }, row.system);
    const under = element("span", { class: "under" });
    if (row.kind === "published") under.append(element("span", { class: "tag" }, "published"), `${row.paper_short}, ${row.table}; ${row.training}`);
    else under.append(row.line);
    body.append(element("tr", { class: "row" }, element("td", {}, button, under), ...cells));
    if (open) body.append(element("tr", { class: "details" }, element("td", { colspan: columns.length + 1 }, panel(row))));
  }
  const names = columns.map((column) => heading(column, COLUMN_NAMES[column] ?? column));
  return element("table", { class: "board" }, element("thead", {}, element("tr", {}, heading("system", "system"), ...names)), body);
}

function sortBy(column, shown) {
  if (shown === column) [state.sort, state.descending] = [column, !state.descending];
  else if (state.sort === column) state.descending = !state.descending;
  else [state.sort, state.descending] = [column, column !== "system" && column !== "cost"];
  draw();
}

function toggle(id) {
  if (!state.open.delete(id)) state.open.add(id);
  draw();
  document.querySelector(".name[aria-expanded=true]")?.focus({ preventScroll: true });
}

function facts(pairs) {
  return element("dl", {}, ...pairs.filter(([, text]) => text !== null && text !== undefined && text !== "").map(([name, text]) =>
    element("div", { class: String(text).length > 48 ? "wide" : null }, element("dt", {}, name), element("dd", {}, String(text)))));
}

function panel(row) {
  const made = element("div", { class: "panel" });
  if (row.kind === "published") {
    made.append(element("h3", {}, "Published"), facts([
      ["paper", row.paper], ["table", row.table], ["metric variant", row.variant], ["training data", row.training],
      ...Object.entries(row.other).filter(([, value]) => value !== null),
    ]));
    return made;
  }
  made.append(element("h3", {}, "Model and cost"), facts(row.facts));
  if (row.inference.length) made.append(element("h3", {}, "Inference settings"), facts(row.inference));
  if (row.excluded.length) made.append(element("h3", {}, "Excluded"), element("ul", { class: "notes" }, ...row.excluded.map((line) => element("li", {}, line))));
  if (row.tracks.length) made.append(element("h3", {}, "Every track"), scrolling(`Tracks of ${row.system}`, trackTable(row)));
  return made;
}

function trackTable(row) {
  const sources = SOURCES.filter((source) => row.tracks.some((track) => track.sources[source]));
  const body = element("tbody", {}, ...row.tracks.map((track) => element("tr", {}, element("td", {}, track.name), ...sources.map((source) => {
    const scores = track.sources[source] ?? {};
    const cell = element("td", {});
    if (scores.silent) {
      const leak = scores.leakage_db === null ? "nothing leaked" : `leaks ${decibels(scores.leakage_db, 1)} dB`;
      cell.append(element("span", { class: "silent" }, `silent, ${leak}`));
    } else if (scores.silent_estimate && (scores[trackColumn()] ?? null) === null) {
      cell.append(element("span", { class: "silent" }, "silent estimate, no score"));
    } else cell.append(scores.infinite?.includes(trackColumn()) ? "∞" : decibels(scores[trackColumn()]));
    const url = row.audio?.[track.name]?.[source];
    if (url) cell.append(element("audio", { controls: "", preload: "none", src: url, "aria-label": `${source} of ${track.name}` }));
    return cell;
  }))));
  return element("table", { class: "tracks" }, element("thead", {}, element("tr", {}, element("th", {}, "track"), ...sources.map((source) => element("th", {}, source)))), body);
}

// Plots are drawn at the width they are shown at, so that their text keeps its size.
function plotWidth() {
  const room = Math.min(document.documentElement.clientWidth, 1248) - (document.documentElement.clientWidth < 640 ? 60 : 150);
  return Math.max(room > 700 ? (room - 28) / 2 : room, 240);
}

function quantile(sorted, share) {
  const place = (sorted.length - 1) * share, low = Math.floor(place);
  return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

function multiples(rows) {
  const all = SOURCES.flatMap((source) => rows.flatMap((row) => perTrack(row, source).map((each) => each.value)));
  const range = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
  const grid = element("div", { class: "multiples" });
  for (const source of SOURCES) {
    if (rows.some((row) => perTrack(row, source).length)) grid.append(element("figure", {}, element("figcaption", { class: source }, source), boxPlots(rows, source, range)));
  }
  return grid;
}

function boxPlots(rows, source, [lowest, highest]) {
  const [width, line, left] = [plotWidth(), 40, 4];
  const height = rows.length * line + 22;
  const span = Math.max(highest - lowest, 1);
  const x = (value) => left + 6 + ((value - lowest) / span) * (width - left - 16);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: source, "aria-label": `Scores of ${source} over tracks, in dB` });
  const step = [1, 2, 5, 10, 20, 50].find((each) => span / each <= 7) ?? 100;
  for (let tick = Math.ceil(lowest / step) * step; tick <= highest; tick += step) {
    plot.append(svg("line", { x1: x(tick), x2: x(tick), y1: 0, y2: height - 18, class: tick === 0 ? "zero" : "grid" }));
    plot.append(svg("text", { x: x(tick), y: height - 5, "text-anchor": "middle" }, `${String(tick).replace("-", "−")}${tick + step > highest ? " dB" : ""}`));
  }
  rows.forEach((row, index) => {
    const middle = index * line + 26;
    plot.append(svg("text", { x: left + 2, y: middle - 13, class: "label" }, row.system.length > 46 ? `${row.system.slice(0, 45)}…` : row.system));
    const points = perTrack(row, source);
    if (!points.length) {
      plot.append(svg("text", { x: left + 2, y: middle + 4 }, "no score: silent in every track"));
      return;
    }
    const values = points.map((each) => each.value).sort((a, b) => a - b);
    const [low, half, high] = [0.25, 0.5, 0.75].map((share) => quantile(values, share));
    const reach = 1.5 * (high - low);
    const inside = values.filter((value) => value >= low - reach && value <= high + reach);
    plot.append(svg("line", { x1: x(inside[0]), x2: x(inside.at(-1)), y1: middle, y2: middle, stroke: "currentColor", "stroke-width": 1.2 }));
    plot.append(svg("rect", { x: x(low), y: middle - 6, width: Math.max(x(high) - x(low), 1), height: 12, rx: 2, fill: "currentColor", "fill-opacity": 0.28, stroke: "currentColor", "stroke-width": 1 }));
    plot.append(svg("line", { x1: x(half), x2: x(half), y1: middle - 7, y2: middle + 7, stroke: "currentColor", "stroke-width": 2.4 }));
    for (const point of points) {
      const dot = svg("circle", { cx: x(point.value), cy: middle, r: 2.4, fill: "currentColor", "fill-opacity": 0.75 });
      dot.append(svg("title", {}, `${point.name}: ${decibels(point.value)} dB`));
      plot.append(dot);
    }
  });
  return plot;
}

let width = 0;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth !== width && state.metric) draw();
  width = document.documentElement.clientWidth;
});
setUp();
