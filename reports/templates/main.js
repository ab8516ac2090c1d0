// --- together ------------------------------------------------------------

let last = null;
const update = () => {
  const s = state(), id = s.get('cell');
  s.delete('cell');
  if (s.toString() !== last) {
    last = s.toString();
    const list = select(s);
    showFilters(s);
    $('shown').textContent = list.length === cells.length ? count(cells.length, 'cell') : number(list.length) + ' of ' + count(cells.length, 'cell');
    showMatrix(list);
    showCharts(list);
    showList(list);
  }
  showCell(id ? byId.get(id) : null);
};

$('matrix').hidden = cells.length === 0;
buildFilters();
buildList();
$('matrix').addEventListener('keydown', arrows);
$('cell').addEventListener('keydown', cellKeys);
$('cell').addEventListener('close', () => { if (state().has('cell')) go({ cell: '' }, true); });
$('cell').addEventListener('click', (e) => { if (e.target === $('cell')) $('cell').close(); });
document.addEventListener('keydown', (e) => {
  if (e.key !== '/' || $('cell').open || e.target.closest('input, select')) return;
  e.preventDefault();
  $('filters').classList.add('open');
  controls.get('q').focus();
});
// Tiles and rows keep the filters they were made under: a cell may have been
// opened since. A link above the matrix leads down to it.
document.addEventListener('click', (e) => {
  const a = e.target.closest('a[href^="#"]');
  if (a && !a.closest('#matrix') && !a.hash.includes('cell=')) setTimeout(() => $('matrix').scrollIntoView(), 0);
});
addEventListener('hashchange', update);
update();
if (last) $('matrix').scrollIntoView();
