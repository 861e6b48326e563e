// One track: what is known of it, what sounds like it, and the picture of its signal.

import { button, fill, foreign, h, icon } from "./dom.js";
import { url } from "./api.js";
import { openMenu } from "./menu.js";
import { Latest, load, note } from "./loading.js";
import { address } from "./router.js";
import { listTools } from "./search.js";
import { asNeighbours } from "./similar.js";
import { listHead, TrackList } from "./track_list.js";
import { clock, counted, moment, nameOf, percent, plain, titleOf } from "./text.js";

export function open(main, app, signal) {
  const latest = [new Latest(signal), new Latest(signal), new Latest(signal)];
  const about = h("article.track");
  const alike = h("section", { "aria-labelledby": "alike" });
  const under = h("div.under");
  fill(main, about, h("h2", { id: "alike" }, "Sounds like it"), alike, under);
  let list = null;
  app.player.addEventListener("state", () => list?.markPlaying(), { signal });

  function update({ id }) {
    fill(under);
    load(about, (one) => app.api.get(`tracks/${encodeURIComponent(id)}`, {}, { signal: one }), (track) => {
      fill(under, picture(track), genres(app, track, latest[2]));
      showAlike(track);
      return facts(app, track);
    }, latest[0].next());
  }

  function showAlike(track) {
    list = new TrackList({ ...app, label: "Similar tracks", basis: [track] });
    load(alike, (one) => app.api.get("similar", { like: track.id, n: 10, why: true }, { signal: one }), (answer) => {
      list.show(asNeighbours(answer.neighbours));
      return [
        listHead(counted(list.tracks.length, "track"), ...listTools(app, list, `like ${nameOf(track)}`)),
        note(answer.note), list.element,
      ];
    }, latest[1].next());
  }

  return { update };
}

function facts(app, track) {
  const { actions } = app;
  const by = track.artist && h("a", { href: address("search", new URLSearchParams({ artist: track.artist })) }, foreign(track.artist.slice(0, 500)));
  const album = track.album && h("a", { href: address("search", new URLSearchParams({ album: track.album })) }, foreign(track.album.slice(0, 500)));
  const menu = button("More", (event) => openMenu(event.currentTarget, actions.menuOf(track), plain(nameOf(track), 60)), { symbol: "dots", "aria-haspopup": "menu" });
  return [
    h("img.cover", { src: url(`tracks/${track.id}/cover`), alt: "", width: 240, height: 240 }),
    h("div.head", {},
      h("h1", { dir: "auto" }, titleOf(track).slice(0, 1000)),
      h("p.lead", {}, by, by && album && h("span.sep", {}, " – "), album),
      h("div.buttons", {},
        button("Play", () => actions.play([track]), { kind: "primary", symbol: "play" }),
        button("More like this", () => actions.steer(track, "like"), { symbol: "more" }),
        button("Station", () => actions.startStation(track), { symbol: "station" }), menu),
      description(track)),
    h("div.tags", {}, h("h2", {}, "Tags"), bars(Object.entries(track.tags ?? {}), (tag) => address("search", new URLSearchParams({ tag })))),
  ];
}

function description(track) {
  const rows = [
    ["Genre", track.genre], ["Year", track.year], ["Length", clock(track.duration_s)],
    ["Tempo", track.tempo_bpm && `${Math.round(track.tempo_bpm)} BPM${unsure(track.tempo_confidence)}`],
    ["Key", track.musical_key && `${track.musical_key}${unsure(track.key_confidence)}`],
    ["Loudness", known(track.loudness_lufs) && `${track.loudness_lufs.toFixed(1)} LUFS`],
    ["Brightness", known(track.brightness_hz) && `${Math.round(track.brightness_hz)} Hz`],
    ["File", fileFacts(track)], ["Added", moment(track.added_at)],
  ];
  return h("dl.facts", {}, rows.filter(([, value]) => value).map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, String(value).slice(0, 200)))));
}

const known = (value) => value !== null && value !== undefined;
const unsure = (confidence) => (confidence < 0.3 ? " (unsure)" : "");

function fileFacts({ codec, sample_rate: rate, channels, bit_rate: bits }) {
  const sound = channels === 1 ? "mono" : channels === 2 ? "stereo" : `${channels} channels`;
  return [codec, rate && `${rate / 1000} kHz`, channels && sound, bits && `${Math.round(bits / 1000)} kbit/s`].filter(Boolean).join(", ");
}

/** Names with shares as bars; each leads to what `link` says. */
function bars(shares, link = null) {
  return h("ul.bars", {}, shares.map(([name, share]) => h("li", { css: { "--share": share } },
    link ? h("a", { href: link(name) }, foreign(name)) : foreign(name), h("span", {}, percent(share)))));
}

function picture(track) {
  const place = h("div.picture");
  const details = h("details", {
    ontoggle: () => {
      if (!details.open || place.childElementCount) return;
      const image = h("img", { hidden: true, src: url(`tracks/${track.id}/picture.png`), alt: `Waveform, spectrogram and chroma of ${plain(nameOf(track), 80)}` });
      image.addEventListener("error", () => fill(place, note("the picture could not be drawn: the file may be missing, or matplotlib is not installed")));
      image.addEventListener("load", () => {
        image.hidden = false;
        fill(place, image);
      });
      fill(place, h("p.soft", { role: "status" }, "Drawing the picture; this takes some seconds."), image);
    },
  }, h("summary", {}, icon("wave"), "Picture of the signal"), place);
  return details;
}

function genres(app, track, latest) {
  const place = h("div");
  const details = h("details", {
    ontoggle: () => {
      if (!details.open || place.childElementCount) return;
      load(place, (one) => app.api.get(`tracks/${track.id}/genres`, {}, { signal: one }),
        ({ predictions }) => bars(predictions.slice(0, 8).map(({ genre, probability }) => [genre, probability])), latest.next());
    },
  }, h("summary", {}, icon("tag"), "Genres by the classifier"), place);
  return details;
}
