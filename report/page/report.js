'use strict';
for (const figure of document.querySelectorAll('figure')) {
  const button = figure.querySelector('.copy');
  const text = figure.querySelector('code').textContent;
  button.hidden = false;
  button.addEventListener('click', async () => {
    let done = false;
    try { await navigator.clipboard.writeText(text); done = true; } catch {
      const area = document.createElement('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      done = document.execCommand('copy');
      area.remove();
    }
    button.textContent = done ? 'Copied' : 'Select and copy by hand';
  });
}
addEventListener('beforeprint', () => { for (const d of document.querySelectorAll('details')) d.open = true; });
