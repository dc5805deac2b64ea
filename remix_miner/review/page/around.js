// The panel of a sample around a threshold: stretches on both sides of it, and the answers so far.

import { SamplePanel, percent } from "./sample.js";

const NAMES = { below: "below the threshold", near: "just above", far: "far above" };

export class AroundPanel extends SamplePanel {
  show() {
    const { settings, population, result } = this.state;
    const add = (...given) => this.add(...given);
    add("h2", `Around the threshold: where does silence of ${settings.source} begin?`);
    if (!this.begun) {
      const hours = (name) => `${(population.seconds[name] / 3600).toFixed(1)} h ${NAMES[name]}`;
      add("p", `${settings.answers} stretches are drawn at random on both sides of P = ${settings.threshold.toFixed(3)}, from ` +
        `${hours("below")}, ${hours("near")} and ${hours("far")} in ${population.tracks.toLocaleString("en")} tracks. ` +
        "The answers give a threshold for this library: remix-miner calibrate --reviews.");
      this.addRules([
        `Listen to each one to its end. Accept (1) if you hear no ${settings.source} at all, reject (2) if you do.`,
        "Before you reject, mark the stretch that is wrong if it is short: the rest counts as silent.",
        "Unsure (3) counts as not silent.",
        "Names and probabilities are hidden. Many of the stretches are expected to be wrong.",
        "Answers cannot be undone. You may stop and continue later; the draw stays.",
      ]);
      return;
    }
    if (result.draws < result.planned) {
      // The counts by stratum are shown at the end: before, they would reveal where the latest stretch came from.
      add("p", `Answer ${result.draws + 1} of ${result.planned}`, "big");
    } else {
      add("p", `${result.draws} answers about ${result.tracks} track${result.tracks === 1 ? "" : "s"}`, "big");
      add("p", Object.entries(result.strata).filter(([, found]) => found.draws).map(([name, found]) =>
        `${NAMES[name]}: ${found.clean} of ${found.draws} silent (${percent(found.clean / found.draws, 0)})`).join(" · "), "quiet");
    }
    if (result.complete) {
      add("p", "All answers are in the catalogue.", "verdict kept");
      add("p", "remix-miner calibrate DETECTOR --reviews MINED --out calibration.json turns them into a threshold.", "quiet");
    }
  }
}
