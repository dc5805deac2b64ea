// The list of excerpts: filters, pages of rows as they are needed, and the row that is heard.

import * as api from "./api.js";
import { clock } from "./picture.js";

const STATES = { accepted: "✓ accepted", rejected: "✗ rejected", unsure: "? unsure" };

export class List {
  constructor(panel, choose, report) {
    this.form = panel.querySelector("#filters");
    this.rows = panel.querySelector("#list");
    this.total = panel.querySelector("#count");
    this.choose = choose;
    this.report = report;
    this.entries = [];
    this.current = -1;
    this.after = null;
    this.loading = null;
    this.version = 0;
    this.#restore();
    this.form.addEventListener("submit", (event) => event.preventDefault());
    let timer = 0;
    this.form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.reload().catch(report), 250);
    });
    this.rows.addEventListener("scroll", () => {
      if (this.rows.scrollTop + this.rows.clientHeight > this.rows.scrollHeight - 400) this.more().catch(report);
    });
  }

  get filters() {
    return Object.fromEntries([...new FormData(this.form)].filter(([, value]) => value !== ""));
  }

  async reload() {
    sessionStorage.setItem("filters", JSON.stringify(this.filters));
    this.version += 1;
    this.entries = [];
    this.current = -1;
    this.after = null;
    this.ended = false;
    this.loading = null;
    this.rows.replaceChildren();
    this.total.textContent = "counting";
    const { version, filters } = this;
    api.count(filters).then((found) => {
      if (version !== this.version) return;
      const hours = found.seconds >= 3600 ? `${(found.seconds / 3600).toFixed(1)} h` : `${(found.seconds / 60).toFixed(1)} min`;
      this.total.textContent =
        `${found.excerpts.toLocaleString("en")} excerpts, ${hours}; ${found.reviewed.toLocaleString("en")} reviewed`;
    }).catch(this.report);
    await this.more();
  }

  more() {
    if (this.ended) return Promise.resolve();
    this.loading ??= this.#load().finally(() => { this.loading = null; });
    return this.loading;
  }

  async #load() {
    const { version } = this;
    const found = await api.page(this.filters, this.after);
    if (version !== this.version) return;
    this.after = found.after;
    this.ended = !found.after;
    for (const entry of found.rows) {
      this.entries.push(entry);
      this.rows.append(this.#row(entry, this.entries.length - 1));
    }
    if (!this.entries.length) this.rows.append(Object.assign(document.createElement("li"), { textContent: "nothing is like that" }));
  }

  #row(entry, at) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = entry.source;
    const dot = Object.assign(document.createElement("span"), { className: "dot" });
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: entry.track.split("/").pop() });
    const length = Object.assign(document.createElement("span"), { textContent: `${entry.seconds.toFixed(1)} s` });
    const small = Object.assign(document.createElement("span"), { className: "small" });
    button.append(dot, name, length, small);
    button.title = entry.track;
    button.addEventListener("click", () => this.select(at, true).catch(this.report));
    entry.button = button;
    this.#label(entry);
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  #label(entry) {
    const state = entry.review ? ` · ${STATES[entry.review] ?? entry.review}` : "";
    entry.button.querySelector(".small").textContent =
      `without ${entry.source} at ${clock(entry.start_seconds)} · P ${entry.probability.toFixed(3)}${state}`;
  }

  async select(at, play) {
    if (at >= this.entries.length - 5) await this.more();
    if (at < 0 || at >= this.entries.length) return false;
    this.entries[this.current]?.button.removeAttribute("aria-current");
    this.current = at;
    const { button, id } = this.entries[at];
    button.setAttribute("aria-current", "true");
    button.scrollIntoView({ block: "nearest" });
    await this.choose(`e${id}`, play);
    return true;
  }

  step(by, play) { return this.select(this.current + by, play); }

  mark(key, review) {
    const entry = this.entries.find((each) => `e${each.id}` === key);
    if (entry) {
      entry.review = review;
      this.#label(entry);
    }
  }

  point(key) {
    const at = this.entries.findIndex((each) => `e${each.id}` === key);
    this.entries[this.current]?.button.removeAttribute("aria-current");
    this.current = at;
    this.entries[at]?.button.setAttribute("aria-current", "true");
  }

  #restore() {
    try {
      for (const [name, value] of Object.entries(JSON.parse(sessionStorage.getItem("filters") ?? "{}"))) {
        const field = this.form.elements.namedItem(name);
        if (field) field.value = value;
      }
    } catch { /* nothing kept */ }
  }
}
