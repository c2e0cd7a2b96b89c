// Numbers of a page, as blindzone.pipeline.plots.packing packs them.

const TYPES = { int8: Int8Array, int16: Int16Array, int32: Int32Array };

/** Whole numbers with the digits they are printed with; the lowest of the type means missing. */
class Numbers {
  constructor(whole, digits) {
    this.whole = whole;
    this.digits = digits;
    this.factor = 10 ** digits;
    this.missing = -(2 ** (8 * whole.BYTES_PER_ELEMENT - 1));
  }

  /** A number, or null where it is missing. */
  at(index) {
    const whole = this.whole[index];
    return whole === this.missing ? null : whole / this.factor;
  }

  /** A number as the product's own would be printed. */
  text(index) {
    const value = this.at(index);
    return value === null ? "" : value.toFixed(this.digits);
  }
}

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(packed) {
  const bytes = await inflate(packed.text);
  const { count, rows } = packed;
  const whole = new TYPES[packed.type](count);
  const width = whole.BYTES_PER_ELEMENT;
  for (let plane = 0; plane < width; plane++) {
    const from = plane * count,
      shift = 8 * plane;
    for (let i = 0; i < count; i++) whole[i] |= bytes[from + i] << shift;
  }
  if (rows) {
    const step = count / rows;
    for (let i = step; i < count; i++) whole[i] += whole[i - step];
  }
  return new Numbers(whole, packed.digits);
}

async function unpackAll(packed) {
  const names = Object.keys(packed);
  const found = await Promise.all(names.map((name) => unpack(packed[name])));
  return Object.fromEntries(names.map((name, at) => [name, found[at]]));
}

/** A product in memory: pixels are numbered by row, then by profile. */
class Day {
  static async open(raw) {
    const day = new Day();
    Object.assign(day, raw);
    [day.profiles, day.fields] = await Promise.all([
      unpackAll(raw.profiles),
      unpackAll(raw.fields),
    ]);
    day.count = day.profiles.time.whole.length;
    day.rows = raw.heights.length;
    day.filledAt = number(day.fields.flag.whole);
    day.filledCount = day.fields.filled.whole.length;
    day.seconds = Float64Array.from(day.profiles.time.whole, (ms) => (raw.midnight + ms) / 1000);
    day.step = median(day.seconds);
    if (raw.derived) day.derived = await openDerived(raw.derived);
    return day;
  }

  /** First and last edge of the time axis [s]: the whole UTC day where profiles span most of one. */
  get span() {
    let first = this.seconds[0] - this.step / 2;
    let last = this.seconds[this.count - 1] + this.step / 2;
    const midnight = this.midnight / 1000;
    if (last - first > 43200 && last <= midnight + 86400 + this.step)
      [first, last] = [midnight, midnight + 86400];
    return [first, last];
  }

  get top() {
    return this.edges[this.rows];
  }

  /** Profile nearest to a time [s]. */
  nearest(second) {
    const after = Math.min(Math.max(searchSorted(this.seconds, second), 1), this.count - 1);
    if (this.count === 1) return 0;
    return second - this.seconds[after - 1] < this.seconds[after] - second ? after - 1 : after;
  }

  /** Row at a height [m], -1 outside. */
  rowAt(height) {
    if (height < this.edges[0] || height >= this.top) return -1;
    let row = searchSorted(this.edges, height) - 1;
    if (this.edges[row + 1] === height) row += 1;
    return Math.max(row, 0);
  }

  pixel(row, profile) {
    return row * this.count + profile;
  }

  /** Index of a level among the quantiles. */
  level(probability) {
    return this.levels.findIndex((level) => Math.abs(level - probability) < 1e-6);
  }

  /** Number of a quantile of a filled pixel [dBZ]; null elsewhere. */
  quantile(name, level, pixel) {
    const filled = this.filledAt[pixel];
    return filled < 0 ? null : this.fields[name].at(level * this.filledCount + filled);
  }

  /** Whether what was measured in a pixel is known, trusted or not. */
  knows(pixel) {
    const filled = this.filledAt[pixel];
    return (
      filled < 0 ||
      (this.truth && (this.fields.known.whole[filled] === 1 || this.fields.flag.whole[pixel] === 2))
    );
  }

  /** Value of what filled pixels alone have. */
  ofFilled(name, pixel) {
    const filled = this.filledAt[pixel];
    return filled < 0 ? null : this.fields[name].at(filled);
  }
}

async function openDerived(raw) {
  const rates = raw.rates.map(async (rate) => ({
    name: rate.name,
    daily: rate.daily_mm,
    mean: await unpack(rate.mean),
    bounds: await unpack(rate.bounds),
  }));
  return {
    members: raw.members,
    kind: await unpack(raw.class),
    ground: await unpack(raw.to_ground),
    base: await unpack(raw.base),
    probabilities: await unpackAll(raw.probabilities),
    rates: await Promise.all(rates),
  };
}

/** Number of each filled pixel among the filled ones, -1 for all others. */
function number(flags) {
  const out = new Int32Array(flags.length).fill(-1);
  let count = 0;
  for (let i = 0; i < flags.length; i++) if (flags[i] === 1 || flags[i] === 2) out[i] = count++;
  return out;
}

function median(seconds) {
  if (seconds.length < 2) return 60;
  const steps = Float64Array.from(
    { length: seconds.length - 1 },
    (_, i) => seconds[i + 1] - seconds[i],
  );
  return steps.sort()[steps.length >> 1];
}

/** Index of the first value that is not below another. */
function searchSorted(values, value) {
  let low = 0,
    high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
