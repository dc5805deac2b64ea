// One timeline over three files: context before, the excerpt (from 0 to its length), context after.

import { audioAddress } from "./api.js";

const PARTS = ["before", "excerpt", "after"];

export class Player extends EventTarget {
  constructor() {
    super();
    this.item = null;
    this.active = "excerpt";
    this.loop = false;
    this.withContext = false;
    this.gainDb = 0;
    this.speed = 1;
    this.audio = {};
    this.gains = null;
    for (const part of PARTS) {
      const element = new Audio();
      element.preload = part === "excerpt" ? "auto" : "none";
      element.preservesPitch = true;
      element.addEventListener("ended", () => this.#ended(part));
      element.addEventListener("playing", () => this.dispatchEvent(new Event("change")));
      element.addEventListener("pause", () => this.dispatchEvent(new Event("change")));
      element.addEventListener("error", () => {
        if (element.getAttribute("src")) {
          this.dispatchEvent(new CustomEvent("fault", { detail: `the audio (${part}) cannot be played` }));
        }
      });
      this.audio[part] = element;
    }
  }

  load(item) {
    this.pause();
    this.item = item;
    this.active = "excerpt";
    for (const part of PARTS) {
      const there = part === "excerpt" || item[`${part}_seconds`] > 0.05;
      if (there) this.audio[part].src = audioAddress(item.key, part);
      else this.audio[part].removeAttribute("src");
    }
    this.#applySettings();
  }

  get playing() { return !this.audio[this.active].paused; }
  get start() { return this.item ? -this.item.before_seconds : 0; }
  get end() { return this.item ? this.item.seconds + this.item.after_seconds : 0; }
  get position() {
    return this.item ? this.#offset(this.active) + this.audio[this.active].currentTime : 0;
  }

  async play() {
    if (!this.item) return;
    this.#connect();
    const current = this.audio[this.active];
    if (current.ended || (this.active === "excerpt" && this.position >= this.item.seconds - 0.02)) this.seek(0);
    try {
      await this.audio[this.active].play();
    } catch (error) {
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("fault", { detail: String(error.message) }));
    }
  }

  pause() { for (const part of PARTS) this.audio[part].pause(); }
  toggle() { return this.playing ? this.pause() : this.play(); }

  seek(seconds) {
    if (!this.item) return;
    const wanted = Math.min(Math.max(seconds, this.start), this.end - 0.01);
    let part = "excerpt";
    if (wanted < 0 && this.item.before_seconds > 0.05) part = "before";
    if (wanted >= this.item.seconds && this.item.after_seconds > 0.05) part = "after";
    const wasPlaying = this.playing;
    if (part !== this.active) this.audio[this.active].pause();
    this.active = part;
    this.audio[part].currentTime = Math.max(wanted - this.#offset(part), 0);
    if (wasPlaying && !this.playing) this.play();
    this.dispatchEvent(new Event("change"));
  }

  set({ loop = this.loop, withContext = this.withContext, gainDb = this.gainDb, speed = this.speed }) {
    Object.assign(this, { loop, withContext, gainDb, speed });
    this.#applySettings();
  }

  #offset(part) { return part === "before" ? -this.item.before_seconds : part === "after" ? this.item.seconds : 0; }

  #ended(part) {
    if (part === "before") return this.#goOn("excerpt");
    if (part === "excerpt" && this.loop) return this.#goOn("excerpt");
    if (part === "excerpt" && this.withContext && this.item.after_seconds > 0.05) return this.#goOn("after");
    this.dispatchEvent(new Event("change"));
  }

  #goOn(part) {
    this.active = part;
    this.audio[part].currentTime = 0;
    this.play();
  }

  // Audio goes through gain nodes: stored excerpts fill their 16 bits, and their scale is applied here.
  #connect() {
    if (this.gains === null) {
      const context = new AudioContext();
      this.context = context;
      this.gains = {};
      for (const part of PARTS) {
        this.gains[part] = context.createGain();
        context.createMediaElementSource(this.audio[part]).connect(this.gains[part]).connect(context.destination);
      }
    }
    if (this.context.state === "suspended") this.context.resume();
    this.#applySettings();
  }

  #applySettings() {
    for (const part of PARTS) {
      this.audio[part].playbackRate = this.speed;
      if (this.gains && this.item) {
        const scale = part === "excerpt" ? this.item.scale : 1;
        this.gains[part].gain.value = scale * 10 ** (this.gainDb / 20);
      }
    }
  }
}
