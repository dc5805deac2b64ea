// The page: one excerpt at a time, by keyboard, mouse or touch.

import * as api from "./api.js";
import { AroundPanel } from "./around.js";
import { AuditPanel } from "./audit.js";
import { List } from "./list.js";
import { Picture, clock } from "./picture.js";
import { Player } from "./player.js";

const at = (id) => document.getElementById(id);
const player = new Player();
const picture = new Picture(at("picture"));
const SOURCES = ["drums", "bass", "other", "vocals"];
let overview = null;
let sample = null;
let item = null;
let busy = false;

const report = (error) => { at("message").textContent = error ? error.message ?? String(error) : ""; };
const list = new List(at("list-panel"), choose, report);

async function choose(key, play = true) {
  report("");
  const wanted = await api.describe(key);
  item = wanted;
  player.load(item);
  picture.clear(item);
  setStretch(null);
  show();
  if (play) player.play();
  if (!sample) history.replaceState(null, "", `#${key}`);
  fill(item);
}

// Pictures come after the sound, the excerpt's first.
async function fill(shown) {
  const current = () => item === shown;
  for (const part of ["excerpt", "before", "after"]) {
    if (part !== "excerpt" && shown[`${part}_seconds`] <= 0.05) continue;
    try {
      const found = await api.spectrogram(shown.key, part);
      if (!current()) return;
      picture.setSpectrogram(part, found);
    } catch (error) {
      if (current()) at("picture-note").textContent = error.message;
    }
  }
  try {
    const curves = await api.probabilities(shown.key);
    if (!current()) return;
    if (curves.sources) picture.setCurves(curves);
    else if (!sample) at("picture-note").textContent = `no probabilities: ${curves.reason}`;
    legend(curves);
  } catch (error) { if (current()) report(error); }
}

function show() {
  at("item").hidden = false;
  at("title").textContent = sample ? `Do you hear ${item.source}?` : item.track;
  const decided = item.review && item.review !== "superseded" ? item.review : "";
  at("state").textContent = decided;
  at("state").className = `state ${decided}`;
  const facts = [`${item.seconds.toFixed(1)} s`];
  if (!sample) {
    facts.unshift(`without ${item.source}`, `${clock(item.start_seconds)} of ${clock(item.track_seconds)}`);
    facts.push(`probability of silence ${item.probability_mean.toFixed(3)} (least ${item.probability_min.toFixed(3)})`);
    if (item.expected_volume_db !== null) facts.push(`expected ${item.expected_volume_db.toFixed(0)} dB`);
  }
  at("facts").textContent = facts.join(" · ");
  at("picture-note").textContent = "";
  legend(null);
  at("history").replaceChildren(...(item.history ?? []).map((review) => {
    const stretch = review.stretch ? `, wrong from ${clock(review.stretch[0], true)} to ${clock(review.stretch[1], true)}` : "";
    const text = `${review.decision} by ${review.reviewer}, ${review.reviewed_at.slice(0, 16).replace("T", " ")} UTC${stretch}`;
    return Object.assign(document.createElement("li"), { textContent: text });
  }));
  if (item.history?.[0]?.stretch) setStretch(item.history[0].stretch);
  at("undo").hidden = at("advance").parentElement.hidden = Boolean(sample);
  at("back").hidden = at("next").hidden = Boolean(sample);
}

function legend(curves) {
  const box = at("legend");
  box.replaceChildren();
  if (!curves?.sources) return;
  box.append("P(silent):");
  for (const source of SOURCES) {
    const name = Object.assign(document.createElement("b"), { textContent: source, className: source });
    box.append(name);
  }
  if (curves.thresholds?.[item.source] !== undefined) box.append("dashed: threshold");
}

function setStretch(stretch) {
  let wanted = stretch;
  if (wanted) {
    const [low, high] = wanted[0] < wanted[1] ? wanted : [wanted[1], wanted[0]];
    wanted = [Math.max(low, 0), Math.min(high, item.seconds)];
    if (wanted[1] - wanted[0] < 0.05) wanted = null;
  }
  picture.setStretch(wanted);
  at("mark-note").textContent = wanted
    ? `wrong from ${clock(wanted[0], true)} to ${clock(wanted[1], true)} of the excerpt: reject keeps what is left beside it where it lasts ${overview?.min_seconds ?? 5} s`
    : "";
  at("reject-text").textContent = wanted ? "Reject the stretch" : "Reject";
}

async function decide(decision) {
  if (!item || busy) return;
  setBusy(true);
  try {
    const stretch = decision === "rejected" ? picture.stretch : null;
    await api.decide(item.key, decision, stretch);
    report("");
    if (sample) {
      player.pause();
      item = null;
      if (!(await sample.refresh())) at("item").hidden = true;
    } else {
      list.mark(item.key, decision);
      const moved = at("advance").checked && (await list.step(1, true));
      if (!moved) await choose(item.key, false);
    }
    totals().catch(report);
  } catch (error) { report(error); } finally { setBusy(false); }
}

function setBusy(wanted) {
  busy = wanted;
  at("item").ariaBusy = String(wanted);
}

async function undo() {
  if (sample) return;
  try {
    const { key } = await api.undo();
    if (!key) return report("nothing to undo");
    await choose(key, false);
    list.mark(key, item.review);
    list.point(key);
    await totals();
  } catch (error) { report(error); }
}

async function totals() {
  overview = await api.overview();
  const reviews = Object.entries(overview.reviews).map(([name, number]) => `${number} ${name}`);
  const hours = Object.entries(overview.sources).map(
    ([source, found]) => `without ${source} ${(found.seconds / 3600).toFixed(1)} h`);
  at("folder").textContent = overview.folder;
  at("totals").textContent = [...hours, ...reviews, `listener: ${overview.reviewer}`].join(" · ");
}

// --- controls -------------------------------------------------------------------------------------------------------

player.addEventListener("change", () => { at("play").textContent = player.playing ? "Pause" : "Play"; });
player.addEventListener("fault", (event) => report(event.detail));
(function follow() {
  if (item) {
    picture.setHead(player.position);
    at("clock").textContent = clock(player.position, true);
  }
  requestAnimationFrame(follow);
})();

at("play").addEventListener("click", () => player.toggle());
at("back").addEventListener("click", () => list.step(-1, true).catch(report));
at("next").addEventListener("click", () => list.step(1, true).catch(report));
at("accept").addEventListener("click", () => decide("accepted"));
at("reject").addEventListener("click", () => decide("rejected"));
at("unsure").addEventListener("click", () => decide("unsure"));
at("undo").addEventListener("click", undo);
at("loop").addEventListener("change", () => player.set({ loop: at("loop").checked }));
at("with-context").addEventListener("change", () => player.set({ withContext: at("with-context").checked }));
at("speed").addEventListener("change", () => player.set({ speed: Number(at("speed").value) }));
at("gain").addEventListener("input", () => {
  player.set({ gainDb: Number(at("gain").value) });
  at("gain-value").textContent = `${at("gain").value} dB`;
});
for (const [button, panel] of [["toggle-list", "list-panel"], ["show-keys", "keys"]]) {
  at(button).addEventListener("click", () => {
    const open = at(button).getAttribute("aria-expanded") !== "true";
    at(button).setAttribute("aria-expanded", String(open));
    at(panel).classList.toggle("open", open);
    if (panel === "keys") at(panel).hidden = !open;
  });
}

// A click seeks; a drag marks what is wrong.
let drag = null;
at("picture").addEventListener("pointerdown", (event) => {
  if (!item || event.button !== 0) return;
  drag = { x: event.offsetX, left: at("picture").getBoundingClientRect().left, moved: false };
  drag.x = event.clientX - drag.left;
  at("picture").setPointerCapture(event.pointerId);
});
at("picture").addEventListener("pointermove", (event) => {
  if (!drag) return;
  const x = event.clientX - drag.left;
  drag.moved ||= Math.abs(x - drag.x) > 6;
  if (drag.moved) setStretch([picture.seconds(drag.x), picture.seconds(x)]);
});
at("picture").addEventListener("pointerup", (event) => {
  if (drag && !drag.moved) {
    player.seek(picture.seconds(event.clientX - drag.left));
    if (!player.playing) player.play();
  }
  drag = null;
});
at("picture").addEventListener("pointercancel", () => { drag = null; });

const KEYS = {
  " ": () => player.toggle(),
  1: () => decide("accepted"),
  2: () => decide("rejected"),
  3: () => decide("unsure"),
  u: undo,
  j: () => !sample && list.step(1, true).catch(report),
  k: () => !sample && list.step(-1, true).catch(report),
  l: () => at("loop").click(),
  "+": () => changeGain(3),
  "-": () => changeGain(-3),
  Escape: () => setStretch(null),
  "[": () => setStretch([player.position, picture.stretch?.[1] > player.position ? picture.stretch[1] : item.seconds]),
  "]": () => setStretch([picture.stretch?.[0] < player.position ? picture.stretch[0] : 0, player.position]),
};

function changeGain(by) {
  at("gain").value = Number(at("gain").value) + by;
  at("gain").dispatchEvent(new Event("input"));
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=checkbox]):not([type=range]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (event.target.id === "gain") return;
    player.seek(player.position + (event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 5 : 1));
  } else if (KEYS[event.key] && (item || event.key === "j" || event.key === "u")) {
    if (event.repeat && event.key !== "+" && event.key !== "-") return;
    KEYS[event.key]();
  } else if (event.key === "Enter" && sample && !sample.begun) {
    at("begin")?.click();
  } else return;
  event.preventDefault();
});

// A button that has the focus would also be pressed by the space that plays.
document.addEventListener("keyup", (event) => {
  if (event.key === " " && event.target.closest?.("button")) event.preventDefault();
});

// --- start ----------------------------------------------------------------------------------------------------------

async function start() {
  const found = totals();
  const state = await api.sampleState();
  if (state !== null) {
    document.querySelector(".columns").classList.add("single");
    document.body.classList.add("sampling");
    at("list-panel").hidden = true;
    at("toggle-list").hidden = true;
    at("accept-text").textContent = state.kind === "audit" ? "Clean" : "Silent";
    const Panel = state.kind === "audit" ? AuditPanel : AroundPanel;
    sample = new Panel(at("sample"), (key) => choose(key, true));
    await sample.refresh();
    await found;
    return;
  }
  const asked = location.hash.slice(1);
  await list.reload();
  if (/^e\d+$/.test(asked)) {
    await choose(asked, false);
    list.point(asked);
  } else await list.select(0, false);
  await found;
}

start().catch(report);
