for (const figure of document.querySelectorAll('figure')) {
  const button = figure.querySelector('.copy');
  const text = figure.querySelector('code').textContent;
  button.hidden = false;
  button.addEventListener('click', () => copy(text, button));
}
addEventListener('beforeprint', () => { for (const d of document.querySelectorAll('details')) d.open = true; });
