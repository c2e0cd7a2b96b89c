// The page: its state, the cursor, what is drawn where, and what people press.

const $ = (id) => document.getElementById(id);
const common = JSON.parse($("common").textContent);
const state = { number: 0, day: null, layer: LAYERS[1], view: null, cursor: { profile: 0, row: 0 },
                isHatched: true, isLow: true, fan: "quantiles" };
const charts = { field: null, profile: null, rates: null };
const days = new Map();
let planned = 0;

const SIDE = { height: 330 };

// ---- days

function whenParsed() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
}

async function openDay(number) {
  if (!days.has(number)) {
    if (!$(`day-${number}`)) await whenParsed(); // days after the first follow this script
    if (days.size > 3) days.delete(days.keys().next().value); // a phone has no room for a month
    days.set(number, await Day.open(JSON.parse($(`day-${number}`).textContent)));
  }
  return days.get(number);
}

async function showDay(number) {
  $("state").textContent = "Unpacking …";
  $("state").hidden = false;
  const day = await openDay(number);
  Object.assign(state, { number, day });
  resetView();
  state.cursor = { profile: Math.floor(day.count / 2), row: findStart(day) };
  describeDay(day);
  build();
  $("state").hidden = true;
  document.documentElement.dataset.ready = String(number);
}

/** Row where the cursor begins: the highest that is filled in the middle profile. */
function findStart(day) {
  const profile = Math.floor(day.count / 2);
  for (let row = day.rows - 1; row > 0; row--) if (day.filledAt[day.pixel(row, profile)] >= 0) return row;
  return 0;
}

function resetView() {
  const [from, to] = state.day.span;
  state.view = { from, to, low: Math.max(0, state.day.edges[0]), high: findTop() };
}

function findTop() {
  const { day } = state;
  return state.isLow ? Math.min(4000, day.top) : day.top;
}

// ---- texts

function describeDay(day) {
  $("title").textContent = day.title;
  $("place").textContent = [day.place, `${day.when} ${day.clock}`.trim(), `${day.count} profiles`].filter(Boolean).join(" · ");
  document.title = `${day.when} · ${day.title}`;
  const isOutside = day.profiles.range.whole.some((bits) => bits !== 0);
  $("warning").hidden = !isOutside;
  $("warning").textContent = day.range;
  $("file").textContent = day.file || "in memory";
  fill($("facts"), day.facts.flatMap(([label, text]) => [element("dt", label), element("dd", text)]));
  describeScores(day);
  $("derived-text").textContent = day.derived
    ? `Counted over ${day.derived.members} ensemble members. Rates are those if it rains, and if it snows.`
    : day.lacks_derived;
  $("derived").hidden = !day.derived;
  $("day").value = String(state.number);
  $("day-before").disabled = state.number === 0;
  $("day-after").disabled = state.number === common.labels.length - 1;
  for (const button of $("layers").children) {
    if (!findLayer(button.dataset.layer).needsTruth) continue;
    button.disabled = !day.truth;
    button.title = day.truth ? "" : "Not known: the radar measured nothing there";
  }
  if (!day.truth && state.layer.needsTruth) state.layer = LAYERS[1];
}

const findLayer = (name) => LAYERS.find((layer) => layer.name === name);

function describeScores(day) {
  const { scores, how, reason } = day.verification;
  $("verification-text").textContent = reason || how;
  $("scores").hidden = scores.length === 0;
  const show = (score) => (score === null ? "not defined" : score.toFixed(3));
  fill($("scores").tBodies[0], scores.map(([name, what, filled, repeated]) => {
    const row = element("tr");
    fill(row, [element("td", name), element("td", show(filled), "number"), element("td", show(repeated), "number"), element("td", what, "soft")]);
    return row;
  }));
}

function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text; // never as HTML: texts come from files
  if (kind) made.className = kind;
  return made;
}

function fill(parent, children) {
  parent.replaceChildren(...children);
}

// ---- the readout

function readOut() {
  const { day, cursor } = state, { profile, row } = cursor, pixel = day.pixel(row, profile);
  const lines = [
    ["Time", `${clock(day.seconds[profile], 1)} UTC`, "time"],
    ["Height", `${Math.round(day.heights[row])} m`, "height"],
    ...describePixel(day, pixel),
    ...describeProfile(day, profile),
  ];
  fill($("readout"), lines.flatMap(([label, text, name, kind]) => {
    const value = element("dd", text, kind);
    value.dataset.name = name;
    return [element("dt", label), value];
  }));
}

const dbz = (value) => (value === null ? "no echo" : `${value.toFixed(1)} dBZ`);

function span(day, name, pixel) {
  const [low, high] = [0.05, 0.95].map((level) => day.quantile(name, day.level(level), pixel));
  const isFloor = (value) => value === null || (name === "quantiles" && value <= day.floor);
  if (isFloor(high)) return "no echo";
  return `${isFloor(low) ? "no echo" : low.toFixed(1)} to ${high.toFixed(1)} dBZ`;
}

function describePixel(day, pixel) {
  const flag = day.fields.flag.whole[pixel];
  const origin = ["Origin", common.codes.flags[flag], "origin"];
  if (flag === ABSENT) return [["Reflectivity", "no data", "value", "main"], origin, ...describeKind(day, pixel)];
  if (day.filledAt[pixel] < 0) {
    return [["Observed", dbz(day.fields.observed.at(pixel)), "value", "main"], origin, ...describeKind(day, pixel)];
  }
  const truth = day.knows(pixel) ? [["Truth", describeTruth(day, pixel), "truth"]] : [];
  return [
    ["Filled", dbz(day.ofFilled("filled", pixel)), "value", "main"],
    ["90 % interval", span(day, "quantiles", pixel), "interval"],
    ["Probability", day.ofFilled("probability", pixel).toFixed(2), "probability"],
    ["90 % given echo", span(day, "given_echo", pixel), "given-echo"],
    ["Member", dbz(memberAt(day, pixel)), "member"],
    ...truth, origin, ...describeKind(day, pixel),
  ];
}

function describeTruth(day, pixel) {
  const value = day.fields.observed.at(pixel);
  const isWeak = value !== null && value <= day.floor;
  const notes = [isWeak ? "below the floor" : "", day.ofFilled("known", pixel) ? "" : "not trusted"].filter(Boolean);
  return `${dbz(value)}${notes.length ? ` (${notes.join(", ")})` : ""}`;
}

function describeKind(day, pixel) {
  const kind = day.fields.kind?.whole[pixel];
  return kind ? [["Hidden by", common.codes.kinds[kind], "kind"]] : [];
}

function describeProfile(day, profile) {
  const { range, score, latitude, longitude, along_track_distance: distance } = day.profiles;
  const bits = range.whole[profile];
  const reasons = Object.entries(common.codes.range).filter(([bit]) => bits & bit).map(([, name]) => name);
  const out = [["Calibrated", reasons.length ? `no: ${reasons.join(", ")}` : "yes", "range"]];
  if (score && score.at(profile) !== null) out.push(["Novelty", `${score.text(profile)} (above 1: unlike training)`, "score"]);
  if (latitude) out.push(["Place", `${latitude.text(profile)}° N, ${longitude.text(profile)}° E`, "place"]);
  if (distance) out.push(["Along track", `${(distance.at(profile) / 1000).toFixed(1)} km`, "distance"]);
  if (day.derived) out.push(...describeColumn(day.derived, profile, day.count));
  return out;
}

function describeColumn(derived, profile, count) {
  const [name] = common.codes.columns[derived.kind.at(profile)] ?? ["unknown"];
  const share = derived.probabilities[name]?.at(profile);
  const kind = [["Column", share === undefined || share === null ? name : `${name} (${share.toFixed(2)})`, "column"],
                ["Echo at ground", derived.ground.text(profile) || "not known", "ground"]];
  return [...kind, ...derived.rates.map((rate) => {
    const [low, high] = [rate.bounds.at(profile), rate.bounds.at(count + profile)];
    const text = rate.mean.at(profile) === null ? "not known"
      : `${rate.mean.at(profile).toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}) mm/h`;
    return [rate.name === "rainfall" ? "If rain" : "If snow", text, rate.name];
  })];
}

// ---- drawing

function build() {
  for (const chart of Object.values(charts)) chart?.destroy();
  const width = $("field").clientWidth;
  charts.field = makeFieldChart($("field"), { width, height: fieldHeight() }, { paint, mark, point });
  listenToPointers(charts.field.over);
  charts.profile = makeProfileChart($("profile"), { width: $("profile").clientWidth, height: SIDE.height }, state.day);
  charts.rates = state.day.derived ? makeRateChart($("rates"), { width: $("rates").clientWidth, height: 170 }, state.day) : null;
  describeProfileKey();
  describeDerivedKey();
  paintOverview();
  plan();
}

const fieldHeight = () => Math.max(260, Math.min(520, Math.round(innerHeight * 0.52)));

function plan() {
  if (planned) return;
  planned = requestAnimationFrame(() => {
    planned = 0;
    draw();
  });
}

function draw() {
  const { view, day } = state;
  charts.field.batch(() => {
    charts.field.setScale("x", { min: view.from, max: view.to });
    charts.field.setScale("y", { min: view.low, max: view.high });
  });
  charts.rates?.setScale("x", { min: view.from, max: view.to });
  paintStrip($("strip"), day, view, (profile) => {
    const bits = day.profiles.range.whole[profile];
    return bits & 2 ? themed("no-data") : bits ? themed("outside") : themed("line");
  });
  if (day.derived) {
    paintStrip($("classes"), day, view, (profile) => common.codes.columns[day.derived.kind.at(profile)]?.[1] ?? themed("no-data"));
  }
  const [first, last] = day.span, of = last - first;
  $("window").style.left = `${(100 * (view.from - first)) / of}%`;
  $("window").style.width = `${(100 * (view.to - view.from)) / of}%`;
  showLayer();
  showCursor();
}

function paint(chart) {
  const { left, top, width, height } = chart.bbox;
  const box = Object.fromEntries(Object.entries({ left, top, width, height }).map(([key, value]) => [key, Math.round(value)]));
  const { ctx } = chart;
  paintField(ctx, box, state.day, state.layer, state.view, state.isHatched);
}

/** The top of the blind zone, and of the rows without trusted truth, over the field. */
function mark(chart) {
  const { ctx, bbox } = chart, { day, view } = state;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const columns = findColumns(day, Math.round(bbox.width), [view.from, view.to]);
  const path = new Path2D();
  let isDown = false;
  columns.forEach((profile, x) => {
    const top = profile < 0 ? null : day.profiles.top.at(profile);
    if (top === null) { isDown = false; return; }
    const y = chart.valToPos(top, "y", true);
    if (isDown) path.lineTo(bbox.left + x + 0.5, y);
    else path.moveTo(bbox.left + x, y);
    isDown = true;
  });
  const ratio = devicePixelRatio;
  for (const [colour, width] of [[themed("halo"), 3.5], [themed("zone"), 1.6]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width * ratio;
    ctx.stroke(path);
  }
  const untrusted = findUntrusted(day);
  if (untrusted > 0 && state.layer.name !== "observed") {
    const y = chart.valToPos(untrusted, "y", true);
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.strokeStyle = themed("zone");
    ctx.lineWidth = 1.2 * ratio;
    ctx.stroke();
  }
  ctx.restore();
}

/** Upper edge of the highest row that is filled without trusted truth [m]; 0 if none. */
function findUntrusted(day) {
  if (day.untrustedTop === undefined) {
    const last = day.fields.flag.whole.lastIndexOf(UNTRUSTED);
    day.untrustedTop = last < 0 ? 0 : day.edges[Math.floor(last / day.count) + 1];
  }
  return day.untrustedTop;
}

function paintOverview() {
  const canvas = $("overview").firstElementChild, context = fit(canvas), { day } = state;
  const [from, to] = day.span;
  const view = { from, to, low: Math.max(0, day.edges[0]), high: day.top };
  paintField(context, { left: 0, top: 0, width: canvas.width, height: canvas.height }, day, LAYERS[1], view, false);
}

function showLayer() {
  for (const button of $("layers").children) button.setAttribute("aria-pressed", String(button.dataset.layer === state.layer.name));
  $("layer-title").textContent = state.layer.title;
  const { layer, day } = state, { colours } = common.codes;
  const swatch = (colour, text) => {
    const box = element("span"), square = element("i");
    square.style.background = colour;
    box.append(square, text);
    return box;
  };
  const parts = [];
  if (layer.scale) parts.push(makeBar(day.scales[layer.scale]));
  else colours.origins.slice(0, ABSENT).forEach((colour, code) => parts.push(swatch(colour, common.codes.flags[code])));
  if (layer.scale === "reflectivity") parts.push(swatch(themed("field"), "no echo"));
  if (layer.name === "width") parts.push(swatch(themed("field"), "echo unlikely"));
  if (layer.name === "error") parts.push(swatch(colours.missed, "missed"), swatch(colours.invented, "invented"));
  parts.push(swatch(themed("no-data"), layer.name === "error" ? "no trusted truth" : "no data"));
  if (layer.name === "observed") parts.push(swatch(striped("hidden"), "hidden"));
  if (layer.ofFilled) parts.push(swatch(themed("hidden"), "observed"));
  if (layer.isInvented && state.isHatched) parts.push(swatch(striped("field"), "filled"));
  fill($("legend"), parts);
}

const striped = (ground) => `repeating-linear-gradient(-45deg, ${themed(ground)} 0 3px, ${themed("soft")} 3px 4px)`;

function makeBar(scale) {
  const box = element("span"), canvas = document.createElement("canvas"), [low, high] = scale.limits;
  canvas.width = COLOURS;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  for (let code = 0; code < COLOURS; code++) {
    context.fillStyle = `#${scale.colours.slice(6 * code, 6 * code + 6)}`;
    context.fillRect(code, 0, 1, 1);
  }
  box.append(String(low), canvas, String(high));
  return box;
}

function describeProfileKey() {
  const key = (colour, text) => {
    const box = element("span"), square = element("i");
    square.style.background = themed(colour);
    box.append(square, text);
    return box;
  };
  const truth = state.day.truth ? [key("truth", "truth")] : [];
  fill($("profile-legend"), [key("measured", "observed"), key("fan", "median and intervals of 50 to 95 %"), key("member", "member"), ...truth]);
}

function describeDerivedKey() {
  const { derived } = state.day;
  if (!derived) return;
  const key = (colour, text) => {
    const box = element("span"), square = element("i");
    square.style.background = colour;
    box.append(square, text);
    return box;
  };
  const present = new Set(derived.kind.whole);
  fill($("classes-legend"), Object.entries(common.codes.columns).filter(([code]) => present.has(Number(code))).map(([, [name, colour]]) => key(colour, name)));
  fill($("rates-legend"), derived.rates.map((rate) => {
    const total = rate.daily.length === 1 && rate.daily[0] !== null ? `, ${rate.daily[0].toFixed(1)} mm in the day` : "";
    return key(themed(rate.name === "rainfall" ? "rain" : "snow"), `if ${rate.name === "rainfall" ? "rain" : "snow"}: mean and 90 % interval${total}`);
  }));
}

// ---- the cursor

function point(chart) {
  const { left, top } = chart.cursor;
  if (state.isSet || left === undefined || left < 0) return;
  const row = state.day.rowAt(chart.posToVal(top, "y"));
  state.cursor = { profile: state.day.nearest(chart.posToVal(left, "x")), row: Math.max(row, 0) };
  showValues();
}

function showValues() {
  const { day, cursor, fan, view } = state;
  readOut();
  charts.profile.batch(() => {
    charts.profile.setData(profileData(day, cursor.profile, fan), false);
    charts.profile.setScale("x", { min: view.low, max: view.high });
  });
}

/** Puts the cross of the chart where the cursor is. */
function showCursor() {
  const { day, cursor } = state;
  state.isSet = true;
  charts.field.setCursor({ left: charts.field.valToPos(day.seconds[cursor.profile], "x"),
                           top: charts.field.valToPos(day.heights[cursor.row], "y") });
  state.isSet = false;
  showValues();
}

function moveCursor(profiles, rows) {
  const { day, cursor, view } = state;
  const limit = (value, most) => Math.min(Math.max(value, 0), most);
  cursor.profile = limit(cursor.profile + profiles, day.count - 1);
  cursor.row = limit(cursor.row + rows, day.rows - 1);
  const second = day.seconds[cursor.profile], height = day.heights[cursor.row];
  if (second < view.from || second > view.to) pan(second - (view.from + view.to) / 2, 0);
  if (height > view.high || height < view.low) pan(0, height - (view.low + view.high) / 2);
  showCursor();
}

/** Profiles of one step of the cursor: what is a dot of the screen, one at least. */
function stepOf() {
  const { day, view } = state;
  return Math.max(1, Math.round((view.to - view.from) / charts.field.over.clientWidth / day.step));
}

// ---- the view

function setView(from, to, low, high) {
  const { day } = state, [first, last] = day.span;
  const width = Math.min(Math.max(to - from, Math.min(20 * day.step, last - first)), last - first);
  const bottom = Math.max(0, day.edges[0]), depth = Math.min(Math.max(high - low, 300), day.top - bottom);
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
  const at = (event) => [charts.field.posToVal(event.offsetX, "x"), charts.field.posToVal(event.offsetY, "y")];
  over.addEventListener("pointerdown", (event) => {
    over.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    $("field").focus({ preventScroll: true });
  });
  over.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const { from, to, low, high } = state.view, { clientWidth: width, clientHeight: height } = over;
    if (pointers.size === 2) {
      const [other] = [...pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
      const apart = (one) => Math.max(Math.abs(one.clientX - other.clientX), 20);
      zoom(apart(before) / apart(event), at(event)[0]);
    } else {
      over.classList.add("moving");
      pan(((before.clientX - event.clientX) / width) * (to - from),
          event.pointerType === "mouse" ? ((event.clientY - before.clientY) / height) * (high - low) : 0);
    }
    pointers.set(event.pointerId, event);
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    over.classList.remove("moving");
  };
  over.addEventListener("pointerup", end);
  over.addEventListener("pointercancel", end);
  over.addEventListener("wheel", (event) => {
    event.preventDefault();
    const factor = 1.0015 ** event.deltaY, [second, height] = at(event);
    if (event.shiftKey) zoomHeights(factor, height);
    else zoom(factor, second);
  }, { passive: false });
  over.addEventListener("dblclick", showWhole);
}

function showWhole() {
  resetView();
  plan();
}

function listenToOverview() {
  const overview = $("overview");
  const go = (event) => {
    const { left, width } = overview.getBoundingClientRect(), [first, last] = state.day.span;
    const second = first + ((event.clientX - left) / width) * (last - first);
    pan(second - (state.view.from + state.view.to) / 2, 0);
  };
  overview.addEventListener("pointerdown", (event) => {
    overview.setPointerCapture(event.pointerId);
    const [first, last] = state.day.span;
    if (state.view.to - state.view.from > 0.99 * (last - first)) zoom(1 / 6);
    go(event);
  });
  overview.addEventListener("pointermove", (event) => { if (event.buttons) go(event); });
}

// ---- keys and buttons

function listenToKeys() {
  $("field").addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1, step = stepOf() * far;
    const { day, view } = state;
    const actions = {
      ArrowLeft: () => moveCursor(-step, 0), ArrowRight: () => moveCursor(step, 0),
      ArrowUp: () => moveCursor(0, far), ArrowDown: () => moveCursor(0, -far),
      Home: () => moveCursor(-day.count, 0), End: () => moveCursor(day.count, 0),
      PageUp: () => pan(-0.5 * (view.to - view.from), 0), PageDown: () => pan(0.5 * (view.to - view.from), 0),
      "+": () => zoom(1 / 1.5, day.seconds[state.cursor.profile]), "=": () => zoom(1 / 1.5, day.seconds[state.cursor.profile]),
      "-": () => zoom(1.5, day.seconds[state.cursor.profile]), 0: showWhole,
    };
    const chosen = LAYERS[Number(event.key) - 1];
    const action = actions[event.key] ?? (chosen && (() => chooseLayer(chosen)));
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}

function chooseLayer(layer) {
  if (layer.needsTruth && !state.day.truth) return;
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
    button.setAttribute("aria-label", `${layer.title} (key ${at + 1})`);
    $("layers").append(button);
  });
  toggle("hatch", (isOn) => { state.isHatched = isOn; plan(); });
  toggle("low", (isOn) => { state.isLow = isOn; setView(state.view.from, state.view.to, 0, findTop()); });
  toggle("given-echo", (isOn) => { state.fan = isOn ? "given_echo" : "quantiles"; showValues(); });
  $("closer").onclick = () => zoom(1 / 1.5);
  $("wider").onclick = () => zoom(1.5);
  $("whole").onclick = showWhole;
  $("day").onchange = () => showDay(Number($("day").value));
  $("day-before").onclick = () => showDay(state.number - 1);
  $("day-after").onclick = () => showDay(state.number + 1);
  $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  if (state.day) build();
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
setTheme(prefersDark.matches ? "dark" : "light");
prefersDark.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
new ResizeObserver(() => {
  if (!charts.field) return;
  charts.field.setSize({ width: $("field").clientWidth, height: fieldHeight() });
  charts.profile.setSize({ width: $("profile").clientWidth, height: SIDE.height });
  charts.rates?.setSize({ width: $("rates").clientWidth, height: 170 });
  paintOverview();
  plan();
}).observe(document.querySelector("main"));
listenToButtons();
listenToKeys();
listenToOverview();
showDay(0);
