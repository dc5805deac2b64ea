// The audit's panel: what it takes, how pure the harvest is so far, and the verdict.

import * as api from "./api.js";

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;

export class AuditPanel {
  constructor(panel, choose) {
    this.panel = panel;
    this.choose = choose;
    this.begun = false;
  }

  async refresh() {
    this.state = await api.auditState();
    const { result } = this.state;
    if (result.draws > 0) this.begun = true;
    this.show();
    if (this.begun && this.state.position !== null && !(result.complete && !this.goOn)) {
      await this.choose(`a${this.state.position}`);
      return true;
    }
    return false;
  }

  show() {
    const { settings, population, result } = this.state;
    const add = (tag, text, className = "") => {
      const element = Object.assign(document.createElement(tag), { textContent: text, className });
      this.panel.append(element);
      return element;
    };
    this.panel.replaceChildren();
    this.panel.hidden = false;
    add("h2", `Audit: how pure are the excerpts without ${settings.source}?`);
    if (!this.begun) {
      add("p", `${settings.answers} excerpts are drawn by chance from ${population.excerpts.toLocaleString("en")} ` +
        `(${(population.seconds / 3600).toFixed(1)} h of ${population.tracks.toLocaleString("en")} tracks), each second as likely ` +
        `as any other. ${settings.answers} draws without a fault show a purity of at least ${percent(settings.promise, 0)} ` +
        `at ${percent(settings.confidence, 0)} confidence; each fault takes more.`);
      const rules = add("ul", "");
      for (const text of [
        `Listen to each one to its end. Accept (1) where you hear no ${settings.source} at all, reject (2) where you do.`,
        "Before you reject, you may mark the stretch that is wrong: the rest then counts as clean seconds.",
        "Unsure (3) counts as a fault in the bounds.",
        "Names and probabilities are hidden, and some of what is played are controls in which the source surely sounds.",
        "Answers cannot be taken back. You may stop and go on later; the draw stays.",
      ]) rules.append(Object.assign(document.createElement("li"), { textContent: text }));
      const button = add("button", "Begin");
      button.id = "begin";
      button.addEventListener("click", () => { this.begun = true; this.refresh(); });
      return;
    }
    if (result.draws === 0) {
      add("p", `Answer 1 of ${settings.answers}. Do you hear ${settings.source}?`, "big");
      return;
    }
    add("p", result.complete ? `${result.clean} of ${result.draws} draws clean` :
      `${result.clean} of ${result.draws} draws clean, ${settings.answers} planned`, "big");
    this.#bar(add("div", "", "bar"), result);
    add("p", `${percent(settings.confidence, 0)} interval of the purity (share of seconds in clean excerpts, exact): ` +
      `${percent(result.interval[0])} to ${percent(result.interval[1])}; at least ${percent(result.lower_bound)} one-sided. ` +
      `Clean seconds: ${percent(result.purity_seconds)}, at least ${percent(result.purity_seconds_lower_bound)} over ` +
      `${result.tracks} tracks. ${result.unsure} unsure.`, "quiet");
    if (!result.complete) {
      add("p", result.further_clean_needed ? `${result.further_clean_needed} more without a fault show ` +
        `${percent(settings.promise, 0)}.` : `The bound has reached ${percent(settings.promise, 0)}; it counts at the planned end.`);
      return;
    }
    add("p", result.promise_kept ? `Shown: at least ${percent(settings.promise, 0)} pure.` :
      `Not shown: ${percent(settings.promise, 0)} takes ${result.further_clean_needed} more without a fault.`,
      `verdict ${result.promise_kept ? "kept" : "missed"}`);
    add("p", result.controls ? `${result.controls_noticed} of ${result.controls} controls noticed` +
      (result.listener_reliable ? "." : ": the answers are not to be relied on.") :
      "No controls were played: nothing says how well the listener hears.", result.listener_reliable === false ? "verdict missed" : "quiet");
    add("p", `In report.json. Whoever goes on from here and stops when it suits may rely on ${percent(result.lower_bound_any_time)}, ` +
      "which holds at all times at once.", "quiet");
    if (this.state.position !== null && !this.goOn) {
      const button = add("button", "Go on");
      button.id = "go-on";
      button.addEventListener("click", () => { this.goOn = true; this.refresh(); });
    }
  }

  #bar(bar, result) {
    const least = Math.min(0.5, Math.floor(result.interval[0] * 10) / 10);
    const place = (share) => `${100 * (share - least) / (1 - least)}%`;
    const piece = (className, left, width) => {
      const element = Object.assign(document.createElement("div"), { className });
      element.style.left = left;
      if (width) element.style.width = width;
      bar.append(element);
    };
    piece("interval", place(result.interval[0]), `${100 * (result.interval[1] - result.interval[0]) / (1 - least)}%`);
    piece("point", place(result.purity));
    piece("promise", place(this.state.settings.promise));
    for (const share of [least, this.state.settings.promise]) {
      const label = Object.assign(document.createElement("span"), { textContent: percent(share, 0) });
      label.style.left = share === least ? "1rem" : place(share);
      bar.append(label);
    }
  }
}
