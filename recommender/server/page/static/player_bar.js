// The bar that never leaves: what plays, how far, and what comes.

import { fill, foreign, h, icon, iconButton } from "./dom.js";
import { url } from "./api.js";
import { address } from "./router.js";
import { clock, nameOf, plain, titleOf } from "./text.js";

/** Draw the bar and keep it true. */
export function playerBar(element, { player, queue, station, actions }) {
  const what = h("div.what");
  const toggle = iconButton("play", "Play", () => player.toggle(), { id: "toggle" });
  toggle.classList.add("big");
  const back = iconButton("previous", "Previous", () => player.previous());
  const next = iconButton("next", "Next", () => player.next());
  const seek = h("input.seek", {
    type: "range", min: 0, max: 1000, value: 0, "aria-label": "Position",
    oninput: () => { player.seek((seek.value / 1000) * player.durationS); },
  });
  const [past, total] = [h("span.clock", {}, "0:00"), h("span.clock", {}, "0:00")];
  const volume = volumeControl(player.audio);
  const more = iconButton("more", "More like what plays", () => steer("like"));
  const less = iconButton("less", "Less like what plays", () => steer("dislike"));
  const live = h("button.quiet.small.live", { type: "button", onclick: () => (station.on ? station.stop() : actions.startStation(player.track)) }, icon("station"), h("span", {}, "Station"));
  fill(element,
    what,
    h("div.controls", {}, h("div.keys", {}, back, toggle, next), h("div.line", {}, past, seek, total)),
    h("div.extra", {}, less, more, live, volume));

  const steer = (list) => {
    if (station.on) {
      station.steer(player.track, { liked: list === "like" });
      actions.notices.say(list === "like" ? "The station plays more like this" : "The station plays less like this");
    } else actions.steer(player.track, list);
  };
  const drawTrack = () => {
    const { track } = player;
    element.classList.toggle("idle", !track);
    for (const control of [toggle, back, next, seek, more, less, live]) control.disabled = !track;
    fill(what, track ? playing(track) : h("p.soft", {}, "Press play on any track."));
    document.title = track ? `${plain(titleOf(track), 60)} · ${plain(track.artist ?? "", 40)}` : "soundalike";
    drawState();
  };
  const drawState = () => {
    const name = player.playing ? "pause" : "play";
    if (toggle.dataset.shows !== name) {
      toggle.dataset.shows = name;
      fill(toggle, icon(name));
      toggle.setAttribute("aria-label", name === "pause" ? "Pause" : "Play");
    }
    element.classList.toggle("playing", player.playing);
    live.setAttribute("aria-pressed", String(station.on));
    next.disabled = queue.upcoming.length === 0;
    total.textContent = clock(player.durationS);
    drawTime();
  };
  const drawTime = () => {
    const share = player.durationS ? player.positionS / player.durationS : 0;
    if (document.activeElement !== seek || !seek.matches(":active")) seek.value = Math.round(1000 * share);
    seek.style.setProperty("--share", share);
    seek.setAttribute("aria-valuetext", `${clock(player.positionS)} of ${clock(player.durationS)}`);
    past.textContent = clock(player.positionS);
  };
  queue.addEventListener("current", drawTrack);
  queue.addEventListener("change", drawState);
  station.addEventListener("change", drawState);
  player.addEventListener("state", drawState);
  player.audio.addEventListener("timeupdate", drawTime);
  drawTrack();
}

function playing(track) {
  return [
    h("a", { href: address("track", undefined, track.id), "aria-label": `Details of ${plain(nameOf(track), 80)}` },
      h("img", { src: url(`tracks/${track.id}/cover`), alt: "", width: 56, height: 56 })),
    h("div", {}, h("strong", {}, foreign(plain(titleOf(track)))), h("span.soft", {}, foreign(plain(track.artist ?? "")))),
  ];
}

function volumeControl(audio) {
  const range = h("input.seek", {
    type: "range", min: 0, max: 100, value: 100, "aria-label": "Volume",
    oninput: () => { audio.volume = (range.value / 100) ** 2; audio.muted = false; draw(); },
  });
  const mute = iconButton("volume", "Mute", () => { audio.muted = !audio.muted; draw(); });
  const draw = () => {
    range.style.setProperty("--share", audio.muted ? 0 : range.value / 100);
    mute.setAttribute("aria-pressed", String(audio.muted));
    fill(mute, icon(audio.muted ? "muted" : "volume"));
  };
  draw();
  return h("div.volume", {}, mute, range);
}
