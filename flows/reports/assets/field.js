// What is drawn of a product over time and height: a byte a pixel, and its colour.

const COLOURS = 240,
  NO_ECHO = 240,
  NO_DATA = 241,
  HIDDEN = 242,
  MISSED = 243,
  INVENTED = 244,
  FILLED_CLEAR = 245;
const OBSERVED = 0,
  UNTRUSTED = 2,
  ABSENT = 3;

/** Layers: `code` of a pixel; `lacks` says why a day has none; `isInvented` if a network made what is drawn of filled pixels. */
const LAYERS = [
  {
    name: "observed",
    label: "Observed",
    scale: "reflectivity",
    title: "Observed above the blind zone, dBZ",
    hatchesHidden: true,
    code: (day, i) =>
      day.fields.flag.whole[i] === OBSERVED ? echo(day, day.fields.observed.at(i)) : HIDDEN,
  },
  {
    name: "filled",
    label: "Filled",
    scale: "reflectivity",
    title: "Blind zone filled: median, dBZ",
    isInvented: true,
    code: (day, i) =>
      day.filledAt[i] < 0
        ? echo(day, day.fields.observed.at(i))
        : filledEcho(day, day.ofFilled("filled", i)),
  },
  {
    name: "member",
    label: "Member",
    scale: "reflectivity",
    lacks: lacksGivenEcho,
    title: "One ensemble member, dBZ",
    isInvented: true,
    code: (day, i) =>
      day.filledAt[i] < 0
        ? echo(day, day.fields.observed.at(i))
        : filledEcho(day, memberAt(day, i)),
  },
  {
    name: "width",
    label: "Width given echo",
    scale: "width",
    lacks: lacksGivenEcho,
    title: "Width of the 90 % interval given echo, dB",
    ofFilled: true,
    code: codeWidth,
  },
  {
    name: "probability",
    label: "Probability",
    scale: "probability",
    title: "Probability of echo",
    ofFilled: true,
    code: (day, i) => scaled(day, "probability", day.ofFilled("probability", i)),
  },
  {
    name: "origin",
    label: "Origin",
    title: "Where each pixel comes from",
    code: (day, i) => day.fields.flag.whole[i],
  },
  {
    name: "truth",
    label: "Truth",
    scale: "reflectivity",
    title: "As measured, the hidden part too, dBZ",
    lacks: lacksTruth,
    code: (day, i) => (day.knows(i) ? echo(day, day.fields.observed.at(i)) : HIDDEN),
  },
  {
    name: "error",
    label: "Error",
    scale: "error",
    title: "Filled minus measured, dB",
    lacks: lacksTruth,
    ofFilled: true,
    code: codeError,
  },
];

function lacksTruth(day) {
  return day.truth ? "" : "Not known: no truth is trusted in what was filled";
}

function lacksGivenEcho(day) {
  return day.fields.given_echo ? "" : "This product has no quantiles given echo";
}

function filledEcho(day, value) {
  return value === null ? FILLED_CLEAR : scaled(day, "reflectivity", value);
}

function codeWidth(day, i) {
  if (day.filledAt[i] < 0) return HIDDEN;
  // What is improbable would fill the picture otherwise.
  return day.ofFilled("probability", i) < common.codes.least_probability
    ? NO_ECHO
    : scaled(day, "width", widthAt(day, i));
}

function codeError(day, i) {
  if (day.filledAt[i] < 0) return HIDDEN;
  if (!day.ofFilled("known", i)) return NO_DATA;
  const filled = day.ofFilled("filled", i),
    observed = day.fields.observed.at(i);
  const isThere = observed !== null && observed > day.floor;
  if (filled === null) return isThere ? MISSED : NO_ECHO;
  return isThere ? scaled(day, "error", filled - observed) : INVENTED;
}

function memberAt(day, i) {
  if (day.filledAt[i] < 0) return day.fields.observed.at(i);
  const value = day.fields.member ? day.ofFilled("member", i) : null;
  return value !== null && value > day.floor ? value : null;
}

function widthAt(day, i) {
  const [low, high] = [0.05, 0.95].map((level) => day.quantile("given_echo", day.level(level), i));
  return low === null || high === null ? null : high - low;
}

function echo(day, value) {
  return value === null ? NO_ECHO : scaled(day, "reflectivity", value);
}

function scaled(day, name, value) {
  if (value === null) return HIDDEN;
  const [low, high] = day.scales[name].limits;
  return Math.min(Math.max(Math.floor(((value - low) / (high - low)) * COLOURS), 0), COLOURS - 1);
}

/** Codes of all pixels of a layer, made once. */
function codesOf(day, layer) {
  day.codes ??= {};
  if (!day.codes[layer.name]) {
    const codes = new Uint8Array(day.filledAt.length);
    const flag = day.fields.flag.whole;
    for (let i = 0; i < codes.length; i++)
      codes[i] = flag[i] === ABSENT ? NO_DATA : layer.code(day, i);
    day.codes[layer.name] = codes;
  }
  return day.codes[layer.name];
}

const theme = new Map();

/** Colour of the theme that is on, by its name in the style. */
function themed(name) {
  if (!theme.has(name)) {
    const style = getComputedStyle(document.documentElement);
    theme.set(name, style.getPropertyValue(`--${name}`).trim());
  }
  return theme.get(name);
}

function parseColour(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const toPixel = ([red, green, blue]) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;

/** Colour of a kind of column; clear sky is pale in the light and dark in the dark. */
function columnColour(code) {
  const [, colour] = common.codes.columns[code] ?? [];
  return code === 0 || code === "0" ? themed("clear") : (colour ?? themed("no-data"));
}

const isDark = () => document.documentElement.dataset.theme === "dark";
/** Colour of echo that was missed: black in pictures, and seen in the dark too. */
const missedColour = () => (isDark() ? themed("missed") : common.codes.colours.missed);

/** Colours of codes, and the same between the lines of the hatch. */
function makePalette(day, layer) {
  const plain = new Array(256).fill(themed("no-data"));
  const colours = layer.scale ? day.scales[layer.scale].colours : "";
  for (let code = 0; code < COLOURS && layer.scale; code++)
    plain[code] = `#${colours.slice(6 * code, 6 * code + 6)}`;
  const { origins, invented } = common.codes.colours;
  if (!layer.scale)
    origins.slice(0, ABSENT).forEach((colour, code) => {
      plain[code] = colour;
    });
  plain[MISSED] = missedColour();
  plain[INVENTED] = invented;
  plain[FILLED_CLEAR] = themed("filled-clear");
  plain[NO_ECHO] = themed("field");
  plain[HIDDEN] = themed("hidden");
  const line = parseColour(themed("hatch")),
    pale = parseColour(themed("soft"));
  const colour = plain.map(parseColour);
  const mix = (of, over, share) =>
    of.map((part, at) => Math.round(part + (over[at] - part) * share));
  const lined = colour.map((of, code) =>
    code < COLOURS ? mix(of, line, 0.6) : mix(of, pale, 0.45),
  );
  return { plain: Uint32Array.from(colour, toPixel), lined: Uint32Array.from(lined, toPixel) };
}

/** Profile that each column of a raster shows, -1 where none is near. */
function findColumns(day, width, [from, to]) {
  const out = new Int32Array(width);
  const column = (to - from) / width;
  const reach = 0.75 * Math.max(day.step, column);
  for (let x = 0; x < width; x++) {
    const second = from + (x + 0.5) * column;
    const profile = day.nearest(second);
    out[x] = Math.abs(day.seconds[profile] - second) > reach ? -1 : profile;
  }
  return out;
}

/** Draws a layer into a rectangle of a canvas, whole dots of the device. */
function paintField(context, box, day, layer, view, isHatched) {
  const { width, height } = box;
  if (width < 1 || height < 1) return;
  const codes = codesOf(day, layer),
    { plain, lined } = makePalette(day, layer);
  const columns = findColumns(day, width, [view.from, view.to]);
  const image = context.createImageData(width, height);
  const dots = new Uint32Array(image.data.buffer);
  const period = Math.max(6, Math.round(7 * devicePixelRatio)),
    thick = Math.max(1, Math.round(1.2 * devicePixelRatio));
  for (let y = 0; y < height; y++) {
    const row = day.rowAt(view.high - ((y + 0.5) / height) * (view.high - view.low));
    const first = row * day.count,
      at = y * width;
    for (let x = 0; x < width; x++) {
      const profile = columns[x];
      if (row < 0 || profile < 0) {
        dots[at + x] = plain[NO_DATA];
        continue;
      }
      const pixel = first + profile;
      const striped =
        isHatched &&
        (x + y) % period < thick &&
        (layer.isInvented
          ? day.filledAt[pixel] >= 0
          : layer.hatchesHidden && codes[pixel] === HIDDEN);
      dots[at + x] = (striped ? lined : plain)[codes[pixel]];
    }
  }
  context.putImageData(image, box.left, box.top);
}

/** Draws a row of colours along time. */
function paintStrip(canvas, day, view, colourOf) {
  const context = fit(canvas);
  const columns = findColumns(day, canvas.width, [view.from, view.to]);
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = columns[x] < 0 ? themed("no-data") : colourOf(columns[x]);
    context.fillRect(x, 0, 1, canvas.height);
  }
}

/** Returns the context of a canvas with as many dots as the device has for it. */
function fit(canvas) {
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
  return canvas.getContext("2d");
}
