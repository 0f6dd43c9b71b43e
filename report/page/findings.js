(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = (id) => document.getElementById(id);
  const el = (tag, attributes = {}, ...children) => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes)) {
      if (k === 'class') e.className = v; else if (k.startsWith('on')) e.addEventListener(k.slice(2), v); else e.setAttribute(k, v);
    }
    e.append(...children);
    return e;
  };
  const ranks = { critical: 4, high: 3, medium: 2, low: 1, info: 0 };
  const columns = [
    { key: 'severity', title: 'Severity', value: (f) => ranks[f.severity] },
    { key: 'rule', title: 'Rule', value: (f) => f.rule },
    { key: 'resource', title: 'Resource', value: (f) => f.resource },
    { key: 'member', title: 'Member', value: (f) => f.member },
    { key: 'role', title: 'Role', value: (f) => f.role },
    { key: 'reach', title: 'Reach', value: (f) => (typeof f.reach === 'number' ? f.reach : -1) },
  ];
  // In the table a name is short; the whole one is in its title and the detail.
  const short = (name) => name.replace(/^\/\/[^/]+\//, '').replace(/(projects|locations|services|functions)\//g, '');
  const height = 32;
  const nodes = new Map((data.exposure || []).map((n) => [n.name, n]));
  const state = { sort: null, descending: true, node: '', at: -1, shown: [] };

  // Search text is made once: typing then compares strings only.
  for (const f of data.findings) f.text = [f.rule, f.resource, f.member, f.role, f.message, f.on].join(' ').toLowerCase();

  const inside = (f) => {
    if (!state.node) return true;
    for (let n = f.node, depth = 0; n && depth < 32; n = (nodes.get(n) || {}).parent, depth++) if (n === state.node) return true;
    return false;
  };

  function refresh() {
    const words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const severity = $('severity').value;
    const rule = $('rule').value;
    state.shown = data.findings.filter((f) => (!severity || f.severity === severity) && (!rule || f.rule === rule) && inside(f) && words.every((w) => f.text.includes(w)));
    if (state.sort) {
      const way = state.descending ? -1 : 1;
      const value = state.sort.value;
      state.shown.sort((a, b) => { const x = value(a), y = value(b); return x < y ? -way : x > y ? way : a.i - b.i; });
    }
    state.at = -1;
    $('space').style.height = state.shown.length * height + 'px';
    $('view').scrollTop = 0;
    $('count').textContent = state.shown.length + ' of ' + data.findings.length;
    $('grid').setAttribute('aria-rowcount', state.shown.length + 1);
    for (const b of $('head').children) b.setAttribute('aria-sort', state.sort && b.dataset.key === state.sort.key ? (state.descending ? 'descending' : 'ascending') : 'none');
    draw();
  }

  // Only the rows in view exist.
  function draw() {
    const view = $('view');
    const first = Math.max(0, Math.floor(view.scrollTop / height) - 5);
    const last = Math.min(state.shown.length, first + Math.ceil(view.clientHeight / height) + 10);
    const rows = [];
    for (let i = first; i < last; i++) {
      const f = state.shown[i];
      const row = el('div', { class: 'row' + (f.suppressed ? ' ignored' : ''), role: 'row', id: 'row-' + i, 'aria-rowindex': i + 2, 'aria-selected': i === state.at, onclick: () => open(i) },
        el('span', { role: 'gridcell', class: f.severity }, f.severity), ...[f.rule, f.resource, f.member, f.role, String(f.reach)].map((t, i) => el('span', { role: 'gridcell', title: t }, i === 1 ? short(t) : t)));
      rows.push(row);
    }
    $('rows').style.top = first * height + 'px';
    $('rows').replaceChildren(...rows);
    if (state.at >= 0) $('grid').setAttribute('aria-activedescendant', 'row-' + state.at); else $('grid').removeAttribute('aria-activedescendant');
  }

  function move(to) {
    if (!state.shown.length) return;
    state.at = Math.max(0, Math.min(state.shown.length - 1, to));
    const view = $('view');
    const top = state.at * height;
    if (top < view.scrollTop) view.scrollTop = top;
    if (top + height > view.scrollTop + view.clientHeight) view.scrollTop = top + height - view.clientHeight;
    draw();
  }

  function open(i) {
    state.at = i;
    draw();
    const f = state.shown[i];
    const list = el('dl');
    for (const [name, value] of [['rule', f.rule], ['resource', f.resource], ['granted on', f.on], ['member', f.member], ['role', f.role], ['condition', f.condition], ['reach', String(f.reach)], ['where', f.where], ['ignored', f.suppressed]]) {
      if (value) list.append(el('dt', {}, name), el('dd', {}, value));
    }
    const parts = [el('h3', {}, el('span', { class: f.severity }, f.severity), ' ' + f.message), list];
    for (const fix of f.fixes || []) {
      const text = fix.commands.join('\n');
      parts.push(el('p', {}, 'Fix: ' + fix.summary + (fix.caution ? ' (' + fix.caution + ')' : '')));
      if (text) parts.push(el('pre', {}, text), el('button', { class: 'copy', type: 'button', onclick: (e) => copy(text, e.target) }, 'Copy'));
      if (fix.terraform) parts.push(el('pre', {}, fix.terraform), el('button', { class: 'copy', type: 'button', onclick: (e) => copy(fix.terraform, e.target) }, 'Copy Terraform'));
    }
    $('detail').replaceChildren(...parts);
    $('detail').hidden = false;
  }

  // The chart shows the children of one place; each bar is its services, and
  // the filled part those that anyone may invoke.
  function drill(name) {
    state.node = name;
    const trail = [];
    for (let n = nodes.get(name); n && trail.length < 32; n = nodes.get(n.parent)) trail.unshift(n);
    $('path').replaceChildren(el('button', { type: 'button', onclick: () => drill('') }, 'everything'),
      ...trail.flatMap((n) => [' / ', el('button', { type: 'button', onclick: () => drill(n.name) }, n.title || n.name)]));
    const children = [...nodes.values()].filter((n) => (nodes.has(n.parent) ? n.parent : '') === name).sort((a, b) => b.public - a.public || b.findings - a.findings || b.targets - a.targets);
    const widest = Math.max(1, ...children.map((n) => n.targets));
    $('bars').replaceChildren(...children.slice(0, 500).map((n) => {
      const bar = el('span', { class: 'bar' }, el('i'));
      bar.style.width = (100 * n.targets) / widest + '%';
      bar.firstChild.style.width = n.targets ? (100 * n.public) / n.targets + '%' : '0';
      return el('li', {}, el('button', { type: 'button', 'data-node': n.name, onclick: () => drill(n.name) }, el('span', { class: 'name', title: n.name }, n.title || n.name), bar,
        el('span', {}, n.public + ' of ' + n.targets + ' public')));
    }));
    if (children.length > 500) $('bars').append(el('li', {}, 'and ' + (children.length - 500) + ' more'));
    refresh();
  }

  for (const c of columns) {
    $('head').append(el('button', { type: 'button', role: 'columnheader', 'data-key': c.key, 'aria-sort': 'none', onclick: () => {
      state.descending = state.sort === c ? !state.descending : c.key === 'severity' || c.key === 'reach';
      state.sort = c;
      refresh();
    } }, c.title));
  }
  const values = (key) => [...new Set(data.findings.map((f) => f[key]))];
  for (const s of values('severity').sort((a, b) => ranks[b] - ranks[a])) $('severity').append(el('option', { value: s }, s));
  for (const r of values('rule').sort()) $('rule').append(el('option', { value: r }, r));
  $('filter').addEventListener('input', refresh);
  $('filter').addEventListener('submit', (e) => e.preventDefault());
  $('filter').addEventListener('reset', () => setTimeout(() => drill('')));
  let queued = false;
  $('view').addEventListener('scroll', () => {
    if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; draw(); }); }
  });
  $('grid').addEventListener('keydown', (e) => {
    if (e.target !== $('grid')) return;
    const page = Math.floor($('view').clientHeight / height) - 1;
    const to = { ArrowDown: state.at + 1, ArrowUp: state.at - 1, PageDown: state.at + page, PageUp: state.at - page, Home: 0, End: state.shown.length - 1 }[e.key];
    if (to !== undefined) { e.preventDefault(); move(to); }
    if (e.key === 'Enter' && state.at >= 0) open(state.at);
  });
  document.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') $('detail').hidden = true;
    if (e.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) { e.preventDefault(); $('search').focus(); }
  });
  window.addEventListener('resize', draw);
  $('exposure').hidden = nodes.size === 0;
  drill('');
})();
