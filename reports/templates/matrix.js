// --- matrix --------------------------------------------------------------

const tally = (list) => {
  const n = new Map();
  for (const c of list) n.set(c.outcome, (n.get(c.outcome) || 0) + 1);
  return [...n].sort((a, b) => outcome(a[0]).rank - outcome(b[0]).rank);
};

// face is what a tile shows for several cells: the letters of the findings and
// how many there are, or else what is undecided, or else what passed.
const face = (counts) => {
  const of = (kind) => counts.filter(([o]) => o !== 'unsupported' && outcome(o).kind === kind).sort((a, b) => b[1] - a[1]);
  const found = [of('finding'), of('neither'), of('pass'), counts].find((list) => list.length);
  const letters = found.slice(0, 3).map(([o]) => outcome(o).letter).join('');
  return [letters, found.reduce((n, [, k]) => n + k, 0), found[0][0]];
};

const tile = (list, what, narrow, detailed) => {
  const one = list.length === 1, counts = tally(list), [letters, n, worst] = face(counts);
  const words = counts.map(([k, v]) => number(v) + ' ' + k).join(', ');
  const a = h('a', {
    class: 'tile ' + mark(worst) + (4 * n < list.length ? ' few' : ''), tabindex: '-1',
    href: one ? to({ cell: list[0].id }) : to(narrow),
    title: one ? list[0].id + ': ' + worst : what + ': ' + words,
  }, letters);
  if (!one) a.append(h('span', null, number(n)));
  if (!one && detailed && n !== list.length) a.append(h('small', null, '/ ' + number(list.length)));
  return a;
};

// What a tile of a pivot narrows the view to.
const keys = {
  client: (c) => ({ client: c.client }), server: (c) => ({ server: c.server }),
  pairing: (c) => ({ offer: c.offer, accept: c.accept }), path: (c) => ({ link: c.link, box: c.box }),
};
const step = 40;

const pivot = (el, list, rowKey, colKey, title, heads) => {
  el.replaceChildren();
  if (!list.length) return;
  const cols = distinct(list, colKey), rows = distinct(list, rowKey), at = new Map(), found = new Map();
  for (const c of list) {
    const k = c[rowKey] + '\n' + c[colKey];
    at.has(k) ? at.get(k).push(c) : at.set(k, [c]);
    if (outcome(c.outcome).kind === 'finding') found.set(c[rowKey], (found.get(c[rowKey]) || 0) + 1);
  }
  if (rows.length > step) rows.sort((a, b) => (found.get(b) || 0) - (found.get(a) || 0)); // stable: then by name
  const body = h('tbody');
  const fill = (from) => {
    for (const r of rows.slice(from, from + step)) {
      const tr = h('tr', null, h('th', { scope: 'row', title: r }, ...heads.row(r)));
      for (const k of cols) {
        const here = at.get(r + '\n' + k);
        tr.append(h('td', null, here ? tile(here, r + ', ' + k, { ...keys[rowKey](here[0]), ...keys[colKey](here[0]) }, rowKey === 'client') : null));
      }
      body.append(tr);
    }
  };
  fill(0);
  const label = el.id + '-title';
  el.append(h('p', { id: label }, h('b', null, title), ' ' + heads.about), h('table', { class: heads.tilted ? 'tilted' : '', 'aria-labelledby': label },
    h('thead', null, h('tr', null, h('td'), ...cols.map((k) => h('th', { scope: 'col', title: k }, ...heads.col(k))))), body));
  body.querySelector('a').tabIndex = 0;
  later(el, rows.length, fill);
};

// later adds a button for the rows that are not there yet.
const later = (el, total, fill) => {
  let done = Math.min(step, total);
  if (done === total) return;
  const label = () => 'Show ' + number(Math.min(step, total - done)) + ' more of ' + count(total - done, 'row');
  const b = h('button', { type: 'button' }, label());
  b.addEventListener('click', () => {
    fill(done);
    done = Math.min(done + step, total);
    done === total ? b.remove() : b.textContent = label();
  });
  el.append(b);
};

const peerName = (id) => {
  const i = id.indexOf('@');
  return i > 0 ? [id.slice(0, i), h('em', null, id.slice(i))] : [id];
};
const pairingName = (p) => {
  const i = p.indexOf(' : ');
  return i > 0 ? [p.slice(0, i), h('span', null, ' : '), p.slice(i + 3)] : [p];
};

const legend = (list) => h('p', { class: 'legend' }, ...tally(list).map(([o]) => h('span', null, chip(o), o)));

const showMatrix = (list) => {
  pivot($('peers'), list, 'client', 'server', 'Client by server.', { about: 'Findings of each pair, or else what came out.', row: peerName, col: peerName });
  pivot($('pairings'), list, 'pairing', 'path', 'Groups by path.', { about: 'Offered : accepted.', tilted: true, row: pairingName, col: (k) => [h('span', null, k)] });
  if (list.length) $('peers').append(legend(list));
};

// One tab stop per matrix; the arrow keys move inside.
const arrows = (e) => {
  const d = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[e.key];
  const td = d && e.target.closest('td');
  if (!td) return;
  const tr = td.parentElement, i = td.cellIndex;
  const row = d[0] > 0 ? tr.nextElementSibling : d[0] < 0 ? tr.previousElementSibling : tr;
  const next = row && row.cells[i + d[1]] && row.cells[i + d[1]].querySelector('a');
  if (!next) return;
  e.preventDefault();
  e.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
};

