// What is drawn of a day, and its legends.

let planned = 0;

function build() {
  for (const chart of Object.values(charts)) chart?.destroy();
  const width = $("field").clientWidth;
  state.left = width < 480 ? 38 : 74; // no room for a label
  document.documentElement.style.setProperty("--left", `${state.left}px`);
  charts.field = makeFieldChart(
    $("field"),
    { width, height: fieldHeight() },
    { paint, mark, point },
  );
  listenToPointers(charts.field.over);
  charts.profile = makeProfileChart(
    $("profile"),
    { width: $("profile").clientWidth, height: SIDE.height },
    state.day,
  );
  charts.rates = state.day.derived
    ? makeRateChart($("rates"), { width: $("rates").clientWidth, height: 170 }, state.day)
    : null;
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
    paintStrip($("classes"), day, view, (profile) => columnColour(day.derived.kind.at(profile)));
  }
  const [first, last] = day.span,
    of = last - first;
  $("window").style.left = `${(100 * (view.from - first)) / of}%`;
  $("window").style.width = `${(100 * (view.to - view.from)) / of}%`;
  showLayer();
  showCursor();
}

function paint(chart) {
  const { left, top, width, height } = chart.bbox;
  const box = Object.fromEntries(
    Object.entries({ left, top, width, height }).map(([key, value]) => [key, Math.round(value)]),
  );
  const { ctx } = chart;
  paintField(ctx, box, state.day, state.layer, state.view, state.isHatched);
}

/** The top of the blind zone, and of the rows without trusted truth, over the field. */
function mark(chart) {
  const { ctx, bbox } = chart,
    { day, view } = state;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const columns = findColumns(day, Math.round(bbox.width), [view.from, view.to]);
  const path = new Path2D();
  let isDown = false;
  columns.forEach((profile, x) => {
    const top = profile < 0 ? null : day.profiles.top.at(profile);
    if (top === null) {
      isDown = false;
      return;
    }
    const y = chart.valToPos(top, "y", true);
    if (isDown) path.lineTo(bbox.left + x + 0.5, y);
    else path.moveTo(bbox.left + x, y);
    isDown = true;
  });
  const ratio = devicePixelRatio;
  for (const [colour, width] of [
    [themed("halo"), 3.5],
    [themed("zone"), 1.6],
  ]) {
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
  const canvas = $("overview").firstElementChild,
    context = fit(canvas),
    { day } = state;
  const [from, to] = day.span;
  const view = { from, to, low: Math.max(0, day.edges[0]), high: day.top };
  paintField(
    context,
    { left: 0, top: 0, width: canvas.width, height: canvas.height },
    day,
    LAYERS[1],
    view,
    false,
  );
}

function showLayer() {
  for (const button of $("layers").children)
    button.setAttribute("aria-pressed", String(button.dataset.layer === state.layer.name));
  $("layer-title").textContent = state.layer.title;
  const { layer, day } = state,
    { colours } = common.codes;
  const parts = [];
  if (layer.scale) parts.push(makeBar(day.scales[layer.scale]));
  else
    colours.origins
      .slice(0, ABSENT)
      .forEach((colour, code) => parts.push(swatch(colour, common.codes.flags[code])));
  if (layer.scale === "reflectivity") parts.push(swatch(themed("field"), "no echo"));
  if (layer.name === "width") parts.push(swatch(themed("field"), "echo unlikely"));
  if (layer.name === "error")
    parts.push(swatch(missedColour(), "missed"), swatch(colours.invented, "invented"));
  parts.push(swatch(themed("no-data"), layer.name === "error" ? "no trusted truth" : "no data"));
  if (layer.name === "observed") parts.push(swatch(striped("hidden"), "hidden"));
  if (layer.ofFilled) parts.push(swatch(themed("hidden"), "observed"));
  if (layer.isInvented && state.isHatched) parts.push(swatch(striped("filled-clear"), "filled"));
  fill($("legend"), parts);
}

function swatch(colour, text) {
  const box = element("span"),
    square = element("i");
  square.style.background = colour;
  box.append(square, text);
  return box;
}

const striped = (ground) =>
  `repeating-linear-gradient(-45deg, ${themed(ground)} 0 3px, ${themed("soft")} 3px 4px)`;

function makeBar(scale) {
  const box = element("span"),
    canvas = document.createElement("canvas"),
    [low, high] = scale.limits;
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
  const key = (name, text) => swatch(themed(name), text);
  const truth = state.day.truth ? [key("truth", "truth")] : [];
  fill($("profile-legend"), [
    key("measured", "observed"),
    key("fan", "median and intervals of 50 to 95 %"),
    key("member", "member"),
    ...truth,
  ]);
}

function describeDerivedKey() {
  const { derived } = state.day;
  if (!derived) return;
  const present = new Set(derived.kind.whole);
  fill(
    $("classes-legend"),
    Object.entries(common.codes.columns)
      .filter(([code]) => present.has(Number(code)))
      .map(([code, [name]]) => swatch(columnColour(code), name)),
  );
  fill(
    $("rates-legend"),
    derived.rates.map((rate) => {
      const total =
        rate.daily.length === 1 && rate.daily[0] !== null
          ? `, ${rate.daily[0].toFixed(1)} mm in the day`
          : "";
      return swatch(
        themed(rate.name === "rainfall" ? "rain" : "snow"),
        `if ${rate.name === "rainfall" ? "rain" : "snow"}: mean and 90 % interval${total}`,
      );
    }),
  );
}
