// Texts of a page: what a day is, and what is at the cursor.

function describeDay(day) {
  $("title").textContent = day.title;
  $("place").textContent = [
    day.place,
    `${day.when} ${day.clock}`.trim(),
    `${day.count} profile${day.count === 1 ? "" : "s"}`,
  ]
    .filter(Boolean)
    .join(" · ");
  document.title = `${day.when} · ${day.title}`;
  const isOutside = day.profiles.range.whole.some((bits) => bits !== 0);
  $("warning").hidden = !isOutside;
  $("warning").textContent = day.range;
  $("file").textContent = day.file || "in memory";
  fill(
    $("facts"),
    day.facts.flatMap(([label, text]) => [element("dt", label), scrollable(element("dd", text))]),
  );
  describeScores(day);
  $("derived-text").textContent = day.derived
    ? `Counted over ${day.derived.members} ensemble members. Rates are those if it rains, and if it snows.`
    : day.lacks_derived;
  $("derived").hidden = !day.derived;
  $("day").value = String(state.number);
  $("day-before").disabled = state.number === 0;
  $("day-after").disabled = state.number === common.labels.length - 1;
  for (const button of $("layers").children) {
    const reason = lackOf(findLayer(button.dataset.layer), day);
    button.disabled = reason !== "";
    button.title = reason;
  }
  if (lackOf(state.layer, day)) state.layer = LAYERS[1];
  $("given-echo").hidden = !day.fields.given_echo;
  if (!day.fields.given_echo) state.fan = "quantiles";
}

/** Why a day has nothing of a layer; nothing if it has. */
const lackOf = (layer, day) => layer.lacks?.(day) ?? "";
const findLayer = (name) => LAYERS.find((layer) => layer.name === name);

function describeScores(day) {
  const { scores, how, reason } = day.verification;
  $("verification-text").textContent = reason || how;
  $("scores").hidden = scores.length === 0;
  const show = (score) => (score === null ? "–" : score.toFixed(3));
  fill(
    $("scores").tBodies[0],
    scores.map(([name, what, filled, repeated]) => {
      const row = element("tr"),
        label = element("td", name);
      label.append(element("small", what, "soft"));
      fill(row, [
        label,
        element("td", show(filled), "number"),
        element("td", show(repeated), "number"),
      ]);
      return row;
    }),
  );
}

function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text; // never as HTML: texts come from files
  if (kind) made.className = kind;
  return made;
}

/** Long texts scroll in a box of their own, by keys too. */
function scrollable(box) {
  if (box.textContent.length > 600) box.tabIndex = 0;
  return box;
}

function fill(parent, children) {
  parent.replaceChildren(...children);
}

/** Shows what is at the cursor; says it to screen readers if keys have moved it. */
function readOut(isSpoken) {
  const { day, cursor } = state,
    { profile, row } = cursor,
    pixel = day.pixel(row, profile);
  const lines = [
    ["Time", `${clock(day.seconds[profile], 1)} UTC`, "time"],
    ["Height", `${Math.round(day.heights[row])} m`, "height"],
    ...describePixel(day, pixel),
    ...describeProfile(day, profile),
  ];
  if (isSpoken)
    $("spoken").textContent = lines
      .slice(0, 5)
      .map(([label, text]) => `${label} ${text}`)
      .join(", ");
  fill(
    $("readout"),
    lines.flatMap(([label, text, name, kind]) => {
      const value = element("dd", text, kind);
      value.dataset.name = name;
      return [element("dt", label), value];
    }),
  );
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
  if (flag === ABSENT)
    return [["Reflectivity", "no data", "value", "main"], origin, ...describeKind(day, pixel)];
  if (day.filledAt[pixel] < 0) {
    return [
      ["Observed", dbz(day.fields.observed.at(pixel)), "value", "main"],
      origin,
      ...describeKind(day, pixel),
    ];
  }
  const truth = day.knows(pixel) ? [["Truth", describeTruth(day, pixel), "truth"]] : [];
  return [
    ["Filled", dbz(day.ofFilled("filled", pixel)), "value", "main"],
    ["90 % interval", span(day, "quantiles", pixel), "interval"],
    ["Probability", day.ofFilled("probability", pixel).toFixed(2), "probability"],
    ...describeGivenEcho(day, pixel),
    ...truth,
    origin,
    ...describeKind(day, pixel),
  ];
}

function describeGivenEcho(day, pixel) {
  if (!day.fields.given_echo) return [];
  return [
    ["90 % given echo", span(day, "given_echo", pixel), "given-echo"],
    ["Member", dbz(memberAt(day, pixel)), "member"],
  ];
}

function describeTruth(day, pixel) {
  const value = day.fields.observed.at(pixel);
  const isWeak = value !== null && value <= day.floor;
  const notes = [
    isWeak ? "below the floor" : "",
    day.ofFilled("known", pixel) ? "" : "not trusted",
  ].filter(Boolean);
  return `${dbz(value)}${notes.length ? ` (${notes.join(", ")})` : ""}`;
}

function describeKind(day, pixel) {
  const kind = day.fields.kind?.whole[pixel];
  return kind ? [["Hidden by", common.codes.kinds[kind], "kind"]] : [];
}

function describeProfile(day, profile) {
  const { range, score, latitude, longitude, along_track_distance: distance } = day.profiles;
  const bits = range.whole[profile];
  const reasons = Object.entries(common.codes.range)
    .filter(([bit]) => bits & bit)
    .map(([, name]) => name);
  const out = [["Calibrated", reasons.length ? `no: ${reasons.join(", ")}` : "yes", "range"]];
  if (score && score.at(profile) !== null)
    out.push(["Novelty", `${score.text(profile)} (usual: below 1)`, "score"]);
  if (latitude) out.push(["Place", placeOf(latitude.at(profile), longitude.at(profile)), "place"]);
  if (distance)
    out.push(["Along track", `${(distance.at(profile) / 1000).toFixed(1)} km`, "distance"]);
  if (day.derived) out.push(...describeColumn(day.derived, profile, day.count));
  return out;
}

function placeOf(latitude, longitude) {
  if (latitude === null || longitude === null) return "not known";
  const east = ((longitude + 540) % 360) - 180;
  const side = (value, [positive, negative]) =>
    `${Math.abs(value).toFixed(3)}° ${value < 0 ? negative : positive}`;
  return `${side(latitude, "NS")}, ${side(east, "EW")}`;
}

function describeColumn(derived, profile, count) {
  const [name] = common.codes.columns[derived.kind.at(profile)] ?? ["unknown"];
  const share = derived.probabilities[name]?.at(profile);
  const kind = [
    [
      "Column",
      share === undefined || share === null ? name : `${name} (${share.toFixed(2)})`,
      "column",
    ],
    ["Echo at ground", derived.ground.text(profile) || "not known", "ground"],
  ];
  return [
    ...kind,
    ...derived.rates.map((rate) => {
      const [low, high] = [rate.bounds.at(profile), rate.bounds.at(count + profile)];
      const text =
        rate.mean.at(profile) === null
          ? "not known"
          : `${rate.mean.at(profile).toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}) mm/h`;
      return [rate.name === "rainfall" ? "If rain" : "If snow", text, rate.name];
    }),
  ];
}
