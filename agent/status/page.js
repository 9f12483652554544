'use strict';
// Every table says where its rows come from; text goes in by textContent only.
const ROWS_MAX = 200;
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function duration(ms) {
  const s = Math.floor(Math.abs(ms) / 1000);
  if (s < 60) return s + 's';
  if (s < 3600) return Math.floor(s / 60) + 'm';
  if (s < 86400) return Math.floor(s / 3600) + 'h ' + Math.floor(s / 60) % 60 + 'm';
  return Math.floor(s / 86400) + 'd ' + Math.floor(s / 3600) % 24 + 'h';
}

function distance(text) {
  const ms = Date.parse(text) - Date.now();
  if (Math.abs(ms) < 1000) return 'now';
  return ms > 0 ? 'in ' + duration(ms) : duration(ms) + ' ago';
}

function bytes(n) {
  let unit = 0;
  while (n >= 1024 && unit + 1 < units.length) { n /= 1024; unit++; }
  return (unit ? n.toFixed(1) : n) + ' ' + units[unit];
}

function bar(cell, row) {
  const from = Date.parse(row.notBefore), to = Date.parse(row.notAfter);
  const progress = document.createElement('progress');
  progress.max = 100;
  progress.value = Math.max(0, Math.min(100, 100 * (to - Date.now()) / (to - from)));
  progress.classList.toggle('low', progress.value < 25);
  cell.append(progress);
}

function fill(cell, kind, value, row) {
  cell.className = kind;
  if (value === null || value === undefined || value === '') {
    cell.textContent = '–';
    cell.classList.add('none');
    return;
  }
  cell.textContent = String(value);
  if (kind === 'num bytes') cell.textContent = bytes(value);
  if (kind === 'yes') cell.textContent = value ? 'yes' : 'no';
  if (kind.startsWith('time')) {
    cell.textContent = distance(value);
    cell.title = value;
  }
  if (kind === 'time left') {
    const left = Date.parse(value) - Date.now();
    cell.textContent = left > 0 ? duration(left) : 'expired';
    bar(cell, row);
  }
}

function refill(table, data) {
  const columns = [...table.tHead.rows[0].cells];
  const rows = data[table.dataset.key];
  const body = document.createElement('tbody');
  for (const row of rows.slice(0, ROWS_MAX)) {
    const line = body.insertRow();
    for (const c of columns) fill(line.insertCell(), c.dataset.kind, row[c.dataset.key], row);
  }
  if (rows.length === 0) {
    const cell = body.insertRow().insertCell();
    cell.colSpan = columns.length;
    cell.className = 'none';
    cell.textContent = table.dataset.empty;
  }
  table.tBodies[0].replaceWith(body);
  document.getElementById('m-' + table.dataset.key).hidden = rows.length <= ROWS_MAX;
  document.getElementById('n-' + table.dataset.key).textContent =
    data.total === undefined ? rows.length : data.total;
}

function showIdentity(data) {
  const source = data.source;
  document.getElementById('identity').textContent = data.state + ' · source ' + source.kind +
    ' ' + source.state + ' · ' + data.rotations + ' rotations' +
    (source.lastError ? ' · ' + source.lastError : '');
}

function showReady(ready, text) {
  const badge = document.getElementById('ready'), pending = document.getElementById('pending');
  badge.textContent = ready ? 'ready' : 'not ready';
  badge.classList.toggle('good', ready);
  pending.textContent = ready ? '' : text.trim();
  pending.hidden = ready;
}

async function refresh() {
  if (document.hidden) return;
  try {
    const ready = await fetch('/readyz');
    showReady(ready.ok, await ready.text());
    for (const table of document.querySelectorAll('table')) {
      const answer = await fetch(table.dataset.src);
      if (!answer.ok) continue;
      const data = await answer.json();
      refill(table, data);
      if (table.dataset.src === '/identity') showIdentity(data);
    }
  } catch (e) {
    showReady(false, 'The agent does not answer; what is below is old.');
  }
}

setInterval(refresh, 5000);
