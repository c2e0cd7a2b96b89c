// The cursor, the view, and what people press.

function point(chart) {
  const { left, top } = chart.cursor;
  if (state.isSet || left === undefined || left < 0) return;
  const row = state.day.rowAt(chart.posToVal(top, "y"));
  state.cursor = { profile: state.day.nearest(chart.posToVal(left, "x")), row: Math.max(row, 0) };
  showValues();
}

function showValues(isSpoken = false) {
  const { day, cursor, fan, view } = state;
  readOut(isSpoken);
  charts.profile.batch(() => {
    charts.profile.setData(profileData(day, cursor.profile, fan), false);
    charts.profile.setScale("x", { min: view.low, max: view.high });
  });
}

/** Puts the cross of the chart where the cursor is. */
function showCursor(isSpoken = false) {
  const { day, cursor } = state;
  state.isSet = true;
  charts.field.setCursor({
    left: charts.field.valToPos(day.seconds[cursor.profile], "x"),
    top: charts.field.valToPos(day.heights[cursor.row], "y"),
  });
  state.isSet = false;
  showValues(isSpoken);
}

function moveCursor(profiles, rows) {
  const { day, cursor, view } = state;
  const limit = (value, most) => Math.min(Math.max(value, 0), most);
  cursor.profile = limit(cursor.profile + profiles, day.count - 1);
  cursor.row = limit(cursor.row + rows, day.rows - 1);
  const second = day.seconds[cursor.profile],
    height = day.heights[cursor.row];
  if (second < view.from || second > view.to) pan(second - (view.from + view.to) / 2, 0);
  if (height > view.high || height < view.low) pan(0, height - (view.low + view.high) / 2);
  showCursor(true);
}

/** Profiles of one step of the cursor: what is a dot of the screen, one at least. */
function stepOf() {
  const { day, view } = state;
  return Math.max(1, Math.round((view.to - view.from) / charts.field.over.clientWidth / day.step));
}

function setView(from, to, low, high) {
  const { day } = state,
    [first, last] = day.span;
  const width = Math.min(Math.max(to - from, Math.min(20 * day.step, last - first)), last - first);
  const bottom = Math.max(0, day.edges[0]),
    depth = Math.min(Math.max(high - low, 300), day.top - bottom);
  const start = Math.min(Math.max(from, first), last - width);
  const base = Math.min(Math.max(low, bottom), day.top - depth);
  state.view = { from: start, to: start + width, low: base, high: base + depth };
  plan();
}

function pan(seconds, metres) {
  const { from, to, low, high } = state.view;
  setView(from + seconds, to + seconds, low + metres, high + metres);
}

function zoom(factor, at = (state.view.from + state.view.to) / 2) {
  const { from, to, low, high } = state.view;
  setView(at - (at - from) * factor, at + (to - at) * factor, low, high);
}

function zoomHeights(factor, at) {
  const { from, to, low, high } = state.view;
  setView(from, to, at - (at - low) * factor, at + (high - at) * factor);
}

function listenToPointers(over) {
  const pointers = new Map();
  const at = (event) => [
    charts.field.posToVal(event.offsetX, "x"),
    charts.field.posToVal(event.offsetY, "y"),
  ];
  over.addEventListener("pointerdown", (event) => {
    over.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    $("field").focus({ preventScroll: true });
  });
  over.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const { from, to, low, high } = state.view,
      { clientWidth: width, clientHeight: height } = over;
    if (pointers.size === 2) {
      const [other] = [...pointers.values()].filter(
        (pointer) => pointer.pointerId !== event.pointerId,
      );
      const apart = (one) => Math.max(Math.abs(one.clientX - other.clientX), 20);
      zoom(apart(before) / apart(event), at(event)[0]);
    } else {
      over.classList.add("moving");
      pan(
        ((before.clientX - event.clientX) / width) * (to - from),
        event.pointerType === "mouse"
          ? ((event.clientY - before.clientY) / height) * (high - low)
          : 0,
      );
    }
    pointers.set(event.pointerId, event);
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    over.classList.remove("moving");
  };
  over.addEventListener("pointerup", end);
  over.addEventListener("pointercancel", end);
  over.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const factor = 1.0015 ** event.deltaY,
        [second, height] = at(event);
      if (event.shiftKey) zoomHeights(factor, height);
      else zoom(factor, second);
    },
    { passive: false },
  );
  over.addEventListener("dblclick", showWhole);
}

function showWhole() {
  resetView();
  plan();
}

function listenToOverview() {
  const overview = $("overview");
  const go = (event) => {
    const { left, width } = overview.getBoundingClientRect(),
      [first, last] = state.day.span;
    const second = first + ((event.clientX - left) / width) * (last - first);
    pan(second - (state.view.from + state.view.to) / 2, 0);
  };
  overview.addEventListener("pointerdown", (event) => {
    overview.setPointerCapture(event.pointerId);
    const [first, last] = state.day.span;
    if (state.view.to - state.view.from > 0.99 * (last - first)) zoom(1 / 6);
    go(event);
  });
  overview.addEventListener("pointermove", (event) => {
    if (event.buttons) go(event);
  });
}

function listenToKeys() {
  $("field").addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1,
      step = stepOf() * far;
    const { day, view } = state;
    const actions = {
      ArrowLeft: () => moveCursor(-step, 0),
      ArrowRight: () => moveCursor(step, 0),
      ArrowUp: () => moveCursor(0, far),
      ArrowDown: () => moveCursor(0, -far),
      Home: () => moveCursor(-day.count, 0),
      End: () => moveCursor(day.count, 0),
      PageUp: () => pan(-0.5 * (view.to - view.from), 0),
      PageDown: () => pan(0.5 * (view.to - view.from), 0),
      "+": () => zoom(1 / 1.5, day.seconds[state.cursor.profile]),
      "=": () => zoom(1 / 1.5, day.seconds[state.cursor.profile]),
      "-": () => zoom(1.5, day.seconds[state.cursor.profile]),
      0: showWhole,
    };
    const chosen = LAYERS[Number(event.key) - 1];
    const action = actions[event.key] ?? (chosen && (() => chooseLayer(chosen)));
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}

function chooseLayer(layer) {
  if (lackOf(layer, state.day)) return;
  state.layer = layer;
  plan();
}

function toggle(id, change) {
  $(id).addEventListener("click", () => {
    const isOn = $(id).getAttribute("aria-pressed") !== "true";
    $(id).setAttribute("aria-pressed", String(isOn));
    change(isOn);
  });
}

function listenToButtons() {
  LAYERS.forEach((layer, at) => {
    const button = element("button", layer.label);
    Object.assign(button, { type: "button", onclick: () => chooseLayer(layer) });
    button.dataset.layer = layer.name;
    button.setAttribute("aria-label", `${layer.label}: ${layer.title} (key ${at + 1})`);
    $("layers").append(button);
  });
  toggle("hatch", (isOn) => {
    state.isHatched = isOn;
    plan();
  });
  toggle("low", (isOn) => {
    state.isLow = isOn;
    setView(state.view.from, state.view.to, 0, findTop());
  });
  toggle("given-echo", (isOn) => {
    state.fan = isOn ? "given_echo" : "quantiles";
    showValues();
  });
  $("closer").onclick = () => zoom(1 / 1.5);
  $("wider").onclick = () => zoom(1.5);
  $("whole").onclick = showWhole;
  $("day").onchange = () => showDay(Number($("day").value));
  $("day-before").onclick = () => showDay(state.number - 1);
  $("day-after").onclick = () => showDay(state.number + 1);
  $("theme").onclick = () =>
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  theme.clear();
  if (state.day) build();
}
