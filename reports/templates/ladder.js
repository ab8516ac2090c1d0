// --- the packets of a cell -----------------------------------------------

// details are read when the first cell is opened, as details.go writes them.
let details;
const detail = (c) => {
  if (!details) {
    const read = JSON.parse($('details').textContent), str = (i) => read.strings[i];
    details = { str, cells: new Map(read.cells.map((d) => [str(d[0]), d])) };
  }
  const d = details.cells.get(c.id), str = details.str;
  if (!d) return null;
  const end = (e) => ({ exit: e[0], timedOut: e[1], done: e[2], group: str(e[3]), version: str(e[4]), reached: str(e[5]), error: str(e[6]), cpu: e[7] });
  const sight = (s) => ({ packet: s[0], us: s[1], bytes: s[2] });
  return {
    evidence: new Set(d[1]),
    rungs: d[2].map((r) => ({
      down: r[0], sent: sight(r[1]), made: r[2], arrived: r[3].map(sight), drop: str(r[4]), notes: r[5].map(str),
      conn: r[6], proto: str(r[7]), flags: str(r[8]), mss: r[9], seq: r[10], payload: r[11], resent: r[12],
      tls: r[13].map((p) => ({ what: str(p[0]), from: p[1], to: p[2], of: p[3], records: p[4], count: p[5] })),
    })),
    left: d[3],
    hellos: d[4].map(([arrived, same, lines]) => {
      const out = [];
      for (let i = 0; i < lines.length; i += 3) out.push([str(lines[i]), str(lines[i + 1]), str(lines[i + 2])]);
      return { arrived, same, lines: out };
    }),
    client: end(d[5]), server: end(d[6]),
    deeds: d[7].map(([box, action, times]) => ({ box: str(box), action: str(action), times })),
    unread: str(d[8]), attempt: d[9],
  };
};

const drops = {
  'mtu-icmp-eaten': 'too large for the path, and no ICMP told the sender', 'mtu-icmp-sent': 'too large for the path; ICMP told the sender',
  'fragment-dropped': 'IP fragments do not pass this link', 'loss': 'lost', 'loss-nth': 'lost, by its number', 'loss-burst': 'lost in a burst',
  'queue-full': 'the queue was full', 'cell-closed': 'still on its way when the cell was closed', 'box': 'dropped by a box',
};

const clock = (us) => us < 9.995e3 ? (us / 1e3).toFixed(2) : us < 99.95e3 ? (us / 1e3).toFixed(1) : number(Math.round(us / 1e3));

// lanes are who a packet passes, client to server. A box is known by the note
// it leaves: "box NAME: what it did".
const lanesOf = (c) => ['client', c.link, ...c.boxes, 'server'];
const boxOf = (c, r) => {
  const i = c.boxes.findIndex((b) => r.notes.some((n) => n.startsWith('box ' + b + ': ') || n.includes('; box ' + b + ': ')));
  return i < 0 ? 0 : i + 2;
};

// arrow draws a packet's way: from where it came into being to where it ended.
const arrow = (c, r) => {
  const n = lanesOf(c).length - 1, at = boxOf(c, r) || 1;
  const from = r.made ? at : r.down ? n : 0;
  const to = r.arrived.length ? (r.down ? 0 : n) : r.drop === 'box' ? at : 1;
  const x = (lane) => 100 * lane / n + '%', y = 17;
  const cls = 'way' + (r.drop ? ' lost' : '') + (r.payload || r.flags || r.proto ? '' : ' quiet');
  const svg = g('svg', { class: cls, width: '100%', height: 24, 'aria-hidden': 'true' });
  svg.append(g('line', { x1: x(from), x2: x(to), y1: y, y2: y }));
  const tip = r.down ? 'M0 0l7 -4v8z' : 'M0 0l-7 -4v8z';
  svg.append(g('svg', { x: x(to), y, class: 'tip' }, g('path', { d: r.arrived.length ? tip : 'M-4.5 -4.5l9 9m0 -9l-9 9' })));
  if (boxOf(c, r) && r.arrived.length && !r.made) svg.append(g('svg', { x: x(at), y, class: 'tip' }, g('path', { d: 'M-5 0l5 -5l5 5l-5 5z' })));
  const middle = (from + (r.arrived.length || to === from ? (r.down ? -1 : 1) / 2 : (to - from) / 2));
  svg.append(g('text', { x: x(Math.min(Math.max(middle, 0.5), n - 0.5)), y: 11, 'text-anchor': 'middle' }, number(r.sent.bytes)));
  return svg;
};

// piece says which part of a message a segment carried, and draws it.
const piece = (p) => {
  const out = [h('b', null, p.what), ' '], part = p.from > 1 || p.to < p.of;
  if (p.count) out.push('× ' + p.count + ' ');
  if (part) {
    const w = 54, left = w * (p.from - 1) / p.of;
    out.push(g('svg', { class: 'part', width: w, height: 9, 'aria-hidden': 'true' }, g('rect', { class: 'whole', width: w, height: 9, rx: 2 }),
      g('rect', { class: 'carried', x: left, width: Math.max(2, w * p.to / p.of - left), height: 9, rx: 2 })),
    h('span', null, 'bytes ' + number(p.from) + '–' + number(p.to) + ' of ' + number(p.of)));
  } else {
    out.push(h('span', null, count(p.of, 'byte')));
  }
  if (p.records) out.push(h('span', null, ' in ' + p.records + ' records'));
  return h('span', { class: 'piece' }, ...out);
};

const rungWords = (c, r, proof) => {
  const what = h('div', { class: 'what' });
  if (proof) what.append(h('em', { class: 'proof' }, 'proof'));
  if (r.proto) what.append(h('b', null, r.proto));
  if (r.flags) what.append(h('b', null, r.flags.replace(' ', ', ')));
  if (r.mss) what.append(h('span', null, 'MSS ' + number(r.mss)));
  what.append(...r.tls.map(piece));
  if (!r.proto && !r.flags && !r.tls.length) what.append(r.payload ? count(r.payload, 'byte') + ' of payload' : h('span', null, 'ACK'));
  if (r.resent) what.append(h('span', null, 'sent again'));
  const notes = [];
  if (r.drop) notes.push(h('p', { class: 'lost' }, r.drop === 'box' ? 'Dropped by ' : 'Dropped: ' + (drops[r.drop] || r.drop) + '. ', ...r.notes.map((n) => n + (n.endsWith('.') ? '' : '.') + ' ')));
  else if (r.notes.length) notes.push(h('p', { class: 'note' }, r.notes.join('; ')));
  const late = r.arrived.length && !r.made ? r.arrived[r.arrived.length - 1].us - r.sent.us : 0;
  if (late >= 1000) notes.push(h('p', null, 'arrived after ' + clock(late) + ' ms'));
  return h('div', { class: 'words' }, what, ...notes);
};

const ladder = (c, d) => {
  const lanes = lanesOf(c), list = h('ol', { class: 'ladder' });
  list.style.setProperty('--n', lanes.length - 1);
  list.append(h('li', { class: 'heads' }, h('span', null, 'ms'), h('div', { class: 'lanes' }, ...lanes.map((l, i) => {
    const label = h('span', { title: l }, l);
    label.style.left = 100 * i / (lanes.length - 1) + '%';
    return label;
  })),
    h('span', null, 'what it carried')));
  let last = 0, conn = 1;
  d.rungs.forEach((r, i) => {
    if (r.conn > conn) list.append(h('li', { class: 'gap' }, h('span'), h('div', { class: 'lanes' }), h('span', null, 'connection ' + (conn = r.conn))));
    if (i && r.sent.us - last >= 1e5) list.append(h('li', { class: 'gap' }, h('span'), h('div', { class: 'lanes' }), h('span', null, clock(r.sent.us - last) + ' ms later')));
    last = r.sent.us;
    const proof = d.evidence.has(r.sent.packet) || r.arrived.some((s) => d.evidence.has(s.packet));
    const numbers = [r.sent, ...r.arrived].map((s) => s.packet);
    list.append(h('li', { class: (proof ? 'proven' : '') + (r.payload || r.flags || r.proto || r.drop ? '' : ' quiet'), title: 'packet ' + [...new Set(numbers)].join(', ') + ' of the capture' },
      h('time', null, clock(r.sent.us)), h('div', { class: 'lanes' }, arrow(c, r)), rungWords(c, r, proof)));
  });
  if (d.left) list.append(h('li', { class: 'gap' }, h('span'), h('div', { class: 'lanes' }), h('span', null, 'and ' + count(d.left, 'more packet') + ' in the capture')));
  return list;
};

// --- the hello before and after the box ----------------------------------

const helloTable = (pair, n, several) => {
  const title = several ? (n ? 'Second ClientHello: ' : 'First ClientHello: ') : '';
  const verdict = !pair.arrived ? 'it never reached the server' : pair.same ? 'the server received the same message, byte for byte' : 'the server received another message';
  const both = pair.arrived && !(pair.same && pair.lines.every(([, a, b]) => a === b));
  const table = h('table', { class: 'hello' }, h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'part'),
    h('th', { scope: 'col' }, both ? 'as the client sent it' : pair.arrived ? 'as sent and received' : 'as the client sent it'), both ? h('th', { scope: 'col' }, 'as the server received it') : null)));
  const body = h('tbody');
  for (const [name, before, after] of pair.lines) {
    const changed = both && before !== after;
    body.append(h('tr', changed ? { class: 'changed' } : null, h('th', { scope: 'row' }, name), h('td', null, before || 'not there'),
      both ? h('td', null, after || 'not there') : null));
  }
  table.append(body);
  const text = title + verdict;
  return h('details', !pair.same && pair.arrived ? { open: 'open' } : null, h('summary', null, text[0].toUpperCase() + text.slice(1) + '.'), h('div', { class: 'scroll' }, table));
};

