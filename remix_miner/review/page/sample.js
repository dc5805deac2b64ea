// The panel of a random sample: what it takes, and the next item to answer. audit.js and around.js fill it.

import * as api from "./api.js";

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;

export class SamplePanel {
  constructor(panel, choose) {
    this.panel = panel;
    this.choose = choose;
    this.begun = false;
  }

  async refresh() {
    this.state = await api.sampleState();
    const { result } = this.state;
    if (result.draws > 0) this.begun = true;
    this.panel.replaceChildren();
    this.panel.hidden = false;
    this.show();
    if (this.begun && this.state.position !== null && !(result.complete && !this.goOn)) {
      await this.choose(`a${this.state.position}`);
      return true;
    }
    return false;
  }

  add(tag, text, className = "") {
    const element = Object.assign(document.createElement(tag), { textContent: text, className });
    this.panel.append(element);
    return element;
  }

  addRules(texts) {
    const rules = this.add("ul", "");
    for (const text of texts) rules.append(Object.assign(document.createElement("li"), { textContent: text }));
    const button = this.add("button", "Begin");
    button.id = "begin";
    button.addEventListener("click", () => { this.begun = true; this.refresh(); });
  }
}
