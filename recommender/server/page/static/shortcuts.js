// Everything by keyboard; "?" lists the keys.

const OFF = "no-shortcuts";

/** The keys, for the list of them and for running them. */
export function shortcuts({ player, router, actions, station, search, focusList, focusedTrack, help, toggleTheme }) {
  const current = (run) => () => player.track && run(player.track);
  const focused = (run) => () => {
    const track = focusedTrack() ?? player.track;
    if (track) run(track);
  };
  return [
    { keys: ["/"], about: "Search", run: () => search.focus() },
    { keys: [" "], shown: "Space", about: "Play or pause", run: () => player.toggle() },
    { keys: ["n"], about: "Next track", run: () => player.next() },
    { keys: ["p"], about: "Previous track", run: () => player.previous() },
    { keys: ["l"], about: "10 seconds on", run: () => player.seekBy(10) },
    { keys: ["h"], about: "10 seconds back", run: () => player.seekBy(-10) },
    { keys: ["j"], about: "To the list; arrows move, Enter plays", run: focusList },
    { keys: ["+", "="], shown: "+", about: "More like the row, or what plays", run: focused((track) => actions.steer(track, "like")) },
    { keys: ["-"], about: "Less like the row, or what plays", run: focused((track) => actions.steer(track, "dislike")) },
    { keys: ["x"], about: "Play the row next", run: focused((track) => actions.playNext(track)) },
    { keys: ["q"], about: "Add the row to the queue", run: focused((track) => actions.addToQueue(track)) },
    { keys: ["i"], about: "Details of the row, or what plays", run: focused((track) => actions.openDetails(track)) },
    { keys: ["["], about: "Path from the row, or what plays", run: focused((track) => actions.setPathEnd(track, "start")) },
    { keys: ["]"], about: "Path to the row, or what plays", run: focused((track) => actions.setPathEnd(track, "end")) },
    { keys: ["s"], about: "Station from what plays, or its end", run: current((track) => (station.on ? station.stop() : actions.startStation(track))) },
    { keys: ["1"], about: "Search view", run: () => router.go("#/") },
    { keys: ["2"], about: "Map", run: () => router.go("#/map") },
    { keys: ["3"], about: "Path", run: () => router.go("#/path") },
    { keys: ["4"], about: "Queue", run: () => router.go("#/queue") },
    { keys: ["5"], about: "Library", run: () => router.go("#/indexing") },
    { keys: ["t"], about: "Light or dark", run: toggleTheme },
    { keys: ["?"], about: "These keys", run: help },
  ];
}

/** Run the shortcuts for keys that no field, button or row takes itself. */
export function listen(list) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (takesKeys(event.target, event.key) || !shortcutsOn()) return;
    const found = list.find(({ keys }) => keys.includes(event.key));
    if (!found || document.querySelector("dialog[open], .menu")) return;
    event.preventDefault();
    found.run();
  });
}

/** Whether single keys are shortcuts on this device. */
export function shortcutsOn() {
  try {
    return localStorage.getItem(OFF) === null;
  } catch {
    return true;
  }
}

export function setShortcuts(on) {
  try {
    if (on) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } catch { /* storage is off: they stay on */ }
}

function takesKeys(target, key) {
  if (target.matches("input:not([type=radio], [type=range], [type=checkbox]), textarea, select, [contenteditable]")) return true;
  return key === " " && target.matches("button, a, summary, input");
}
