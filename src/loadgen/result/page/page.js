(() => {
  "use strict";
  const results = JSON.parse(document.getElementById("results").textContent);
  const severalResults = results.length > 1;

  // Told apart by people who see few colours, too.
  const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d1f"];
  const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
  const BORDERS = ["solid", "dashed", "dotted", "double"];
  const PRINT_WIDTH = 680;
  const BANDS_MAX = 4;
  const PRINT_HEIGHT = 230;
  const GRID = { stroke: "#e4e8ec", width: 1 };
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";
  const AXIS = { grid: GRID, ticks: { ...GRID, size: 4 }, font: FONT, stroke: "#5c6770", size: 30, gap: 4 };

  const digits = (value) => String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
  const scaled = (value, steps) => {
    for (const [size, unit] of steps) {
      if (Math.abs(value) >= size) return digits(value / size) + unit;
    }
    return digits(value) + steps[steps.length - 1][1];
  };
  const micros = (value) => scaled(value, [[1e6, " s"], [1e3, " ms"], [1, " µs"]]);
  const count = (value) => scaled(value, [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]]);
  const shown = (unit) => (unit === "µs" ? micros : count);
  const percent = (x) => {
    const share = 100 * (1 - Math.pow(10, -x));
    return (x <= 1 ? Math.round(share * 10) / 10 : Number(share.toFixed(Math.ceil(x) - 1))) + "%";
  };
  // Whose a line is: the result, if there are several, and of what.
  const owner = (result, of) => (severalResults ? `${result.name}: ${of}` : of);

  /** Lines over a common axis: x of each, its lines, and how they look. */
  const curves = (table) => {
    const parts = [];
    for (const result of results) {
      for (const curve of result.curves) {
        if (curve.table === table) parts.push([result, curve]);
      }
    }
    const positive = (values) => values.map((value) => (value > 0 ? value : null));
    const withBands = parts.length <= BANDS_MAX;
    const lines = parts.map(([result, curve], at) => {
      const color = COLORS[at % COLORS.length];
      const line = { label: owner(result, curve.of), stroke: color, width: 2, points: { show: false }, dash: DASHES[Math.floor(at / COLORS.length) % DASHES.length] };
      const x = curve.quantiles.map((quantile) => -Math.log10(1 - quantile));
      const columns = [{ ...line, values: positive(curve.median) }];
      if (withBands && curve.max.some((value, place) => value > curve.min[place])) {
        columns.push({ label: `${line.label}, most`, band: true, values: positive(curve.max) });
        columns.push({ label: `${line.label}, least`, band: true, values: positive(curve.min), fill: color + "22" });
      }
      return { x, columns };
    });
    const ticks = [-Math.log10(0.5), 1, 2, 3, 4];
    const axis = { values: (_, all) => all.map(percent), splits: () => ticks, ...AXIS };
    return { lines, unit: parts.length ? parts[0][1].unit : "", isLog: true, axis, x: percent, range: [0, 4] };
  };

  const timelines = (table, chart) => {
    const parts = [];
    for (const result of results) {
      for (const timeline of result.timelines) {
        if (timeline.table === table && timeline.chart === chart) parts.push([result, timeline]);
      }
    }
    const isLog = parts.length > 0 && parts[0][1].unit === "µs";
    const lines = parts.map(([result, timeline], at) => {
      // A line ends with its run.
      const x = [];
      const places = [];
      timeline.seconds.forEach((seconds, place) => {
        if (place > 0 && timeline.runs[place] !== timeline.runs[place - 1]) {
          x.push((seconds + timeline.seconds[place - 1]) / 2);
          places.push(null);
        }
        x.push(seconds);
        places.push(place);
      });
      const isLast = at === parts.length - 1;
      const columns = timeline.series.map((series, number) => ({
        label: `${owner(result, timeline.of)} ${series.name}`,
        stroke: COLORS[at % COLORS.length],
        width: number === 0 ? 2 : 1.4,
        dash: DASHES[number % DASHES.length],
        // The rest is a touch away.
        show: number < 2 || (isLast && !severalResults),
        values: places.map((place) => {
          const value = place === null ? null : series.values[place];
          return isLog && !(value > 0) ? null : value;
        }),
      }));
      return { x, columns };
    });
    const axis = { values: (_, all) => all.map((value) => digits(value)), ...AXIS };
    return { lines, unit: parts.length ? parts[0][1].unit : "", isLog, axis, x: (value) => digits(value) + " s" };
  };

  const height = (width) => Math.round(Math.min(360, Math.max(220, width * 0.6)));

  const draw = (element) => {
    const { table, chart } = element.dataset;
    const drawing = chart === "percentiles" ? curves(table) : timelines(table, chart);
    const format = shown(drawing.unit);
    const series = [{ value: (_, value) => (value === null || value === undefined ? "--" : drawing.x(value)), label: chart === "percentiles" ? "share" : "time" }];
    const bands = [];
    const mates = {};
    for (const line of drawing.lines) {
      let main = 0;
      for (const column of line.columns) {
        const number = series.length;
        if (column.band) {
          mates[main].push(number);
          if (column.fill) bands.push({ series: [number - 1, number], fill: column.fill });
          series.push({ label: column.label, class: "band", width: 0, points: { show: false } });
          continue;
        }
        main = number;
        mates[main] = [];
        series.push({
          label: column.label, stroke: column.stroke, width: column.width, dash: column.dash,
          style: DASHES.indexOf(column.dash), points: column.points,
          show: column.show !== false, value: (_, value) => (value === null || value === undefined ? "--" : format(value)),
        });
      }
    }
    const data = uPlot.join(drawing.lines.map((line) => [line.x, ...line.columns.map((column) => column.values)]));
    const width = element.clientWidth;
    const options = {
      width, height: height(width), series, bands,
      scales: {
        x: { time: false, ...(drawing.range ? { range: () => drawing.range } : {}) },
        y: drawing.isLog ? { distr: 3, log: 10 } : { range: (_, least, most) => [Math.min(0, least ?? 0), (most || 1) * 1.08] },
      },
      axes: [
        drawing.axis,
        { values: (_, all) => all.map((value) => (value === null ? "" : format(value))), ...AXIS, size: 62 },
      ],
      cursor: { y: false, drag: { x: !drawing.range, y: false } },
      legend: { live: true, markers: { width: 3, dash: (_, number) => BORDERS[series[number].style || 0] } },
      hooks: {
        setSeries: [(plot, number, change) => {
          if (change.show === undefined) return;
          (mates[number] || []).forEach((mate) => plot.setSeries(mate, { show: change.show }, false));
        }],
      },
    };
    const plot = new uPlot(options, data, element);
    return { element, plot };
  };

  const drawn = [...document.querySelectorAll(".chart")].map(draw);
  const fit = () => drawn.forEach(({ element, plot }) => {
    const width = element.clientWidth;
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: height(width) });
  });
  window.addEventListener("resize", fit);
  window.addEventListener("afterprint", fit);
  window.addEventListener("beforeprint", () => {
    drawn.forEach(({ plot }) => plot.setSize({ width: PRINT_WIDTH, height: PRINT_HEIGHT }));
  });
})();
