// The panel of an audit: what it takes, how pure the harvest is so far, and the verdict.

import { SamplePanel, percent } from "./sample.js";

export class AuditPanel extends SamplePanel {
  show() {
    const { settings, population, result } = this.state;
    const add = (...given) => this.add(...given);
    add("h2", `Audit: how pure are the excerpts without ${settings.source}?`);
    if (!this.begun) {
      add("p", `${settings.answers} excerpts are drawn at random from ${population.excerpts.toLocaleString("en")} ` +
        `(${(population.seconds / 3600).toFixed(1)} h of ${population.tracks.toLocaleString("en")} tracks), each second as likely ` +
        `as any other. ${settings.answers} draws without a fault show a purity of at least ${percent(settings.promise, 0)} ` +
        `at ${percent(settings.confidence, 0)} confidence; each fault takes more.`);
      this.addRules([
        `Listen to each one to its end. Accept (1) if you hear no ${settings.source} at all, reject (2) if you do.`,
        "Before you reject, you may mark the stretch that is wrong: the rest then counts as clean seconds.",
        "Unsure (3) counts as a fault in the bounds.",
        "Names and probabilities are hidden, and some of what is played are controls in which the source certainly sounds.",
        "Answers cannot be undone. You may stop and continue later; the draw stays.",
      ]);
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
      `${result.tracks} track${result.tracks === 1 ? "" : "s"}. ${result.unsure} unsure.`, "quiet");
    if (!result.complete) {
      add("p", result.further_clean_needed ? `${result.further_clean_needed} more without a fault show ` +
        `${percent(settings.promise, 0)}.` : `The bound has reached ${percent(settings.promise, 0)}; it counts at the planned end.`);
      return;
    }
    add("p", result.promise_kept ? `Shown: at least ${percent(settings.promise, 0)} pure.` :
      `Not shown: ${percent(settings.promise, 0)} takes ${result.further_clean_needed} more without a fault.`,
      `verdict ${result.promise_kept ? "kept" : "missed"}`);
    add("p", result.controls ? `${result.controls_noticed} of ${result.controls} controls noticed` +
      (result.listener_reliable ? "." : ": the answers are not reliable.") :
      "No controls were played, so the listener was not checked.", result.listener_reliable === false ? "verdict missed" : "quiet");
    add("p", `The result is in report.json. If you go on and stop at a time of your choice, ${percent(result.lower_bound_any_time)} ` +
      "is the bound: it holds at all times.", "quiet");
    if (this.state.position !== null && !this.goOn) {
      const button = add("button", "Continue");
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
