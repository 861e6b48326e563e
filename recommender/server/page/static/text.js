// Tracks, times and numbers in words.

const UNSEEN = /[\p{Cc}\p{Cf}\u2028\u2029]+/gu;
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Foreign text for a title or a label: one line, without control and direction marks, cut. */
export function plain(text, longest = 120) {
  const line = String(text).slice(0, 4 * longest).replace(UNSEEN, " ").replace(/\s+/g, " ").trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}

/** What a track is called: its title, else the last part of its key. */
export function titleOf(track) {
  return track.title || String(track.key ?? track.id).split("/").pop();
}

/** "artist - title", as files and playlists name it. */
export function nameOf(track) {
  return track.artist && track.title ? `${track.artist} - ${track.title}` : titleOf(track);
}

/** Seconds as a player shows them: 3:07. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** Seconds in words: "3 min", "1 h 12 min", "2 days 4 h". */
export function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** "1 track", "48 tracks". */
export function counted(count, noun) {
  return `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A share from 0 to 1 in per cent. */
export const percent = (share) => `${Math.round(100 * share)}%`;

/** A first letter in upper case. */
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

/** Seconds of Unix as a short date and time of this device. */
export const moment = (unix) =>
  new Date(unix * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
