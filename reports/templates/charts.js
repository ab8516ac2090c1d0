// --- charts --------------------------------------------------------------

const worstOf = (list) => tally(list).map(([o]) => o).sort((a, b) => kinds[outcome(a).kind] - kinds[outcome(b).kind] || outcome(a).rank - outcome(b).rank)[0];
const grouped = (list, key) => {
  const out = new Map();
  for (const c of list) {
    const k = key(c);
    out.has(k) ? out.get(k).push(c) : out.set(k, [c]);
  }
  return out;
};

// ticks are round numbers from 0 to beyond max.
const ticks = (max) => {
  const step = [100, 200, 250, 500, 1000, 2000, 2500, 5000, 10000, 20000].find((s) => max / s <= 5) || max / 4;
  const out = [];
  for (let v = 0; v <= max; v += step) out.push(v);
  return out;
};

// strip is a chart of rows over one axis of bytes: a label at the left, marks
// at their number. A row is [label, title, marks(x, y)].
const strip = (title, about, rows, max, width) => {
  const left = Math.min(236, width * 0.4), right = 18, height = 34, top = 8, foot = 26;
  const x = (v) => left + (width - left - right) * v / max;
  const svg = g('svg', { width, height: top + rows.length * height + foot, role: 'img', 'aria-label': title });
  for (const v of ticks(max)) {
    svg.append(g('line', { class: 'grid', x1: x(v), x2: x(v), y1: top, y2: top + rows.length * height }),
      g('text', { class: 'axis', x: x(v), y: top + rows.length * height + 17, 'text-anchor': 'middle' }, number(v)));
  }
  rows.forEach(([label, note, marks], i) => {
    const y = top + i * height + height / 2;
    const text = g('text', { class: 'label', x: 0, y: y + 4 }, label.length * 7 > left ? label.slice(0, left / 7 - 1) + '…' : label, g('title', null, note));
    svg.append(g('line', { class: 'row', x1: left, x2: width - right, y1: y, y2: y }), text, ...marks(x, y, height));
  });
  const figure = h('figure', null, h('figcaption', null, h('b', null, title), ' ' + about), svg);
  figure.style.width = width + 'px';
  return figure;
};

// Hello sizes against what fits one segment. Links of one MSS are one row.
const helloChart = (list, width) => {
  const sized = list.filter((c) => c.bytes);
  if (!sized.length) return null;
  const by = [...grouped(sized, (c) => (links.get(c.link) || { mss: 0 }).mss)].sort((a, b) => b[0] - a[0]);
  const max = Math.max(...sized.map((c) => c.bytes), ...by.map(([m]) => m <= 2000 ? m : 0)) * 1.04;
  const rows = by.map(([mss, here]) => {
    const names = distinct(here, 'link');
    return [(mss ? 'MSS ' + number(mss) : 'unknown link'), names.join(', '), (x, y, height) => {
      const out = [], limit = mss && mss < max, top = y - height / 2 + 2, bottom = y + height / 2 - 2;
      if (limit) out.push(g('rect', { class: 'beyond', x: x(mss), width: x(max) - x(mss), y: top, height: bottom - top }));
      for (const [bytes, same] of [...grouped(here, (c) => c.bytes)].sort((a, b) => b[1].length - a[1].length)) out.push(dot(x(bytes), y, same, bytes));
      if (limit) out.push(g('line', { class: 'mss', x1: x(mss), x2: x(mss), y1: top, y2: bottom }));
      return out;
    }];
  });
  return strip('ClientHello sizes against the MSS.', 'Bytes; shaded is what needs a second segment. A dot narrows the view to its size.', rows, max, width);
};

// dot is some cells at one size: as large as they are many, in the colour and
// with the letter of the worst of them.
const dot = (x, y, list, bytes) => {
  const worst = worstOf(list), r = Math.min(9, 4 + 0.8 * Math.log2(list.length + 1)), found = outcome(worst).kind === 'finding';
  const words = number(bytes) + ' bytes: ' + tally(list).map(([o, n]) => number(n) + ' ' + o).join(', ');
  return g('a', { href: to({ hello: String(bytes), cell: '' }), 'aria-label': words, class: 'dot ' + mark(worst) + (found ? ' found' : '') },
    g('title', null, words), g('circle', { cx: x, cy: y, r }), found && r > 5.5 ? g('text', { x, y: y + 3.5, 'text-anchor': 'middle' }, outcome(worst).letter) : null);
};

// Thresholds that were found, by culprit and trigger; a chart for each unit.
const thresholdCharts = (list, width) => [...grouped(list.filter((c) => c.threshold), (c) => c.unit)].map(([unit, found]) => {
  const by = [...grouped(found, (c) => (c.blame || 'nobody') + ' · ' + (c.trigger || 'unknown'))].sort((a, b) => a[0] < b[0] ? -1 : 1);
  const max = Math.max(...found.map((c) => c.threshold)) * 1.1;
  const rows = by.map(([label, here]) => [label, label, (x, y) => {
    let last = -100, below = false;
    return [...grouped(here, (c) => c.threshold)].sort((a, b) => a[0] - b[0]).flatMap(([v, same]) => {
      below = x(v) - last < 44 && !below; // two numbers side by side have room above and below
      last = x(v);
      return [
        g('g', { class: 'dot found ' + mark(worstOf(same)) }, g('title', null, number(v) + ': ' + count(same.length, 'cell')), g('circle', { cx: x(v), cy: y, r: 4.5 })),
        g('text', { class: 'value', x: x(v), y: below ? y + 16 : y - 8, 'text-anchor': 'middle' }, number(v)),
      ];
    });
  }]);
  return strip('Thresholds' + (unit ? ' in ' + unit : '') + '.', 'The smallest number that breaks, by culprit and trigger.', rows, max, width);
});

// --- handshake times -----------------------------------------------------

// A quantile of a sample with its 95 % confidence interval from order
// statistics, as lab/stats has it: how many of the sample are below the
// quantile is binomial. Too small a sample has no number.
const alpha = 0.05;
const bounds = new Map();
const ranks = (n, q) => {
  const key = n + '/' + q;
  if (bounds.has(key)) return bounds.get(key);
  let low = 0, high = n + 1, cdf = 0, p = n * Math.log(1 - q); // log of the chance of k = 0
  let found = false;
  for (let k = 0; k <= n; k++) {
    cdf += Math.exp(p);
    if (!found && cdf > alpha / 2) { low = k; found = true; }
    if (1 - cdf <= alpha / 2) { high = k + 1; break; }
    p += Math.log((n - k) / (k + 1)) + Math.log(q / (1 - q));
  }
  bounds.set(key, [low, high]);
  return [low, high];
};
const need = (q) => Math.ceil(Math.log(alpha / 2) / Math.log(q));
const quantile = (sorted, q) => {
  const n = sorted.length, [low, high] = ranks(n, q);
  if (low < 1 || high > n) return null;
  return [sorted[Math.min(Math.max(Math.ceil(q * n) - 1, 0), n - 1)], sorted[low - 1], sorted[high - 1]];
};

const quantiles = [[0.5, 'median'], [0.95, 'p95'], [0.99, 'p99']];

// times are grouped by what makes them: the group, and the round trip.
const timeTable = (list) => {
  const done = list.filter((c) => c.group && (c.times.length || c.ms));
  const samples = (here) => {
    const out = [];
    for (const c of here) {
      if (!c.times.length) out.push(c.ms);
      for (const t of c.times) if (t > 0) out.push(t);
    }
    return Float64Array.from(out).sort();
  };
  const rtt = (c) => (links.get(c.link) || { rtt: -1 }).rtt;
  const rows = [...grouped(done, (c) => rtt(c) + '\n' + c.group)].map(([k, here]) => ({ rtt: rtt(here[0]), group: here[0].group, here, sample: samples(here) }))
    .filter((r) => r.sample.length).sort((a, b) => a.rtt - b.rtt || (a.group < b.group ? -1 : 1));
  if (!rows.length) return null;
  const low = Math.min(...rows.map((r) => r.sample[0])), high = Math.max(...rows.map((r) => r.sample[r.sample.length - 1]));
  const x = (v) => 4 + 152 * (Math.log(v) - Math.log(low)) / (Math.log(high) - Math.log(low) || 1);
  const body = h('tbody');
  for (const r of rows) {
    const qs = quantiles.map(([q]) => quantile(r.sample, q));
    const svg = g('svg', { class: 'spread', width: 160, height: 20, 'aria-hidden': 'true' }, g('line', { class: 'row', x1: 4, x2: 156, y1: 10, y2: 10 }));
    qs.forEach((q, i) => {
      if (q) svg.append(g('line', { class: 'interval q' + i, x1: x(q[1]), x2: Math.max(x(q[2]), x(q[1]) + 1), y1: 10, y2: 10 }), g('circle', { class: 'q' + i, cx: x(q[0]), cy: 10, r: 3.5 }));
    });
    body.append(h('tr', null, h('th', { scope: 'row', class: 'mono' }, r.group), h('td', null, r.rtt < 0 ? 'unknown' : number(r.rtt) + ' ms'), h('td', null, number(r.sample.length)), h('td', { class: 'plot' }, svg),
      ...qs.map((q, i) => q ? h('td', null, ms(q[0]), h('small', null, ms(q[1]).replace(' ms', '') + '–' + ms(q[2]))) : h('td', { class: 'small' }, 'n too small', h('small', null, r.sample.length + ' of ' + need(quantiles[i][0]))))));
  }
  return h('figure', { class: 'times' }, h('figcaption', null, h('b', null, 'Handshake times.'), ' By group and round trip of the link, with 95 % confidence intervals by order statistics. Peers and losses are mixed unless you filter; the scale is logarithmic.'),
    h('div', { class: 'scroll' }, h('table', null, h('thead', null, h('tr', null, ...['Group', 'Round trip', 'n', ''].map((t) => h('th', { scope: 'col' }, t)), ...quantiles.map(([, t]) => h('th', { scope: 'col' }, t)))), body)));
};

let charted = [];
const showCharts = (list) => {
  charted = list;
  const el = $('charts'), wide = $('matrix').clientWidth;
  const width = Math.max(280, wide >= 1000 && list.some((c) => c.threshold) ? (wide - 48) / 2 : Math.min(wide, 1180));
  el.replaceChildren(...[helloChart(list, width), ...thresholdCharts(list, width), timeTable(list)].filter(Boolean));
};

