// --- list ----------------------------------------------------------------

// The list has as many rows as it shows, and a few more, however many cells
// there are.
let listed = [], focused = 0;
const rowsOnScreen = new Map();
const sizer = h('div', { role: 'presentation' });

const facts = (c) => [
  c.cause, c.group, c.bytes ? count(c.bytes, 'byte') : '', c.ms ? ms(c.ms) : '',
].filter(Boolean).join(', ');

const listRow = (i) => {
  const c = listed[i];
  const a = h('a', { href: to({ cell: c.id }), title: c.id + ': ' + c.outcome, tabindex: i === focused ? '0' : '-1', role: 'listitem', 'aria-setsize': listed.length, 'aria-posinset': i + 1 },
    chip(c.outcome), h('span', { class: 'mono' }, c.client + ' → ' + c.server), h('span', { class: 'mono' }, c.pairing + ' · ' + c.path), h('span', null, facts(c)));
  a.style.top = i * rowHeight() + 'px';
  a.dataset.row = i;
  return a;
};

const rowHeight = () => parseFloat(getComputedStyle($('list')).getPropertyValue('--row'));

const drawList = () => {
  const el = $('list'), height = rowHeight(), spare = 6;
  const from = Math.max(0, Math.floor(el.scrollTop / height) - spare);
  const end = Math.min(listed.length, Math.ceil((el.scrollTop + el.clientHeight) / height) + spare);
  for (const [i, row] of rowsOnScreen) {
    if ((i < from || i >= end) && row !== document.activeElement) {
      row.remove();
      rowsOnScreen.delete(i);
    }
  }
  for (let i = from; i < end; i++) {
    if (rowsOnScreen.has(i)) continue;
    const row = listRow(i);
    rowsOnScreen.set(i, row);
    sizer.append(row);
  }
};

const showList = (list) => {
  listed = list;
  focused = 0;
  rowsOnScreen.clear();
  sizer.replaceChildren();
  sizer.style.height = list.length * rowHeight() + 'px';
  $('list').scrollTop = 0;
  $('list-title').textContent = list.length ? count(list.length, 'cell') + ', the most serious first' : 'No cell is like that';
  $('list').hidden = !list.length;
  drawList();
};

const focusRow = (i) => {
  const el = $('list'), height = rowHeight();
  const old = rowsOnScreen.get(focused);
  if (old) old.tabIndex = -1;
  focused = Math.min(Math.max(i, 0), listed.length - 1);
  if (focused * height < el.scrollTop) el.scrollTop = focused * height;
  if ((focused + 1) * height > el.scrollTop + el.clientHeight) el.scrollTop = (focused + 1) * height - el.clientHeight;
  drawList();
  const row = rowsOnScreen.get(focused);
  row.tabIndex = 0;
  row.focus({ preventScroll: true });
};

const listKeys = (e) => {
  const row = e.target.closest('[data-row]'), page = Math.floor($('list').clientHeight / rowHeight());
  const move = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -listed.length, End: listed.length }[e.key];
  if (!row || !move) return;
  e.preventDefault();
  focusRow(Number(row.dataset.row) + move);
};

// On paper the list is as long as a reader would go through.
const printList = () => {
  sizer.replaceChildren(...listed.slice(0, 200).map((_, i) => listRow(i)));
  rowsOnScreen.clear();
};

const buildList = () => {
  $('list').append(sizer);
  $('list').addEventListener('scroll', drawList, { passive: true });
  $('list').addEventListener('keydown', listKeys);
  new ResizeObserver(() => {
    sizer.style.height = listed.length * rowHeight() + 'px';
    for (const [i, row] of rowsOnScreen) row.style.top = i * rowHeight() + 'px';
    drawList();
  }).observe($('list'));
  addEventListener('beforeprint', printList);
  addEventListener('afterprint', () => showList(listed));
};

