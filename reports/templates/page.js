'use strict';
// The matrix, the list and the single cells. Filters and the open cell live in
// the URL's fragment, so that every view is a link. Text reaches the document
// as text nodes only: nothing a peer sent is ever parsed as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($('cells').textContent);

  // The places of a row, as cells.go writes them. Strings are numbers from
  // their second time on; zero is "not known".
  const cells = (() => {
    const known = [''];
    const str = (v) => typeof v === 'number' ? known[v] : (known.push(v), v);
    const tuples = (list, n) => {
      const flat = list.map(str), out = [];
      for (let i = 0; i < flat.length; i += n) out.push(flat.slice(i, i + n));
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
      };
      c.box = c.boxes.join('+');
      c.pairing = c.offer === c.accept ? c.offer : c.offer + ' : ' + c.accept;
      c.path = c.box ? c.link + '/' + c.box : c.link;
      return c;
    });
  })();
  const byId = new Map(cells.map((c) => [c.id, c]));

  const outcomes = new Map(data.outcomes.map(([name, letter, kind], rank) => [name, { name, letter, kind, rank }]));
  const outcome = (name) => outcomes.get(name) || { name, letter: ' ', kind: 'neither', rank: 99, unknown: true };
  const mark = (name) => 'o-' + (outcome(name).unknown ? 'unknown' : name);
  const number = (n) => n.toLocaleString('en');
  const count = (n, noun) => number(n) + ' ' + noun + (n === 1 ? '' : 's');

  // h makes an element. Children that are strings become text.
  const h = (tag, attrs, ...children) => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs || {})) {
      if (v !== undefined && v !== '') e.setAttribute(k, v);
    }
    e.append(...children.filter((c) => c !== null && c !== undefined));
    return e;
  };
  const chip = (name) => h('i', { class: 'chip ' + mark(name) }, outcome(name).letter);

  // --- state -------------------------------------------------------------

  const axes = [
    ['client', 'Client'], ['server', 'Server'], ['offer', 'Client offers'], ['accept', 'Server accepts'],
    ['link', 'Link'], ['box', 'Box'], ['outcome', 'Outcome'], ['cause', 'Cause'], ['blame', 'Blame'],
  ];
  const state = () => new URLSearchParams(location.hash.slice(1));
  const to = (changes) => {
    const s = state();
    for (const [k, v] of Object.entries(changes)) v ? s.set(k, v) : s.delete(k);
    return '#' + s;
  };
  const go = (changes, quietly) => {
    if (!quietly) { location.hash = to(changes); return; }
    history.replaceState(null, '', to(changes));
    update();
  };

  const haystack = new Map();
  const has = (c, words) => {
    let s = haystack.get(c);
    if (s === undefined) haystack.set(c, s = (c.id + ' ' + c.outcome + ' ' + c.cause + ' ' + c.group + ' ' + c.why).toLowerCase());
    return words.every((w) => s.includes(w));
  };

  const select = (s) => {
    const want = axes.filter(([k]) => s.get(k)).map(([k]) => [k, s.get(k)]);
    const words = (s.get('q') || '').toLowerCase().split(/\s+/).filter(Boolean);
    return cells.filter((c) => want.every(([k, v]) => c[k] === v || (k === 'outcome' && v === 'findings' && outcome(c.outcome).kind === 'finding')) && has(c, words));
  };

  // --- filters -----------------------------------------------------------

  // What is plain comes first, then by name; outcomes in report order.
  const plain = (s) => s === 'clean' || s === 'default' ? 0 : 1;
  const order = (key) => key === 'outcome'
    ? (a, b) => outcome(a).rank - outcome(b).rank
    : (a, b) => plain(a) - plain(b) || (a < b ? -1 : a > b ? 1 : 0);
  const distinct = (list, key) => [...new Set(list.map((c) => c[key]))].sort(order(key));

  const controls = new Map();
  const buildFilters = () => {
    for (const [key, title] of axes) {
      const values = distinct(cells, key).filter(Boolean);
      if (values.length + (cells.some((c) => !c[key]) ? 1 : 0) < 2) continue;
      const options = [h('option', { value: '' }, 'any')];
      if (key === 'outcome') {
        const n = cells.filter((c) => outcome(c.outcome).kind === 'finding').length;
        if (n) options.push(h('option', { value: 'findings' }, 'any finding'));
      }
      const el = h('select', { name: key }, ...options, ...values.map((v) => h('option', { value: v }, v)));
      options[0].value = '';
      el.addEventListener('change', () => go({ [key]: el.value, cell: '' }));
      controls.set(key, el);
      $('filters').append(h('label', null, title, el));
    }
    const q = h('input', { type: 'search', placeholder: 'words in id or reason', name: 'q' });
    let timer;
    q.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => go({ q: q.value.trim(), cell: '' }, true), 120);
    });
    controls.set('q', q);
    $('filters').append(h('label', null, 'Search', q));
    const clear = h('button', { type: 'button' }, 'Clear');
    clear.addEventListener('click', () => { location.hash = ''; });
    controls.set('clear', clear);
    $('filters').append(clear);
    $('filters').addEventListener('submit', (e) => e.preventDefault());
  };

  const showFilters = (s) => {
    let any = false;
    for (const [key, el] of controls) {
      if (key === 'clear') continue;
      const v = s.get(key) || '';
      any = any || v !== '';
      if (key === 'q') { if (el.value.trim() !== v) el.value = v; continue; }
      el.value = v;
      el.classList.toggle('set', v !== '');
    }
    controls.get('clear').hidden = !any;
  };

  // --- matrix ------------------------------------------------------------

  const tally = (list) => {
    const n = new Map();
    for (const c of list) n.set(c.outcome, (n.get(c.outcome) || 0) + 1);
    return [...n].sort((a, b) => outcome(a[0]).rank - outcome(b[0]).rank);
  };

  // face is what a tile shows for several cells: the letters of the findings
  // and how many there are, or else what is undecided, or else what passed.
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
  const step = 100;

  const pivot = (el, list, rowKey, colKey, title, heads) => {
    el.replaceChildren();
    if (!list.length) return;
    const cols = distinct(list, colKey), rows = distinct(list, rowKey), at = new Map();
    for (const c of list) {
      const k = c[rowKey] + '\n' + c[colKey];
      at.has(k) ? at.get(k).push(c) : at.set(k, [c]);
    }
    const body = h('tbody');
    const fill = (from) => {
      for (const r of rows.slice(from, from + step)) {
        const tr = h('tr', null, h('th', { scope: 'row', title: r }, ...heads.row(r)));
        for (const k of cols) {
          const found = at.get(r + '\n' + k);
          tr.append(h('td', null, found ? tile(found, r + ', ' + k, { ...keys[rowKey](found[0]), ...keys[colKey](found[0]) }, rowKey === 'client') : null));
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

  // --- list --------------------------------------------------------------

  const kinds = { finding: 0, neither: 1, pass: 2 };
  const severity = (c) => kinds[outcome(c.outcome).kind] * 100 + outcome(c.outcome).rank;
  let listed = [], shown = 0;
  const page = 50;

  const facts = (c) => [
    c.cause, c.group, c.bytes ? count(c.bytes, 'byte') : '', c.ms ? ms(c.ms) : '',
  ].filter(Boolean).join(', ');
  const ms = (v) => (v < 10 ? v.toFixed(2) : v < 100 ? v.toFixed(1) : number(Math.round(v))) + ' ms';

  const more = () => {
    for (const c of listed.slice(shown, shown + page)) {
      $('list').append(h('li', null, h('a', { href: to({ cell: c.id }), title: c.outcome }, chip(c.outcome),
        h('span', { class: 'mono' }, c.client + ' → ' + c.server), h('span', { class: 'mono' }, c.pairing + ' · ' + c.path), h('span', null, facts(c)))));
    }
    shown = Math.min(shown + page, listed.length);
    $('more').hidden = shown === listed.length;
    $('more').textContent = 'Show ' + number(Math.min(page, listed.length - shown)) + ' more of ' + number(listed.length - shown);
  };

  const showList = (list) => {
    listed = [...list].sort((a, b) => severity(a) - severity(b) || (a.id < b.id ? -1 : 1));
    shown = 0;
    $('list').replaceChildren();
    $('list-title').textContent = list.length ? count(list.length, 'cell') + ', the most serious first' : 'No cell is like that';
    more();
  };

  // --- one cell ----------------------------------------------------------

  const terms = (pairs) => {
    const dl = h('dl');
    for (const [k, v] of pairs) if (v) dl.append(h('dt', null, k), h('dd', null, v));
    return dl.children.length ? dl : null;
  };
  const part = (title, ...body) => body.some(Boolean) ? [h('h3', null, title), ...body] : [];
  const items = (list) => h('ul', null, ...list.map((s) => h('li', null, s)));
  const runs = (list) => list.length ? h('ul', { class: 'runs' }, ...list.map(([name, what, note]) =>
    h('li', null, chip(name), h('span', null, what), h('span', null, note || '')))) : null;
  const hello = (c) => [[c.bytes, 'byte'], [c.segments, 'TCP segment'], [c.records, 'TLS record']]
    .filter(([n]) => n).map(([n, noun]) => count(n, noun)).join(', ');
  const observed = (c) => {
    const seen = [c.group, c.version].filter(Boolean);
    if (!seen.length) return [c.outcome === 'unsupported' || c.outcome === 'fault' ? 'nothing' : 'no ServerHello'];
    if (c.hrr) seen.push(c.hrr === 2 ? 'after a HelloRetryRequest' : 'no HelloRetryRequest');
    return seen;
  };
  const again = (c) => data.again + "'" + c.id.replaceAll("'", "'\\''") + "'";

  const showCell = (c) => {
    const d = $('cell');
    if (!c) { if (d.open) d.close(); return; }
    const close = h('button', { type: 'button', id: 'close' }, 'Close');
    close.addEventListener('click', () => d.close());
    d.replaceChildren(
      h('header', null, chip(c.outcome), h('b', null, c.outcome), close),
      h('h2', { id: 'cell-title' }, c.client + ' → ' + c.server),
      h('p', { class: 'says' }, c.why),
      ...part('What was set up', terms([
        ['Client offers', c.offer], ['Server accepts', c.accept], ['Link', c.link], ['Boxes', c.boxes.join(', then ')]])),
      h('div', { class: 'versus' },
        h('div', null, ...part('Predicted', c.predicted.length ? items(c.predicted) : h('p', null, 'nothing'))),
        h('div', null, ...part('Observed', items(observed(c))))),
      ...part('Judgement', terms([
        ['Cause', c.cause], ['Blame', c.blame], ['Trigger', c.trigger], ['Threshold', c.threshold ? number(c.threshold) : ''], ['Remedy', c.remedy]])),
      ...part('On the wire', terms([['ClientHello', hello(c)], ['Handshake', c.ms ? ms(c.ms) : ''],
        ['Capture', c.capture ? h('a', { href: c.capture }, c.capture) : '']])),
      ...part('Controls', runs(c.controls.map(([kind, o, id]) => [o, byId.has(id) ? h('a', { href: to({ cell: id }) }, kind) : kind, o]))),
      ...part('Attempts', runs(c.attempts.map(([o, cause], i) => [o, (i + 1) + '. ' + o, cause]))),
      ...part('Run this cell again', h('pre', null, again(c))),
    );
    if (!d.open) d.showModal();
    d.scrollTop = 0;
  };

  // --- together ----------------------------------------------------------

  let last = null;
  const update = () => {
    const s = state(), id = s.get('cell');
    s.delete('cell');
    if (s.toString() !== last) {
      last = s.toString();
      const list = select(s);
      showFilters(s);
      $('shown').textContent = list.length === cells.length ? count(cells.length, 'cell') : number(list.length) + ' of ' + count(cells.length, 'cell');
      pivot($('peers'), list, 'client', 'server', 'Client by server.', { about: 'Findings of each pair, or else what came out.', row: peerName, col: peerName });
      pivot($('pairings'), list, 'pairing', 'path', 'Groups by link.', { about: 'Offered : accepted.', tilted: true, row: pairingName, col: (k) => [h('span', null, k)] });
      showList(list);
    }
    showCell(id ? byId.get(id) : null);
  };

  $('matrix').hidden = cells.length === 0;
  buildFilters();
  $('matrix').addEventListener('keydown', arrows);
  $('more').addEventListener('click', more);
  $('cell').addEventListener('close', () => { if (state().has('cell')) go({ cell: '' }, true); });
  $('cell').addEventListener('click', (e) => { if (e.target === $('cell')) $('cell').close(); });
  // Tiles and rows keep the filters they were made under: a cell may have been
  // opened since. A link above the matrix leads down to it.
  document.addEventListener('click', (e) => {
    const a = e.target.closest('a[href^="#"]');
    if (a && !a.closest('#matrix') && !a.hash.includes('cell=')) setTimeout(() => $('matrix').scrollIntoView(), 0);
  });
  addEventListener('hashchange', update);
  update();
  if (last) $('matrix').scrollIntoView();
})();
