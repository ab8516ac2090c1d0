// --- one cell ------------------------------------------------------------

const terms = (pairs) => {
  const dl = h('dl');
  for (const [k, v] of pairs) if (v) dl.append(h('dt', null, k), h('dd', null, v));
  return dl.children.length ? dl : null;
};
const part = (title, ...body) => body.some(Boolean) ? h('section', null, h('h3', null, title), ...body) : null;
const items = (list) => h('ul', null, ...list.map((s) => h('li', null, s)));
const runs = (list) => list.length ? h('ul', { class: 'runs' }, ...list.map(([name, what, note]) =>
  h('li', null, chip(name), h('span', null, what), h('span', null, note || '')))) : null;
const hello = (c) => [[c.bytes, 'byte'], [c.segments, 'TCP segment'], [c.records, 'TLS record']]
  .filter(([n]) => n).map(([n, noun]) => count(n, noun)).join(', ');
const observed = (c) => {
  const seen = [c.group, c.version].filter(Boolean);
  if (!seen.length) return [c.outcome === 'unsupported' || c.outcome === 'fault' ? 'nothing' : 'no ServerHello'];
  if (c.hrr) seen.push(c.hrr === 2 ? 'after a HelloRetryRequest' : 'no HelloRetryRequest');
  if (c.fallback) seen.push('a post-quantum group was offered');
  return seen;
};
const sizes = (c) => c.hellos.map((s) => [s.message, count(s.bytes, 'byte') + (!s.predicted ? '' : s.predicted === s.bytes ? ', as predicted' : '; ' + number(s.predicted) + ' were predicted')]);
const again = (c) => data.again + "'" + c.id.replaceAll("'", "'\\''") + "'";

// said is what a peer told of itself; nothing in it is trusted.
const said = (e) => [
  e.done ? 'handshake complete' : 'handshake not complete', e.group, e.version, e.reached ? 'reached ' + e.reached : '',
  e.timedOut ? 'stopped by the lab at its deadline' : 'exit ' + e.exit, e.cpu ? number(e.cpu) + ' µs of CPU' : '', e.error,
].filter(Boolean).join(', ');

const packets = (c, d) => {
  if (d && d.rungs.length) return ladder(c, d);
  const where = c.capture ? ['They are in ', h('a', { href: c.capture }, c.capture), '.'] : ['No capture is kept of a cell like this one: the lab keeps those of findings and of a sample of the rest.'];
  return h('p', { class: 'detail' }, ...where);
};

const neighbours = (c) => {
  const i = listed.indexOf(c);
  return i < 0 ? [] : [listed[i - 1], listed[i + 1]];
};

const header = (c, d) => {
  const close = h('button', { type: 'button', id: 'close' }, 'Close');
  close.addEventListener('click', () => d.close());
  const step = (n, text, name) => n ? h('a', { class: 'button', href: to({ cell: n.id }), 'aria-label': name, title: name }, text) : null;
  const [before, after] = neighbours(c);
  return h('header', null, chip(c.outcome), h('b', null, c.outcome, c.blame ? h('span', null, ' · blame: ' + c.blame) : null),
    step(before, '←', 'the cell before'), step(after, '→', 'the next cell'), close);
};

const showCell = (c) => {
  const d = $('cell');
  if (!c) { if (d.open) d.close(); return; }
  const more = detail(c);
  d.replaceChildren(
    header(c, d),
    h('h2', { id: 'cell-title' }, c.client + ' → ' + c.server),
    h('p', { class: 'where' }, [c.pairing, c.link, c.boxes.join(', then '), c.cert].filter(Boolean).join(' · ')),
    h('p', { class: 'says' }, c.why),
    c.traced ? h('p', { class: 'remedy' }, h('b', null, 'Triage: '), c.traced) : '',
    c.remedy ? h('p', { class: 'remedy' }, h('b', null, 'Remedy: '), c.remedy) : '',
    h('div', { class: 'columns' }, ...[
      part('Predicted', c.predicted.length ? items(c.predicted) : h('p', null, 'nothing')),
      part('Observed', items(observed(c))),
      part('Judgement', terms([['Cause', c.cause], ['Blame', c.blame], ['Trigger', c.trigger], ['Threshold', c.threshold ? (number(c.threshold) + ' ' + c.unit).trim() : ''], ['Known as', c.known], ['Reused from', c.reused ? 'run ' + c.reused : '']])),
      part('Hellos', terms([['As sent', hello(c)], ...sizes(c), ['Handshake', c.ms ? ms(c.ms) : '']])),
      part('Controls', runs(c.controls.map(([kind, o, id]) => [o, byId.has(id) ? h('a', { href: to({ cell: id }) }, kind) : kind, o]))),
      part('Triage' + (c.runs ? ', ' + count(c.runs, 'trial') : ''), runs(c.trials.map(([changed, o, id, cause]) => [o, byId.has(id) ? h('a', { href: to({ cell: id }) }, changed) : changed, cause || o])),
        c.like && byId.has(c.like) ? h('p', { class: 'detail' }, 'Shared with ', h('a', { href: to({ cell: c.like }) }, c.like)) : c.like ? h('p', { class: 'detail' }, 'Shared with ' + c.like) : null),
      part('Attempts', runs(c.attempts.map(([o, cause], i) => [o, (i + 1) + '. ' + o, [cause, c.times[i] ? ms(c.times[i]) : ''].filter(Boolean).join(', ')]))),
      more && part('The peers say', terms([['Client', said(more.client)], ['Server', said(more.server)]])),
      more && more.deeds.length ? part('The boxes did', items(more.deeds.map((x) => x.box + ': ' + x.action + (x.times > 1 ? ', ' + x.times + ' times' : '')))) : null,
    ].filter(Boolean)),
    part(more && more.attempt > 1 ? 'Packets of attempt ' + more.attempt : 'Packets', packets(c, more), more && more.unread ? h('p', { class: 'detail' }, more.unread) : null) || '',
    (more && more.hellos.length ? part('The ClientHello before and after the path', ...more.hellos.map((p, i) => helloTable(p, i, more.hellos.length > 1))) : null) || '',
    part('Run this cell again', h('pre', null, again(c))),
    c.capture ? part('Evidence', h('p', null, h('a', { href: c.capture }, c.capture), ' opens decrypted in Wireshark.')) : '',
  );
  if (!d.open) d.showModal();
  d.scrollTop = 0;
};

// The arrow keys go through the list while a cell is open.
const cellKeys = (e) => {
  const id = state().get('cell'), c = id && byId.get(id), side = { ArrowLeft: 0, ArrowRight: 1 }[e.key];
  if (!c || side === undefined || e.altKey || e.ctrlKey || e.metaKey) return;
  const next = neighbours(c)[side];
  if (next) go({ cell: next.id }, true);
};

