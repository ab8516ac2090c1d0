// The matrix, the charts, the list and the single cells. Filters and the open
// cell live in the URL's fragment, so that every view is a link. Text reaches
// the document as text nodes only: nothing a peer sent is ever parsed as
// markup.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($('cells').textContent);

// The places of a row, as cells.go writes them. Strings are numbers from their
// second time on; zero is "not known".
const cells = (() => {
  const known = [''];
  const str = (v) => typeof v === 'number' ? known[v] : (known.push(v), v);
  const tuples = (list, n) => {
    const flat = list.map(str), out = [];
    for (let i = 0; i < flat.length; i += n) out.push(flat.slice(i, i + n));
    return out;
  };
  const hellos = (list) => {
    const out = [];
    for (let i = 0; i < list.length; i += 3) out.push({ message: str(list[i]), bytes: list[i + 1], predicted: list[i + 2] });
    return out;
  };
  return data.rows.map((r) => {
    const c = {
      id: r[0], client: str(r[1]), server: str(r[2]), offer: str(r[3]), accept: str(r[4]),
      link: str(r[5]), boxes: r[6].map(str),
      outcome: str(r[7]), cause: str(r[8]), blame: str(r[9]),
      predicted: r[10].map(str), group: str(r[11]), version: str(r[12]), hrr: r[13],
      bytes: r[14], segments: r[15], records: r[16], ms: r[17],
      trigger: str(r[18]), threshold: r[19], why: str(r[20]), remedy: str(r[21]),
      controls: tuples(r[22], 3), attempts: tuples(r[23], 2), capture: str(r[24]),
      cert: str(r[25]), times: r[26], fallback: r[27], predictedBytes: r[28], hellos: hellos(r[29]), known: str(r[30]),
      traced: str(r[31]), trials: tuples(r[32], 4), unit: str(r[33]), runs: r[34], like: str(r[35]), reused: str(r[36]),
    };
    c.box = c.boxes.join('+');
    c.hello = c.bytes ? String(c.bytes) : '';
    c.pairing = c.offer === c.accept ? c.offer : c.offer + ' : ' + c.accept;
    c.path = c.box ? c.link + '/' + c.box : c.link;
    return c;
  });
})();
const byId = new Map(cells.map((c) => [c.id, c]));
const links = new Map(data.links.map(([name, rtt, mss]) => [name, { rtt, mss }]));

const outcomes = new Map(data.outcomes.map(([name, letter, kind], rank) => [name, { name, letter, kind, rank }]));
const outcome = (name) => outcomes.get(name) || { name, letter: ' ', kind: 'neither', rank: 99, unknown: true };
const mark = (name) => 'o-' + (outcome(name).unknown ? 'unknown' : name);

// The most serious first: findings, what is undecided, what passed.
const kinds = { finding: 0, neither: 1, pass: 2 };
const severity = (c) => kinds[outcome(c.outcome).kind] * 100 + outcome(c.outcome).rank;
cells.sort((a, b) => severity(a) - severity(b) || (a.id < b.id ? -1 : 1));

const format = new Intl.NumberFormat('en');
const number = (n) => format.format(n);
const count = (n, noun) => number(n) + ' ' + noun + (n === 1 ? '' : 's');
const ms = (v) => (v < 10 ? v.toFixed(2) : v < 100 ? v.toFixed(1) : number(Math.round(v))) + ' ms';

// h makes an element, g one of SVG. Children that are strings become text.
const fill = (e, attrs, children) => {
  for (const [k, v] of Object.entries(attrs || {})) {
    if (v !== undefined && v !== '') e.setAttribute(k, v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
};
const h = (tag, attrs, ...children) => fill(document.createElement(tag), attrs, children);
const g = (tag, attrs, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attrs, children);
const chip = (name) => h('i', { class: 'chip ' + mark(name), title: name }, outcome(name).letter);

