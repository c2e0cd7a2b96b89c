// Charts of uPlot: the frame of the field, the profile at the cursor, rates near the ground.

const utc = (second) => uPlot.tzDate(new Date(second * 1000), "Etc/UTC");
const pad = (value, width = 2) => String(value).padStart(width, "0");

function clock(second, digits = -1) {
  const at = new Date(Math.round(second * 10) * 100);
  const text = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
  if (digits < 0) return text;
  return `${text}:${pad(at.getUTCSeconds())}${digits ? `.${Math.floor(at.getUTCMilliseconds() / 100)}` : ""}`;
}

function axisStyle(extra) {
  return {
    stroke: themed("ink"),
    grid: { stroke: themed("line"), width: 1 },
    ticks: { stroke: themed("line"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...extra,
  };
}

const timeAxis = (extra = {}) =>
  axisStyle({
    space: 70,
    size: 32,
    values: (_, splits, __, ___, step) =>
      splits.map((second) => clock(second, step < 60 ? (step < 1 ? 1 : 0) : -1)),
    ...extra,
  });

/** As wide as the strips above and below are indented. */
function leftAxis(label) {
  const isNarrow = state.left < 74;
  return isNarrow
    ? { size: state.left }
    : { size: 56, label, labelSize: 18, labelFont: "12px system-ui, sans-serif" };
}

/** The frame of the field; `paint` and `mark` draw under and over its axes. */
function makeFieldChart(host, size, { paint, mark, point }) {
  const keep = (_, low, high) => [low, high];
  return new uPlot(
    {
      ...size,
      tzDate: utc,
      legend: { show: false },
      padding: [8, 24, 0, 0],
      scales: { x: { time: true, range: keep }, y: { range: keep } },
      series: [{}, { show: false }],
      cursor: { drag: { x: false, y: false, setScale: false }, points: { show: false }, y: true },
      axes: [
        timeAxis({ grid: { show: false } }),
        axisStyle({
          ...leftAxis("Height (km)"),
          space: 36,
          grid: { show: false },
          values: (_, splits) => splits.map((m) => (m / 1000).toString()),
        }),
      ],
      hooks: { drawClear: [paint], draw: [mark], setCursor: [point] },
    },
    [
      [0, 1],
      [null, null],
    ],
    host,
  );
}

const FAN = [
  [0.025, 0.975, 0.14],
  [0.05, 0.95, 0.2],
  [0.1, 0.9, 0.24],
  [0.25, 0.75, 0.34],
];

function withAlpha(hex, alpha) {
  return `rgba(${parseColour(hex).join(",")},${alpha})`;
}

/** The profile at the cursor: height upwards, dBZ to the right. */
function makeProfileChart(host, size, day) {
  const fan = themed("fan");
  const bands = FAN.map(([low, high, alpha]) => ({
    pair: [day.level(high) + 1, day.level(low) + 1],
    alpha,
  })).filter(({ pair }) => pair.every((series) => series > 0));
  const [low, high] = day.scales.reflectivity.limits;
  const line = (name, stroke, extra = {}) => ({
    label: name,
    stroke,
    width: 1.5,
    points: { show: false },
    ...extra,
  });
  return new uPlot(
    {
      ...size,
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: { show: false },
      scales: {
        x: { time: false, ori: 1, dir: 1, range: (_, a, b) => [a, b] },
        y: { ori: 0, dir: 1, range: [Math.min(low, day.floor) - 2, high] },
      },
      axes: [
        axisStyle({
          scale: "x",
          side: 3,
          size: 46,
          values: (_, splits) => splits.map((m) => (m / 1000).toString()),
          label: "Height (km)",
          labelSize: 16,
          labelFont: "12px system-ui, sans-serif",
        }),
        axisStyle({
          scale: "y",
          side: 2,
          size: 42,
          space: 46,
          label: "Reflectivity (dBZ)",
          labelSize: 16,
          labelFont: "12px system-ui, sans-serif",
        }),
      ],
      bands: bands.map(({ pair, alpha }) => ({ series: pair, fill: withAlpha(fan, alpha) })),
      series: [
        {},
        ...day.levels.map((level) =>
          line(
            `${level}`,
            level === 0.5 ? fan : withAlpha(fan, 0),
            level === 0.5 ? { width: 2 } : {},
          ),
        ),
        line("observed", themed("measured"), {
          width: 2,
          points: { show: true, size: 4, fill: themed("measured") },
        }),
        line("member", themed("member"), { dash: [4, 3] }),
        line("truth", themed("truth"), { width: 2 }),
      ],
    },
    profileData(day, 0, "quantiles"),
    host,
  );
}

function profileData(day, profile, fan) {
  const pixels = day.heights.map((_, row) => day.pixel(row, profile));
  const isFilled = (i) => day.filledAt[i] >= 0;
  const orFloor = (value) => Math.max(value ?? day.floor, day.floor);
  return [
    day.heights,
    ...day.levels.map((_, level) => pixels.map((i) => day.quantile(fan, level, i))),
    pixels.map((i) => (isFilled(i) ? null : day.fields.observed.at(i))),
    pixels.map((i) => (isFilled(i) && day.fields.member ? orFloor(memberAt(day, i)) : null)),
    pixels.map((i) => (day.ofFilled("known", i) ? orFloor(day.fields.observed.at(i)) : null)),
  ];
}

/** Rates near the ground over time: means, and bands of their 90 % intervals. */
function makeRateChart(host, size, day) {
  const { rates } = day.derived;
  const data = [Array.from(day.seconds)],
    series = [{}],
    bands = [];
  for (const rate of rates) {
    const colour = themed(rate.name === "rainfall" ? "rain" : "snow");
    const column = (numbers, from) =>
      Array.from({ length: day.count }, (_, i) => numbers.at(from + i));
    const quiet = { stroke: "transparent", width: 0, points: { show: false } };
    bands.push({ series: [data.length + 1, data.length], fill: withAlpha(colour, 0.25) });
    data.push(column(rate.bounds, 0), column(rate.bounds, day.count), column(rate.mean, 0));
    series.push(quiet, quiet, { stroke: colour, width: 1.5, points: { show: false } });
  }
  return new uPlot(
    {
      ...size,
      tzDate: utc,
      legend: { show: false },
      padding: [8, 24, 0, 0],
      cursor: { show: false },
      scales: {
        x: { time: true, range: (_, a, b) => [a, b] },
        y: { range: (_, __, high) => [0, Math.max(high || 0, 0.1) * 1.05] },
      },
      axes: [timeAxis(), axisStyle(leftAxis("mm per hour"))],
      series,
      bands,
    },
    data,
    host,
  );
}
