// --- state ---------------------------------------------------------------

const axes = [
  ['client', 'Client'], ['server', 'Server'], ['offer', 'Client offers'], ['accept', 'Server accepts'], ['cert', 'Certificate'],
  ['link', 'Link'], ['box', 'Box'], ['outcome', 'Outcome'], ['cause', 'Cause'], ['blame', 'Blame'], ['trigger', 'Trigger'], ['known', 'Known deviation'],
  ['group', 'Group'], ['hello', 'ClientHello bytes'],
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
  if (s === undefined) haystack.set(c, s = (c.id + ' ' + c.outcome + ' ' + c.cause + ' ' + c.group + ' ' + c.trigger + ' ' + c.why + ' ' + c.traced).toLowerCase());
  return words.every((w) => s.includes(w));
};

// select keeps the order of cells.
const select = (s) => {
  const want = axes.filter(([k]) => s.get(k)).map(([k]) => [k, s.get(k)]);
  const words = (s.get('q') || '').toLowerCase().split(/\s+/).filter(Boolean);
  return cells.filter((c) => want.every(([k, v]) => c[k] === v || (k === 'outcome' && v === 'findings' && outcome(c.outcome).kind === 'finding')) && has(c, words));
};

// --- filters -------------------------------------------------------------

// What is plain comes first, then by name; outcomes in report order, numbers
// by size.
const plain = (s) => s === 'clean' || s === 'default' ? 0 : 1;
const order = (key) => key === 'outcome' ? (a, b) => outcome(a).rank - outcome(b).rank
  : key === 'hello' ? (a, b) => a - b
  : (a, b) => plain(a) - plain(b) || (a < b ? -1 : a > b ? 1 : 0);
const distinct = (list, key) => [...new Set(list.map((c) => c[key]))].sort(order(key));

const controls = new Map();
const buildFilters = () => {
  const form = $('filters'), toggle = h('button', { type: 'button', id: 'toggle', 'aria-expanded': 'false' }, 'Filter');
  toggle.addEventListener('click', () => toggle.setAttribute('aria-expanded', form.classList.toggle('open')));
  form.append(toggle);
  for (const [key, title] of axes) {
    const values = distinct(cells, key).filter(Boolean);
    if (values.length + (cells.some((c) => !c[key]) ? 1 : 0) < 2) continue;
    const options = [h('option', null, 'any')];
    options[0].value = '';
    if (key === 'outcome' && cells.some((c) => outcome(c.outcome).kind === 'finding')) options.push(h('option', { value: 'findings' }, 'any finding'));
    const el = h('select', { name: key }, ...options, ...values.map((v) => h('option', { value: v }, key === 'hello' ? number(v) : v)));
    el.addEventListener('change', () => go({ [key]: el.value, cell: '' }));
    controls.set(key, el);
    form.append(h('label', null, title, el));
  }
  const q = h('input', { type: 'search', placeholder: 'words in id or reason', name: 'q' });
  let timer;
  q.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => go({ q: q.value.trim(), cell: '' }, true), 120);
  });
  controls.set('q', q);
  form.append(h('label', null, 'Search', q));
  const clear = h('button', { type: 'button', id: 'clear' }, 'Clear');
  clear.addEventListener('click', () => { location.hash = ''; });
  form.append(clear);
  form.addEventListener('submit', (e) => e.preventDefault());
};

const showFilters = (s) => {
  let set = 0;
  for (const [key, el] of controls) {
    const v = s.get(key) || '';
    if (v) set++;
    if (key === 'q') {
      if (el.value.trim() !== v) el.value = v;
      continue;
    }
    el.value = v;
    el.classList.toggle('set', v !== '');
  }
  $('clear').hidden = !set;
  $('toggle').textContent = set ? 'Filter (' + set + ')' : 'Filter';
};

